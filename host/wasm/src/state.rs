//! What belongs to one instance on the host's side, and the linker that gives it to components.

use crate::{
    bindings::{names, v0_1},
    capability::{capture::Capture, gate::Gate, pool::Pool, wasi_http::Hooks, wasi_sockets},
    limiter::Limiter,
    output::Lines,
};
use action_domain::limits::Limits;
use std::{sync::Arc, time::Duration};
use wasmtime::{
    Engine, Result, Store,
    component::{HasSelf, Linker, ResourceTable},
};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Most handles and most entries of the host's table for one instance.
const HANDLES_MAX: usize = 4096;
/// Most random bytes in one call.
const RANDOM_BYTES_MAX: u64 = 1 << 20;
/// What one call may hand to the host, beyond an output of the largest size: a request body
/// or an item is bounded by it too. Over it the call ends before the host has copied anything.
const HOSTCALL_BYTES_MIN: u64 = 16 << 20;
/// Names, headers and the like around an output.
const HOSTCALL_BYTES_AROUND: u64 = 1 << 20;

/// One instance's state.
pub(crate) struct State {
    pub(crate) gate: Arc<Gate>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) limiter: Limiter,
    pub(crate) table: ResourceTable,
    pub(crate) output_bytes_max: u64,
    pub(crate) capture: Capture,
    /// Made when it is first asked for: many components never do, and it costs a microsecond.
    wasi: Option<Box<WasiCtx>>,
    http: WasiHttpCtx,
    hooks: Hooks,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let gate = &self.gate;
        WasiCtxView { ctx: self.wasi.get_or_insert_with(|| Box::new(wasi(gate))), table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

impl v0_1::julee::action::model::Host for State {}

/// The time of day is that of whoever made the runtime: the same that stands in the journal.
struct TimeOfDay(Arc<Gate>);

impl HostWallClock for TimeOfDay {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.now().as_micros()).unwrap_or(0))
    }
}

/// No arguments, no environment, no files. Random numbers and what measures time are the machine's.
fn wasi(gate: &Arc<Gate>) -> WasiCtx {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(Lines::new(gate.clone(), "info"))
        .stderr(Lines::new(gate.clone(), "warn"))
        .wall_clock(TimeOfDay(gate.clone()))
        .max_random_size(RANDOM_BYTES_MAX)
        .allow_tcp(true)
        .allow_udp(true)
        .allow_ip_name_lookup(false)
        .socket_addr_check(wasi_sockets::check(gate.clone()));
    wasi.build()
}

/// A store for one instance.
pub(crate) fn store(engine: &Engine, gate: Arc<Gate>, pool: Arc<Pool>, limits: &Limits) -> Result<Store<State>> {
    let mut table = ResourceTable::new();
    table.set_max_capacity(HANDLES_MAX);
    let memory = usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX);
    let state = State {
        hooks: Hooks { gate: gate.clone() },
        gate,
        pool,
        limiter: Limiter::new(memory),
        table,
        output_bytes_max: limits.output_bytes,
        capture: Capture::default(),
        wasi: None,
        http: WasiHttpCtx::new(),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_fuel(limits.fuel)?;
    store.fuel_async_yield_interval(Some(crate::engine::YIELD_INTERVAL_FUEL))?;
    let hostcall = limits.output_bytes.max(HOSTCALL_BYTES_MIN).saturating_add(HOSTCALL_BYTES_AROUND);
    store.set_hostcall_fuel(usize::try_from(hostcall).unwrap_or(usize::MAX));
    store.set_max_component_handles(HANDLES_MAX);
    Ok(store)
}

/// Everything that a component may import. One for all of them: what an instance is granted
/// lies in its state.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    // In the place of wasmtime-wasi's own, which resolves every name or none.
    linker.allow_shadowing(true);
    names::wasi::sockets::ip_name_lookup::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    linker.allow_shadowing(false);
    v0_1::ActionProtocol::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}
