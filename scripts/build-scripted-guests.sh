#!/usr/bin/env bash
# Builds the guests that are written in Python and TypeScript, beside those in Rust.
#
#   scripts/build-scripted-guests.sh FOLDER…      (protocols, tests/fixtures)
#
# A guest in TypeScript has a tsconfig.json and src/protocol.ts; one in Python has a package of its own name with `_`.
# They land where the Rust ones do, FOLDER/target/wasm32-wasip2/release/NAME.wasm. The tools come from the lock
# files of sdk/python and sdk/js into folders that git ignores. Where they cannot be had, it is said which guests are
# missing and the rest goes on; in CI that is an error. What has not changed is not built again.
set -euo pipefail
cd "$(dirname "$0")/.."

python_tools=sdk/python/target/venv
js_tools=sdk/js/node_modules

say() { printf 'guests: %s\n' "$*" >&2; }

digest() { # of the files below these paths, by name and content; what was built or installed is left out, and tests
    find "$@" \( -name node_modules -o -name target -o -name __pycache__ -o -name test -o -name tests \) -prune -o -type f -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

# Each installs once for one state of its lock file.
setup_python() {
    local lock stamp=$python_tools/.lock
    lock=$(digest sdk/python/requirements.txt)
    [ "$(cat "$stamp" 2>/dev/null)" = "$lock" ] && return
    command -v python3 >/dev/null || { why="python3 is missing"; return 1; }
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { why="python3 is older than 3.11"; return 1; }
    python3 -c 'import venv, ensurepip' 2>/dev/null || { why="Python's venv is missing (Debian: python3-venv)"; return 1; }
    say "installing the tools of sdk/python/requirements.txt"
    rm -rf "$python_tools"
    python3 -m venv "$python_tools" &&
        "$python_tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
            -r sdk/python/requirements.txt >&2 || { why="pip could not install sdk/python/requirements.txt"; return 1; }
    echo "$lock" >"$stamp"
}

setup_js() {
    local lock stamp=$js_tools/.lock
    lock=$(digest sdk/js/package-lock.json)
    [ "$(cat "$stamp" 2>/dev/null)" = "$lock" ] && return
    command -v node >/dev/null || { why="node is missing (18.3 or newer)"; return 1; }
    node -e 'process.exit(+(process.versions.node.split(".")[0] < 18))' || { why="node is older than 18.3"; return 1; }
    command -v npm >/dev/null || { why="npm is missing"; return 1; }
    say "installing the tools of sdk/js/package-lock.json"
    (cd sdk/js && npm ci --ignore-scripts --no-audit --no-fund --loglevel error >&2) ||
        { why="npm could not install sdk/js/package-lock.json"; return 1; }
    echo "$lock" >"$stamp"
}

build_python() { # FOLDER NAME COMPONENT
    local module=${2//-/_}
    "$python_tools/bin/python" sdk/python/build.py "$1/$2" "$module" -o "$3"
}

build_js() {
    node sdk/js/bin/action-protocol.mjs check "$1/$2" && node sdk/js/bin/action-protocol.mjs build "$1/$2/src/protocol.ts" -o "$3"
}

sdk_of() { [ "$1" = python ] && echo sdk/python || echo sdk/js; }

failed=no
declare -A missing=()
for folder in "$@"; do
    for path in "$folder"/*/; do
        name=$(basename "$path")
        if [ -f "$path/tsconfig.json" ]; then
            language=js
        elif [ -f "$path/${name//-/_}/__init__.py" ]; then
            language=python
        else
            continue
        fi
        component=$folder/target/wasm32-wasip2/release/${name//-/_}.wasm
        stamp=$folder/target/scripted/$name.inputs
        inputs=$(digest "$path" "$(sdk_of $language)" wit/v0.1/action.wit "$0")
        [ -f "$component" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$inputs" ] && continue
        # An old one would say that it is this one.
        rm -f "$component" "$stamp"
        if [ -z "${missing[$language]-}" ]; then
            why=
            "setup_$language" || missing[$language]=$why
        fi
        if [ -n "${missing[$language]-}" ]; then
            say "$folder/$name is not built: ${missing[$language]}"
            [ -z "${CI:-}" ] || failed=yes
            continue
        fi
        if "build_$language" "$folder" "$name" "$component"; then
            mkdir -p "$(dirname "$stamp")" && echo "$inputs" >"$stamp"
        else
            # The tools are there, so this is a mistake in the guest.
            say "$folder/$name could not be built"
            failed=yes
        fi
    done
done
[ "$failed" = no ]
