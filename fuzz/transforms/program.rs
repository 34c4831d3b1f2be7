//! The fuzzer's program. Its corpus is replayed by `tests/replay.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| action_fuzz_transforms::check(data));
