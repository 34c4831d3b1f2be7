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
mod dispatch_action;
mod error;
mod loops;
mod recover;
mod remove_protocol;
mod resolve_execution;
mod run_task;
mod save_action;
mod schema;
mod test_connection;
mod view;
mod waiters;

pub use admit_protocol::AdmittedProtocol;
pub use dispatch_action::{Dispatch, Dispatched, MALFORMED_JSON};
pub use error::EngineError;
pub use resolve_execution::Resolution;
pub use save_action::SavedAction;
pub use schema::Form;
pub use view::ExecutionView;

use action_domain::{
    egress::EgressPolicy,
    event::{Context, Fact, NewEvent},
    execution::WorkerId,
    limits::LimitsPolicy,
    repositories::Store,
    services::{Clock, ProtocolRuntime, Random},
};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

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
    /// Whether no other process can have the store open: then whatever another worker has
    /// leased was lost with an earlier process, and need not run out first.
    pub exclusive_store: bool,
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
    /// Who waits for which execution.
    waiting: waiters::Waiters,
    /// Attempts that run.
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
            waiting: waiters::Waiters::default(),
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

    fn event(&self, context: Context, fact: &Fact) -> NewEvent {
        NewEvent::new(self.inner.parts.random.event_id(), self.now(), context, fact)
    }
}
