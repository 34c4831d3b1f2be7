#!/usr/bin/env bash
# Fuzzes what reads strangers' bytes.
#
#   scripts/fuzz.sh [SECONDS] [TARGET…]       each target for so long (default: 600 s, all of them)
#   scripts/fuzz.sh minimise [TARGET…]        takes what was found new into the corpus
#
# Any toolchain will do: without a sanitizer nothing of the nightly one is needed, and there is no unsafe code
# of ours in what is called. What is new goes to fuzz/found, which is not kept; what breaks a target goes to
# fuzz/artifacts. A finding is mended, and its input put into fuzz/corpus under a name that says what it was.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=600
if [[ ${1:-} =~ ^[0-9]+$ || ${1:-} == minimise ]]; then
    seconds=$1
    shift
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install cargo-fuzz --locked
fi
targets=("$@")
if ((${#targets[@]} == 0)); then
    mapfile -t targets < <(cargo fuzz list)
fi

failed=()
for target in "${targets[@]}"; do
    found=fuzz/found/$target corpus=fuzz/corpus/$target
    mkdir -p "$found"
    if [[ $seconds == minimise ]]; then
        # What is in the corpus stays; of the rest comes what adds to it. Longer inputs show little more.
        cargo fuzz run -s none "$target" "$corpus" "$found" -- -merge=1 -max_len=512
        continue
    fi
    printf '\n=== %s: %d s\n' "$target" "$seconds"
    # The long one is a component.
    cargo fuzz run -s none "$target" "$found" "$corpus" -- \
        -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        || failed+=("$target")
done
if ((${#failed[@]})); then
    printf 'these targets failed: %s\n' "${failed[*]}" >&2
    exit 1
fi
