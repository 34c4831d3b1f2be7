#!/usr/bin/env bash
# Clippy with warnings as errors, over the host and both workspaces of guests.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy ${CI:+--locked} --workspace --all-targets -- -D warnings

# Guests are looked at for the target that they are built for, with the compiler that builds them.
guest_cargo_flags=
guest_cargo_clippy=cargo-clippy
environment=$(scripts/setup-wasm-target.sh --env)
eval "$environment"
for workspace in protocols tests/fixtures; do
    # shellcheck disable=SC2086 # no flag or several; in CI a lock file that does not fit is an error
    "$guest_cargo_clippy" clippy ${CI:+--locked} --manifest-path "$workspace/Cargo.toml" \
        --target-dir "$workspace/target" --workspace --target wasm32-wasip2 $guest_cargo_flags -- -D warnings
done
