#!/usr/bin/env bash
# Makes the generated parts of sdk/go anew, from wit/v0.1: the bindings, and the shells of components.
#
#   scripts/generate-go-bindings.sh [TOOLS]
#
# The released contract does not change, so this is for a newer wit-bindgen, or after a change of the adapter. TOOLS is
# a folder for the tools (default: protocols/target/go-bindings); what is missing there is installed, which takes minutes. The
# Go of sdk/go/requirements.txt is needed on the PATH.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${1:-$PWD/protocols/target/go-bindings}
sdk=$PWD/sdk/go
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

install() { # CRATE VERSION PROGRAM FEATURES
    "$tools/bin/$3" --version 2>/dev/null | grep -qF " $2" && return
    cargo install "$1" --version "$2" --locked --debug --no-default-features --features "$4" \
        --root "$tools" --target-dir "$tools/target"
}
install wit-bindgen-cli 0.63.0 wit-bindgen go
install wasm-tools 1.262.0 wasm-tools component,parse,print,strip,validate

# The bindings are those of the larger world: what a component does not export, nobody asks it for.
PATH=$(go env GOROOT)/bin:$PATH "$tools/bin/wit-bindgen" go --world action-protocol-reconciling \
    --out-dir "$work/bindings" wit/v0.1 >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
mkdir -p "$work/bindings/exports"
mv "$work/bindings/wit_exports.go" "$work/bindings/exports/"
# Its own module, program and run-time packages are ours; natively there are none of these.
find "$work/bindings" -name '*.go' -exec sed -i \
    -e 's|^package main$|package exports|' -e '/^\/\/ Unused, but present/d' -e '/^func main()/d' \
    -e 's|"wit_component/\(export_julee_action_[a-z_]*\)"|\1 "julee/action/internal/contract"|' \
    -e 's|"wit_component/|"julee/action/internal/bindings/|' \
    -e 's|"go.bytecodealliance.org/pkg/wit/|"julee/action/internal/wit/|' \
    -e '1i //go:build wasip1\n' {} +
"$(go env GOROOT)/bin/gofmt" -w "$work/bindings"
rm -rf "$sdk/internal/bindings"
mkdir -p "$sdk/internal/bindings"
(cd "$work/bindings" && find . -name '*.go' -not -path './julee_action_protocol_api/*' -not -path './julee_action_reconciler/*') |
    while read -r file; do
        mkdir -p "$sdk/internal/bindings/$(dirname "$file")"
        cp "$work/bindings/$file" "$sdk/internal/bindings/$file"
    done

# A shell is a component around a module that imports all that the contract and the adapter have, and does nothing.
# sdk/go/internal/component puts a protocol's module in its place.
mkdir -p "$work/adapter/deps"
cp "$sdk/internal/component/adapter.wit" "$work/adapter/"
cp wit/v0.1/deps/*.wit "$work/adapter/deps/"
# Go's packages declare some of these functions each for itself, and a module in a component may not import one name twice:
# sdk/go/internal/component numbers them, so each is there under more names.
sed -E 's/\(export "([a-z_0-9]+)"\)/& (export "\1 2") (export "\1 3")/' "$sdk/internal/component/adapter.wat" >"$work/adapter.wat"
"$tools/bin/wasm-tools" component embed "$work/adapter" --world adapter "$work/adapter.wat" -o "$work/adapter.wasm"
"$tools/bin/wasm-tools" validate "$work/adapter.wasm"
# What the adapter exports, as imports of the module.
for number in '' ' 2' ' 3'; do
    sed -nE "s/^  \(func \(export \"([a-z_0-9]+)\"\)(( \((param|result) [^)]*\))*).*/  (import \"wasi_snapshot_preview1\" \"\1$number\" (func\2))/p" \
        "$sdk/internal/component/adapter.wat"
done >"$work/imports"
for world in action-protocol action-protocol-reconciling; do
    # Functions get names for their numbers, which change with more imports.
    "$tools/bin/wasm-tools" component embed wit/v0.1 --world "$world" --dummy-names legacy -t |
        sed -E -e 's/\(func ([0-9]+)\)/(func $f\1)/' -e 's/\(func \(;([0-9]+);\)/(func $f\1/' \
            -e "/^  \(type \(;0;\)/{
                r $work/imports
            }" >"$work/$world.wat"
    "$tools/bin/wasm-tools" component new "$work/$world.wat" --adapt "wasi_snapshot_preview1=$work/adapter.wasm" \
        -o "$work/whole.wasm"
    "$tools/bin/wasm-tools" strip --all "$work/whole.wasm" -o "$work/$world.wasm"
    "$tools/bin/wasm-tools" validate "$work/$world.wasm"
    base64 -w 120 "$work/$world.wasm" >"$sdk/internal/component/$world.base64"
done
