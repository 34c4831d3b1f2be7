//! Asks the linker for a stack that fits, instead of the default 1 MiB: the smaller the memory
//! of an instance, the less the host has to make and clear for each execution.
//!
//! JSON decides how large: serde_json goes 128 levels deep, and a config, an input and an
//! answer that deep need between 96 and 128 KiB here. This is twice as much. The
//! stack stands first in memory, so that one which is too small traps and overwrites nothing.

const STACK_BYTES: u32 = 256 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
