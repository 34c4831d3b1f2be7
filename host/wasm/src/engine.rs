//! The one `wasmtime::Config`: what components may be made of, how they are compiled, and the
//! pool from which instances come.
//!
//! It stands alone because two processes share it: the service, and the child in which it
//! compiles. Code that one made is loaded by the other only where both configurations have
//! the same compatibility hash, so whatever changes code generation is set in [`base`].

use action_domain::limits::{CONTINUOUS_MAX, TABLE_ELEMENTS_MAX, WASM_STACK_BYTES_MAX};
use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    num::NonZeroUsize,
};
use wasmparser::WasmFeatures;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result};

/// Fuel between two yields. At 10 to 40 units a nanosecond this is a slice of some 50 µs: a
/// hundred endless loops on two threads let everything else run within a few milliseconds.
pub(crate) const YIELD_INTERVAL_FUEL: u64 = 1_000_000;

/// Largest linear memory of the pool's slots; no action may ask for more (`LimitsPolicy`).
pub(crate) const MEMORY_BYTES_MAX: usize = 1 << 30;

/// Instances for what is no attempt: `describe`, `validate-config`, `test-connection`. Apart
/// from the attempts', so that a busy service still answers those who configure it.
pub(crate) const ASIDE_INSTANCES: u32 = 16;

/// Instances of transforms that run at once. Each computes and waits for nothing, so a few times the
/// cores of a large machine are enough, and endless ones cannot take the places of attempts.
pub(crate) const TRANSFORM_INSTANCES: u32 = 32;

/// Most core modules of one component. A Python component has about twenty.
const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 32;

/// Each memory slot reserves 4 GiB and a guard of addresses, so that code needs no bounds
/// checks; x86-64 has 128 TiB of them. 20,000 memories leave a third of it free.
const MEMORIES_MAX: u32 = 20_000;

/// A parked execution holds 4 memory maps (counted in /proc/PID/maps), and the kernel has a limit on them.
const MAPS_PER_EXECUTION: u64 = 4;

/// What is kept of a slot's memory between two uses. A Rust guest touches 40 KiB a call, so
/// this covers the small ones; the larger gain nothing from more.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;

/// What an engine has in every process.
fn base() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    // Nothing in WASI 0.2 is concurrent inside a store; without it a call costs a third less.
    config.concurrency_support(false);
    // Fuel bounds computing and makes it yield; epochs on top would cost 20 % of guest CPU.
    config.consume_fuel(true);
    config.epoch_interruption(false);
    config.max_wasm_stack(WASM_STACK_BYTES_MAX);
    // WebAssembly's own stack, and room for the host functions called from it.
    config.async_stack_size(WASM_STACK_BYTES_MAX + (1 << 20));
    config.memory_init_cow(true);
    config.wasm_backtrace_max_frames(NonZeroUsize::new(16));
    config
}

/// The engine of a process that only compiles: it reserves no memory.
pub(crate) fn compiling() -> Result<Engine> {
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

/// The engine of a process that runs `concurrency` attempts at once.
pub(crate) fn running(concurrency: u32) -> Result<Engine> {
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(concurrency)));
    Engine::new(&config)
}

/// What a component may be made of, for the validator that looks at it first.
pub(crate) fn features() -> WasmFeatures {
    // What wasmtime has on by default, less what its features leave out of this build. Where the
    // two differ the compiler has the last word.
    WasmFeatures::WASM2
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::RELAXED_SIMD
}

/// As many attempts at once as were asked for, or as many as this machine can hold.
pub(crate) fn concurrency(asked: u32) -> u32 {
    let by_addresses = MEMORIES_MAX / 2 - ASIDE_INSTANCES - TRANSFORM_INSTANCES - CONTINUOUS_MAX as u32;
    // Half of the maps are left to everything else in the process.
    let by_maps = u32::try_from(max_map_count() / 2 / MAPS_PER_EXECUTION).unwrap_or(u32::MAX);
    let most = by_addresses.min(by_maps).max(1);
    if asked > most {
        tracing::warn!(asked, most, "fewer attempts at once than asked for: see vm.max_map_count");
    }
    asked.clamp(1, most)
}

fn max_map_count() -> u64 {
    // Where it cannot be read (not Linux), the kernel's default is assumed.
    std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(65_530)
}

fn pool(concurrency: u32) -> PoolingAllocationConfig {
    let slots = concurrency + ASIDE_INSTANCES + TRANSFORM_INSTANCES + CONTINUOUS_MAX as u32;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots);
    pool.total_stacks(slots);
    // Core instances are only counted. A component made by wit-component has at least three:
    // its own, the shim and the fix-up.
    pool.total_core_instances(slots.saturating_mul(CORE_INSTANCES_PER_COMPONENT_MAX));
    pool.max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT_MAX);
    // Most have one memory and two tables. The rest shares what they leave.
    pool.total_memories((slots * 2).min(MEMORIES_MAX));
    pool.total_tables(slots.saturating_mul(6).clamp(CORE_INSTANCES_PER_COMPONENT_MAX, 60_000));
    pool.max_memories_per_component(8);
    pool.max_tables_per_component(CORE_INSTANCES_PER_COMPONENT_MAX);
    // `features` allows a module several of either; wasmtime's default is one.
    pool.max_memories_per_module(8);
    pool.max_tables_per_module(8);
    pool.max_memory_size(MEMORY_BYTES_MAX);
    pool.table_elements(TABLE_ELEMENTS_MAX);
    pool.max_component_instance_size(8 << 20);
    pool.max_core_instance_size(8 << 20);
    // A slot that was used by the same component before needs no new mapping.
    pool.max_unused_warm_slots(slots);
    // The kernel says which pages were written to (Linux 6.7), so that only they are reset.
    pool.pagemap_scan(Enabled::Auto);
    pool.linear_memory_keep_resident(KEEP_RESIDENT_BYTES);
    pool.table_keep_resident(64 << 10);
    pool.async_stack_keep_resident(64 << 10);
    pool.decommit_batch_size(32);
    pool
}

/// Names the code that an engine makes and takes: part of the cache's key.
pub(crate) fn compatibility(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_makes_what_the_service_takes() {
        assert_eq!(compatibility(&compiling().unwrap()), compatibility(&running(4).unwrap()));
    }

    #[test]
    fn more_than_the_machine_can_hold_is_cut() {
        assert_eq!(concurrency(0), 1);
        assert_eq!(concurrency(64), 64);
        assert!(concurrency(u32::MAX) <= MEMORIES_MAX / 2);
    }
}
