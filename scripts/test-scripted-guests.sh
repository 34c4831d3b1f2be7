#!/usr/bin/env bash
# The native tests of the SDKs for Python and TypeScript, and of the protocols written with them. Needs what
# scripts/build-scripted-guests.sh installs, and says what it leaves out where that is not there; in CI that is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

left_out() {
    echo "guests: $1 tests are left out: its tools are not installed (scripts/build-guests.sh protocols says why)" >&2
    [ -z "${CI:-}" ]
}

if [ -x sdk/python/target/venv/bin/python ]; then
    for folder in sdk/python protocols/feed; do
        sdk/python/target/venv/bin/python sdk/python/build.py --test "$folder"
    done
else
    left_out Python
fi

if [ -d sdk/js/node_modules/esbuild ]; then
    node sdk/js/bin/action-protocol.mjs check sdk/js
    for folder in sdk/js protocols/slack protocols/github; do
        node sdk/js/bin/action-protocol.mjs test "$folder/test"
    done
else
    left_out TypeScript
fi
