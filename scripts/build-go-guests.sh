#!/usr/bin/env bash
# Builds the guests that are written in Go, beside those in Rust.
#
#   scripts/build-go-guests.sh FOLDER…      (protocols, tests/fixtures)
#
# A guest in Go has a go.mod that requires julee/action. They land where the Rust ones do,
# FOLDER/target/wasm32-wasip2/release/NAME.wasm. The compiler is that of sdk/go/requirements.txt, in a folder that git
# ignores. Where it cannot be had, it is said which guests are missing and the rest goes on; in CI that is an error.
# What has not changed is not built again.
set -euo pipefail
cd "$(dirname "$0")/.."

# A folder that git ignores, and that lives as long as the guests' own.
tools=$PWD/protocols/target/go-tools

say() { printf 'guests: %s\n' "$*" >&2; }

digest() { # of the files below these paths, by name and content, without tests
    find "$@" \( -name tests -o -name template \) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

# Installs once for one state of the requirements.
setup() {
    local lock stamp=$tools/.lock
    lock=$(digest sdk/go/requirements.txt)
    [ "$(cat "$stamp" 2>/dev/null)" = "$lock" ] && return
    python3 -c 'import venv, ensurepip' 2>/dev/null || { why="Python's venv is missing (Debian: python3-venv)"; return 1; }
    say "installing the tools of sdk/go/requirements.txt"
    rm -rf "$tools"
    python3 -m venv "$tools" &&
        "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
            -r sdk/go/requirements.txt >&2 || { why="pip could not install sdk/go/requirements.txt"; return 1; }
    echo "$lock" >"$stamp"
}

failed=no missing=
for folder in "$@"; do
    for manifest in "$folder"/*/go.mod; do
        [ -f "$manifest" ] && grep -q 'julee/action' "$manifest" || continue
        path=$(dirname "$manifest")
        name=$(basename "$path")
        component=$PWD/$folder/target/wasm32-wasip2/release/${name//-/_}.wasm
        stamp=$folder/target/go/$name.inputs
        inputs=$(digest "$path" sdk/go "$0")
        [ -f "$component" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$inputs" ] && continue
        # An old one would say that it is this one.
        rm -f "$component" "$stamp"
        why=
        [ -n "$missing" ] || setup || missing=$why
        if [ -n "$missing" ]; then
            say "$path is not built: $missing"
            [ -z "${CI:-}" ] || failed=yes
            continue
        fi
        # No other Go than this one, and nothing from anywhere: a guest has its dependencies in the repository.
        if (cd "$path" && PATH=$tools/bin:$PATH GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-mod=readonly GOWORK=off \
            go run julee/action/cmd/component -o "$component" . >&2); then
            mkdir -p "$(dirname "$stamp")" && echo "$inputs" >"$stamp"
        else
            # The tools are there, so this is a mistake in the guest.
            say "$path could not be built"
            failed=yes
        fi
    done
done
[ "$failed" = no ]
