#!/usr/bin/env bash
# Clippy with warnings as errors, over the host and both workspaces of guests.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --locked --workspace --all-targets -- -D warnings

# Guests are looked at for the target that they are built for. Where the standard library of that target is
# compiled from Debian's source (scripts/setup-wasm-target.sh), clippy, which belongs to another compiler,
# cannot read it; then they are looked at as native code, which they compile as, too.
environment=$(scripts/setup-wasm-target.sh --env)
target=(--target wasm32-wasip2)
if [ -n "$environment" ]; then
    echo "lint: guests are checked as native code; the wasm target here is Debian's, clippy is not" >&2
    target=()
fi
for workspace in protocols tests/fixtures; do
    cargo clippy --locked --manifest-path "$workspace/Cargo.toml" --target-dir "$workspace/target" \
        --workspace "${target[@]}" -- -D warnings
done
