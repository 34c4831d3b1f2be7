#!/usr/bin/env bash
# Checks licences, sources, bans and advisories of everything that is built, in all three workspaces.
#
#   scripts/cargo-deny.sh
#
# cargo-deny of the pinned line is taken from PATH, else built once into the cache folder.
#
# The advisories come from a git repository that not every machine reaches. Where it cannot be fetched and
# no copy is at hand, that part is skipped, and the last line says so;
# ACTION_SERVICE_ADVISORIES=required makes it a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
cache=${ACTION_SERVICE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/action-service}
manifests=(Cargo.toml protocols/Cargo.toml tests/fixtures/Cargo.toml)

say() { printf 'cargo deny: %s\n' "$*" >&2; }

# --- the tool

fits() { [ -x "$1" ] && "$1" --version 2>/dev/null | grep -q "^cargo-deny ${version%.*}\."; }

deny=$(command -v cargo-deny || true)
if ! fits "${deny:-none}"; then
    deny=$cache/tools/bin/cargo-deny
    if ! fits "$deny"; then
        say "building version $version into $cache/tools (a minute or two, once)"
        # Its own release profile is fat LTO on one core; for this tool the build is what costs.
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
            cargo install cargo-deny --locked --version "$version" --root "$cache/tools" --force --quiet
    fi
fi

# --- what needs no network beyond the registry of the crates themselves

options=(--config deny.toml ${CI:+--locked})

for manifest in "${manifests[@]}"; do
    say "$manifest"
    "$deny" "${options[@]}" --manifest-path "$manifest" check --hide-inclusion-graph bans licenses sources
done

# --- advisories

# GIT_TERMINAL_PROMPT: a repository that asks for a password fails instead of waiting for somebody.
if GIT_TERMINAL_PROMPT=0 timeout 120 "$deny" "${options[@]}" fetch db </dev/null >/dev/null 2>&1; then
    say "advisories fetched"
else
    say "the advisory database could not be fetched; a copy from an earlier run is looked for"
fi

databases=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs
if compgen -G "$databases/*/crates" >/dev/null; then
    for manifest in "${manifests[@]}"; do
        # A copy older than `maximum-db-staleness` fails here instead of passing for news.
        "$deny" "${options[@]}" --offline --manifest-path "$manifest" check advisories
    done
elif [ "${ACTION_SERVICE_ADVISORIES:-}" = required ]; then
    say "advisories not checked: no database"
    exit 1
else
    say "advisories skipped: no database"
fi
