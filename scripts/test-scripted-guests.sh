#!/usr/bin/env bash
# The native tests of the SDKs for Python, TypeScript and Go, and of the protocols written with them. Needs what
# scripts/build-scripted-guests.sh and scripts/build-go-guests.sh install, and says what it leaves out where that is not
# there; in CI that is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

left_out() {
    echo "guests: $1 tests are left out: its tools are not installed (scripts/build-guests.sh says why)" >&2
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

# The compiler comes with the guests of tests/fixtures.
go_tools=$PWD/protocols/target/go-tools
if [ -x "$go_tools/bin/go" ]; then
    (
        cd sdk/go
        export PATH=$go_tools/bin:$PATH GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-mod=readonly GOWORK=off
        unformatted=$("$(go env GOROOT)/bin/gofmt" -l . ../../tests/fixtures/go-*/)
        [ -z "$unformatted" ] || { echo "gofmt would write these otherwise: $unformatted" >&2; exit 1; }
        # Positional fields are for a reader of a table; the rest of vet runs with the tests and here.
        go vet -composites=false ./...
        go test ./...
    )
else
    left_out Go
fi
