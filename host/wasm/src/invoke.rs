//! One call into one fresh instance, within its limits.
//!
//! Each phase (`validate-config`, `execute`) runs under a wall time that also ends a guest
//! which computes, because it yields by fuel, and one that waits in a host call, because
//! dropping the future drops the wait. A panic of the host's own code stops here.

use crate::{
    bindings::v0_1::ActionProtocol,
    capability::{capture::Capture, gate::Gate},
    panic::caught,
    prepared::Prepared,
    state::{self, State},
};
use action_domain::{capture::Captured, limits::Limits, receipt::Receipt, services::Capturing};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{Engine, Error, Store};

/// How a phase ended before its answer.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Its wall time was over.
    Deadline(Duration),
    /// The component trapped, or a host function ended it.
    Error(Error),
    /// The host's own code panicked.
    Panic,
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// An instance, and what it has used so far.
pub(crate) struct Invocation {
    store: Store<State>,
    gate: Arc<Gate>,
    started: Instant,
    stopwatch: Stopwatch,
    fuel_given: u64,
    fuel_spent: u64,
}

impl Invocation {
    /// A store with these limits.
    pub(crate) fn new(
        engine: &Engine,
        gate: Arc<Gate>,
        pool: Arc<crate::capability::pool::Pool>,
        limits: &Limits,
        started: Instant,
    ) -> wasmtime::Result<Self> {
        let store = state::store(engine, gate.clone(), pool, limits)?;
        Ok(Self { store, gate, started, stopwatch: Stopwatch::default(), fuel_given: limits.fuel, fuel_spent: 0 })
    }

    /// The fuel of the next phase, whatever the last one left.
    pub(crate) fn refuel(&mut self, fuel: u64) -> wasmtime::Result<()> {
        self.fuel_spent = self.fuel_spent();
        self.fuel_given = fuel;
        self.store.set_fuel(fuel)
    }

    /// Fuel that all phases have used.
    pub(crate) fn fuel_spent(&self) -> u64 {
        let left = self.store.get_fuel().unwrap_or(0);
        self.fuel_spent.saturating_add(self.fuel_given.saturating_sub(left))
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The instance's state.
    pub(crate) fn state(&self) -> &State {
        self.store.data()
    }

    /// Lets it capture, if anybody keeps what it captures.
    pub(crate) fn capture_into(&mut self, keeper: Option<Arc<dyn Capturing>>) {
        self.store.data_mut().capture = Capture::new(keeper);
    }

    /// What it captured since its last checkpoint.
    pub(crate) fn captured(&mut self) -> Captured {
        self.store.data_mut().capture.take()
    }

    /// Makes the instance.
    pub(crate) async fn instantiate(store: &mut Store<State>, prepared: &Prepared) -> wasmtime::Result<ActionProtocol> {
        prepared.protocol()?.instantiate_async(store).await
    }

    /// The store to call into, and what times the call.
    pub(crate) fn parts(&mut self) -> (&mut Store<State>, &mut Stopwatch) {
        (&mut self.store, &mut self.stopwatch)
    }

    /// Ends the instance, and with it all that it holds (connections, responses half read), and
    /// says what it cost.
    pub(crate) fn finish(self) -> Receipt {
        let fuel = self.fuel_spent();
        let Self { store, gate, started, stopwatch, .. } = self;
        let memory_bytes = store.data().limiter.peak_memory_bytes();
        drop(store);
        let (bytes_out, bytes_in) = gate.meter.bytes();
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Receipt {
            fuel,
            memory_bytes,
            wall_us: micros(started.elapsed()),
            guest_us: micros(stopwatch.busy),
            requests: gate.journal.requests(),
            bytes_out,
            bytes_in,
        }
    }
}

/// The time in which an instance was being run: its own code, and the host's on its behalf, but
/// no waiting and no yielding.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    busy: Duration,
}

impl Stopwatch {
    /// Runs a phase: at most this long, and no panic comes out of it.
    pub(crate) async fn phase<T>(
        &mut self,
        limit: Duration,
        work: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T, Ended> {
        let mut work = pin!(caught(work));
        let timed = poll_fn(|cx| {
            let began = Instant::now();
            let polled = work.as_mut().poll(cx);
            self.busy += began.elapsed();
            polled
        });
        match tokio::time::timeout(limit, timed).await {
            Ok(Some(answer)) => Ok(answer?),
            Ok(None) => Err(Ended::Panic),
            Err(_) => Err(Ended::Deadline(limit)),
        }
    }
}
