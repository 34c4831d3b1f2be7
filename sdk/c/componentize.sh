#!/bin/sh
# Makes a component of a core module.
#
#   componentize.sh CORE.wasm COMPONENT.wasm [wasm-component-ld's options]
#
# It is done by `wasm-component-ld`, which comes with every Rust toolchain and with wasi-sdk. That is a
# linker: it calls another one and makes a component of what that gives. Here the module is linked
# already, so the other linker is this script, called a second time, which hands the module over.
set -eu

if [ -n "${ACTION_CORE_MODULE:-}" ]; then
    while [ $# -gt 0 ]; do
        if [ "$1" = -o ]; then
            cp "$ACTION_CORE_MODULE" "$2"
            exit
        fi
        shift
    done
    echo "componentize.sh: wasm-component-ld named no output" >&2
    exit 1
fi

if [ $# -lt 2 ]; then
    sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
core=$1 component=$2
shift 2

linker=$(command -v wasm-component-ld || true)
if [ -z "$linker" ] && [ -n "${WASI_SDK_PATH:-}" ]; then
    linker=$WASI_SDK_PATH/bin/wasm-component-ld
fi
if [ -z "$linker" ] && command -v rustc >/dev/null; then
    for candidate in "$(rustc --print sysroot)"/lib/rustlib/*/bin/wasm-component-ld; do
        linker=$candidate
    done
fi
if [ ! -x "${linker:-}" ]; then
    echo "componentize.sh: no wasm-component-ld. It comes with Rust (rustup) and with wasi-sdk (set WASI_SDK_PATH)," \
        "or: cargo install wasm-component-ld" >&2
    exit 1
fi

# Beside its final place and moved there when complete: an interrupted run leaves no half.
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
ACTION_CORE_MODULE=$core "$linker" "$core" --wasm-ld-path "$self" --wasi-adapter reactor "$@" -o "$component.part"
mv "$component.part" "$component"
