#!/usr/bin/env bash
# Builds the guests that are written in C, beside those in Rust.
#
#   scripts/build-c-guests.sh FOLDER…      (protocols, tests/fixtures)
#
# A guest in C has a Makefile that includes sdk/c/component.mk. They land where the Rust ones do,
# FOLDER/target/wasm32-wasip2/release/NAME.wasm. The compiler is that of sdk/c/requirements.txt, in a folder that git
# ignores. Where it cannot be had, it is said which guests are missing and the rest goes on; in CI that is an error.
# What has not changed is not built again.
set -euo pipefail
cd "$(dirname "$0")/.."

# A folder that git ignores, and that lives as long as the guests' own.
tools=$PWD/protocols/target/c-tools

say() { printf 'guests: %s\n' "$*" >&2; }

digest() { # of the files below these paths, by name and content
    find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

# Installs once for one state of the requirements.
setup() {
    local lock stamp=$tools/.lock
    lock=$(digest sdk/c/requirements.txt)
    [ "$(cat "$stamp" 2>/dev/null)" = "$lock" ] && return
    command -v make >/dev/null || { why="make is missing"; return 1; }
    python3 -c 'import venv, ensurepip' 2>/dev/null || { why="Python's venv is missing (Debian: python3-venv)"; return 1; }
    say "installing the tools of sdk/c/requirements.txt"
    rm -rf "$tools"
    python3 -m venv "$tools" &&
        "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
            -r sdk/c/requirements.txt >&2 || { why="pip could not install sdk/c/requirements.txt"; return 1; }
    echo "$lock" >"$stamp"
}

failed=no missing=
for folder in "$@"; do
    for makefile in "$folder"/*/Makefile; do
        [ -f "$makefile" ] && grep -q 'component\.mk' "$makefile" || continue
        path=$(dirname "$makefile")
        name=$(basename "$path")
        component=$folder/target/wasm32-wasip2/release/${name//-/_}.wasm
        build=$PWD/$folder/target/c/$name
        stamp=$build/inputs
        inputs=$(digest "$path" sdk/c "$0")
        [ -f "$component" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$inputs" ] && continue
        # An old one would say that it is this one.
        rm -rf "$component" "$build"
        why=
        [ -n "$missing" ] || setup || missing=$why
        if [ -n "$missing" ]; then
            say "$path is not built: $missing"
            [ -z "${CI:-}" ] || failed=yes
            continue
        fi
        if make -s -C "$path" BUILD="$build" TOOLS="$tools" >&2; then
            mkdir -p "$(dirname "$component")"
            cp "$build/$name.wasm" "$component"
            echo "$inputs" >"$stamp"
        else
            # The tools are there, so this is a mistake in the guest.
            say "$path could not be built"
            failed=yes
        fi
    done
done
[ "$failed" = no ]
