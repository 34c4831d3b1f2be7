#!/usr/bin/env bash
# Builds the guests: the components that the host runs.
#
#   scripts/build-guests.sh [protocols|fixtures|all]      (default: all)
#
# They land in <workspace>/target/wasm32-wasip2/release/*.wasm, whichever way the target was set up by
# scripts/setup-wasm-target.sh. Those in Python, TypeScript, C and Go come beside them
# (scripts/build-scripted-guests.sh, scripts/build-c-guests.sh, scripts/build-go-guests.sh).
# With nothing changed this takes about a second.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-all} in
    protocols) workspaces=(protocols) ;;
    fixtures) workspaces=(tests/fixtures) ;;
    all) workspaces=(protocols tests/fixtures) ;;
    *)
        echo "usage: $0 [protocols|fixtures|all]" >&2
        exit 2
        ;;
esac

guest_cargo_flags=
environment=$(scripts/setup-wasm-target.sh --env)
eval "$environment"

for workspace in "${workspaces[@]}"; do
    # The target folder is named, because host/server and the tests look for the components there:
    # a CARGO_TARGET_DIR of the surroundings is for the host.
    # shellcheck disable=SC2086 # no flag or several; in CI a lock file that does not fit is an error
    cargo build --manifest-path "$workspace/Cargo.toml" --target-dir "$workspace/target" \
        --workspace --release ${CI:+--locked} --target wasm32-wasip2 $guest_cargo_flags
done

scripts/build-scripted-guests.sh "${workspaces[@]}"
scripts/build-c-guests.sh "${workspaces[@]}"
scripts/build-go-guests.sh "${workspaces[@]}"
