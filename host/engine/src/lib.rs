//! Use cases: what the service does, over the domain's traits.
//!
//! One use case a file. Each reads what it needs, decides by the domain's pure functions, and
//! commits one unit of work; no transaction is open while foreign code runs. Nothing here
//! knows HTTP, SQL or WebAssembly.
//!
//! To add a use case: a file, and a method of [`Engine`] in it.

mod admit_protocol;
mod arm;
mod cache;
mod call_protocol;
mod cancel_execution;
mod capture;
mod commit;
mod conclude;
mod confine;
mod consumers;
mod create_token;
mod dispatch_action;
mod error;
mod expected;
mod loops;
mod pauses;
mod plan_action;
mod propose_egress;
mod prove_event;
mod prune_events;
mod receive_webhook;
mod reconcile;
mod recover;
mod remembered;
mod remove_protocol;
mod remove_secret;
mod resolve_execution;
mod retry_execution;
mod revoke_token;
mod rewrap_secrets;
mod run_task;
mod running;
mod save_action;
mod schema;
mod seal_events;
mod seal_mark;
mod set_secret;
mod test_connection;
mod tokens;
mod transform;
mod triggers;
mod upgrade_protocol;
mod verify_log;
mod view;
mod waiters;

pub use admit_protocol::{AdmittedProtocol, Named, check_descriptor};
pub use create_token::{CreatedToken, NewToken};
pub use dispatch_action::{Dispatch, Dispatched, MALFORMED_JSON};
pub use error::{EngineError, RefusedMove};
pub use expected::Expectation;
pub use plan_action::Planned;
pub use propose_egress::ObservedEgress;
pub use prove_event::{EventKey, prove_event};
pub use receive_webhook::{Delivery, Hook, Received};
pub use resolve_execution::Resolution;
pub use retry_execution::{DeadLetters, Retried};
pub use rewrap_secrets::Rewrapped;
pub use save_action::{Editor, Expected, SavedAction, Version};
pub use schema::Form;
pub use seal_events::SealedEvents;
pub use set_secret::SetSecret;
pub use upgrade_protocol::{Prospect, Upgrade};
pub use verify_log::verify_log;
pub use view::ExecutionView;

use action_domain::{
    actor::Actor,
    audit::SealKey,
    egress::EgressPolicy,
    event::{Context, Fact, NewEvent},
    execution::WorkerId,
    id::TokenId,
    limits::LimitsPolicy,
    name::Name,
    repositories::Store,
    secret::Secret,
    services::{Broker, Clock, ProtocolRuntime, Random, SealMark, Vault},
    token::Token,
};
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What an engine is made of. The server's `compose.rs` fills it in.
pub struct Parts {
    /// What is stored.
    pub store: Arc<dyn Store>,
    /// The sandbox.
    pub runtime: Arc<dyn ProtocolRuntime>,
    /// Seals and opens secrets.
    pub vault: Arc<dyn Vault>,
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
    /// Remembers beyond this process how far the log is sealed. None: what goes with the process
    /// needs none.
    pub seal_mark: Option<Arc<dyn SealMark>>,
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
    tokens: remembered::Remembered<TokenId, Token>,
    secrets: remembered::Remembered<Name, Secret>,
    /// Built-in protocols that are on their way.
    expected: expected::Expectations,
    /// A permit for each attempt that runs.
    attempts: Arc<Semaphore>,
    /// A permit for each protocol that is asked about a lost worker's attempt.
    questions: Arc<Semaphore>,
    /// A permit for each caller that waits.
    waiters: Arc<Semaphore>,
    /// Rung when something was queued.
    queued: Notify,
    /// Rung when triggers changed.
    triggers: Notify,
    /// Deliveries of webhooks that were refused lately.
    refusals: receive_webhook::Refusals,
    /// A permit for each execution that is kept running.
    endless: Arc<Semaphore>,
    /// Rung when there is something to offer to the broker.
    offers: Notify,
    /// Whether the broker answered last time.
    broker_well: AtomicBool,
    /// Who waits for which execution.
    waiting: waiters::Waiters,
    /// Attempts that run here, by execution.
    running: Arc<running::Running>,
    /// Until when remotes asked actions to wait.
    pauses: pauses::Pauses,
    /// How far this process knows the log to be sealed.
    marked: seal_mark::Marked,
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
            tokens: remembered::Remembered::new(tokens::TOKENS_MAX),
            secrets: remembered::Remembered::new(arm::SECRETS_MAX),
            expected: expected::Expectations::new(),
            attempts,
            questions: Arc::new(Semaphore::new(recover::QUESTIONS_AT_ONCE)),
            waiters,
            queued: Notify::new(),
            triggers: Notify::new(),
            refusals: receive_webhook::Refusals::default(),
            endless: Arc::new(Semaphore::new(action_domain::limits::CONTINUOUS_MAX)),
            offers: Notify::new(),
            broker_well: AtomicBool::new(false),
            waiting: waiters::Waiters::default(),
            running: Arc::default(),
            pauses: pauses::Pauses::new(),
            marked: seal_mark::Marked::default(),
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

    /// The event of what somebody did.
    fn event_by(&self, actor: &Actor, context: Context, fact: &Fact) -> NewEvent {
        NewEvent::by(actor, self.inner.parts.random.event_id(), self.now(), context, fact)
    }
}
