//! Use cases: what the service does, over the domain's traits.
//!
//! One use case a file. Each reads what it needs, decides by the domain's pure functions, and
//! commits one unit of work; no transaction is open while foreign code runs. Nothing here
//! knows HTTP, SQL or WebAssembly.
//!
//! To add a use case: a file, and a method of [`Engine`] in it.

mod admit_protocol;
mod cache;
mod call_protocol;
mod cancel_execution;
mod dispatch_action;
mod error;
mod loops;
mod prove_event;
mod prune_events;
mod reconcile;
mod recover;
mod remove_protocol;
mod resolve_execution;
mod retry_execution;
mod run_task;
mod running;
mod save_action;
mod schema;
mod seal_events;
mod test_connection;
mod verify_log;
mod view;
mod waiters;

pub use admit_protocol::AdmittedProtocol;
pub use dispatch_action::{Dispatch, Dispatched, MALFORMED_JSON};
pub use error::EngineError;
pub use prove_event::{EventKey, prove_event};
pub use resolve_execution::Resolution;
pub use retry_execution::{DeadLetters, Retried};
pub use save_action::{Expected, SavedAction};
pub use schema::Form;
pub use seal_events::SealedEvents;
pub use verify_log::verify_log;
pub use view::ExecutionView;

use action_domain::{
    audit::SealKey,
    egress::EgressPolicy,
    event::{Context, Fact, NewEvent},
    execution::WorkerId,
    id::ActionId,
    limits::LimitsPolicy,
    repositories::Store,
    services::{Broker, Clock, ProtocolRuntime, Random},
    time::Timestamp,
};
use moka::sync::Cache;
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Actions that are remembered to have been asked to wait; the store knows all.
const SLOWED_MAX: u64 = 10_000;

/// What an engine is made of. The server's `compose.rs` fills it in.
pub struct Parts {
    /// What is stored.
    pub store: Arc<dyn Store>,
    /// The sandbox.
    pub runtime: Arc<dyn ProtocolRuntime>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and chances.
    pub random: Arc<dyn Random>,
    /// The operator's word on limits.
    pub limits: LimitsPolicy,
    /// The operator's word on egress; the sandbox has the same.
    pub egress: EgressPolicy,
    /// Attempts at once.
    pub concurrency: u32,
    /// Executions that callers may wait for at once; beyond it they are told to come back.
    pub waiters_max: u32,
    /// Whether attempts run in this process; if not, other processes run them.
    pub runs_attempts: bool,
    /// Carries due executions to workers, instead of their asking the store.
    pub broker: Option<Arc<dyn Broker>>,
    /// How long a worker may be silent before others take up its work, where others can.
    pub lease: Duration,
    /// Whether no other process can have the store open: then whatever another worker has
    /// leased was lost with an earlier process, and need not run out first.
    pub exclusive_store: bool,
    /// Seal the log: the first one signs, the others are those that it takes over from. None: this
    /// process does not seal.
    pub seal_keys: Vec<SealKey>,
    /// How long a period is that one seal covers.
    pub seal_every: Duration,
}

/// The service's use cases. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    worker: WorkerId,
    cache: cache::Cache,
    /// A permit for each attempt that runs.
    attempts: Arc<Semaphore>,
    /// A permit for each caller that waits.
    waiters: Arc<Semaphore>,
    /// Rung when something was queued.
    queued: Notify,
    /// Rung when there is something to offer to the broker.
    offers: Notify,
    /// Whether the broker answered last time.
    broker_well: AtomicBool,
    /// Who waits for which execution.
    waiting: waiters::Waiters,
    /// Attempts that run here, by execution.
    running: Arc<running::Running>,
    /// Actions that a remote asked to wait, as far as this process knows.
    slowed: Cache<ActionId, Timestamp>,
    /// Everything that was spawned.
    tasks: TaskTracker,
    /// Set at shutdown: nothing is taken any more.
    stopping: CancellationToken,
}

impl Engine {
    /// An engine; [`Self::start`] begins the work that nobody calls for.
    pub fn new(parts: Parts) -> Self {
        let worker = parts.random.uuid();
        let attempts = Arc::new(Semaphore::new(parts.concurrency as usize));
        let waiters = Arc::new(Semaphore::new(parts.waiters_max as usize));
        let inner = Inner {
            worker,
            cache: cache::Cache::new(),
            attempts,
            waiters,
            queued: Notify::new(),
            offers: Notify::new(),
            broker_well: AtomicBool::new(false),
            waiting: waiters::Waiters::default(),
            running: Arc::default(),
            slowed: Cache::new(SLOWED_MAX),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            parts,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What is stored, for reading. Writing is the use cases' alone.
    pub fn reader(&self) -> &dyn action_domain::repositories::Reader {
        &*self.inner.parts.store
    }

    /// The log as an audit reads it, with its seals.
    pub fn log(&self) -> &dyn action_domain::repositories::LogReader {
        &*self.inner.parts.store
    }

    /// The time.
    pub fn clock(&self) -> &dyn Clock {
        &*self.inner.parts.clock
    }

    fn store(&self) -> &dyn Store {
        &*self.inner.parts.store
    }

    fn now(&self) -> action_domain::time::Timestamp {
        self.inner.parts.clock.now()
    }

    /// Something may be due: for the broker to carry where there is one, else for this process.
    fn ring(&self) {
        if self.broker_is_well() {
            self.inner.offers.notify_one();
        } else {
            self.inner.queued.notify_one();
        }
    }

    fn event(&self, context: Context, fact: &Fact) -> NewEvent {
        NewEvent::new(self.inner.parts.random.event_id(), self.now(), context, fact)
    }
}
