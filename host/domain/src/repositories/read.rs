//! Reading.

use super::IdempotencyKey;
use crate::{
    action::Action,
    capture::Values,
    consumer::StandingConsumer,
    digest::Digest,
    event::{Event, EventType, ItemData, NewEvent, Position},
    execution::{Execution, Lease, Status},
    id::{ActionId, ExecutionId, TokenId},
    name::Name,
    protocol::{Pin, Protocol},
    secret::Secret,
    time::Timestamp,
    token::Token,
    trigger::{Standing, StandingKind},
};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

/// The store cannot be used now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store is unavailable: {0}")]
pub struct StoreUnavailable(pub String);

/// An action by id or by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ActionKey {
    /// By id.
    Id(ActionId),
    /// By its current name.
    Name(Name),
}

/// A part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Page<K> {
    /// What comes after this; from the start where none.
    pub after: Option<K>,
    /// At most this many; the caller bounds it by [`crate::limits::PAGE_ITEMS_MAX`].
    pub limit: u32,
}

/// Which actions. All conditions hold.
#[derive(Debug, Clone, Default)]
pub struct ActionFilter {
    /// Of a protocol with this name.
    pub protocol: Option<Name>,
    /// With this label (key and value).
    pub label: Option<(String, String)>,
    /// Enabled or not.
    pub enabled: Option<bool>,
}

impl ActionFilter {
    /// Whether it lets this action pass.
    pub fn matches(&self, action: &Action) -> bool {
        let spec = &action.spec;
        self.protocol.as_ref().is_none_or(|name| action.protocol.name == *name)
            && self.label.as_ref().is_none_or(|(key, value)| spec.labels.get(key) == Some(value))
            && self.enabled.is_none_or(|enabled| spec.enabled == enabled)
    }
}

/// Which executions. All conditions hold.
#[derive(Debug, Clone, Default)]
pub struct ExecutionFilter {
    /// Of this action.
    pub action: Option<ActionId>,
    /// With this status.
    pub status: Option<Status>,
    /// Created at or after this.
    pub since: Option<Timestamp>,
    /// Created before this.
    pub until: Option<Timestamp>,
}

/// Which events. All conditions hold.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of one of these types; of any where empty.
    pub types: Vec<EventType>,
    /// Of this action.
    pub action: Option<ActionId>,
    /// Of this execution.
    pub execution: Option<ExecutionId>,
    /// With this correlation id.
    pub correlation_id: Option<String>,
    /// Items of this kind.
    pub kind: Option<String>,
}

impl EventFilter {
    /// Whether it lets this event pass.
    pub fn matches(&self, event: &Event) -> bool {
        let context = &event.context;
        (self.types.is_empty() || self.types.iter().any(|t| t.as_str() == &*event.r#type))
            && (self.action.is_none() || self.action == context.action)
            && (self.execution.is_none() || self.execution == context.execution)
            && (self.correlation_id.is_none() || self.correlation_id.as_deref() == context.correlation_id.as_deref())
            && self.kind.as_ref().is_none_or(|kind| {
                let of_item = || serde_json::from_str::<ItemData>(event.data.get()).ok();
                &*event.r#type == EventType::ItemCaptured.as_str() && of_item().is_some_and(|item| item.kind == *kind)
            })
    }
}

/// What a worker asks the queue for.
pub struct Claim {
    /// Executions due at or before this are taken; attempts start now.
    pub now: Timestamp,
    /// At most this many.
    pub limit: u32,
    /// Only these, if they are due.
    pub only: Option<Vec<ExecutionId>>,
    /// Actions take turns in the order of their ids, beginning behind this one.
    pub after: Option<ActionId>,
    /// The lease that an execution gets, given the number of the attempt that begins.
    pub lease: Box<dyn Fn(&Execution) -> Lease + Send + Sync>,
    /// The event that records the beginning, given the execution as it is then.
    pub started: Box<dyn Fn(&Execution) -> NewEvent + Send + Sync>,
}

/// What a worker got.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claimed {
    /// Executions whose attempts have begun.
    pub executions: Vec<Execution>,
    /// The action that was looked at last: the next claim goes on behind it.
    pub last: Option<ActionId>,
    /// Every action was looked at, and there was nothing more to take.
    pub drained: bool,
}

/// What other processes do that this one has to know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Something may be due.
    Due,
    /// This running execution is to be stopped.
    Cancel(ExecutionId),
}

/// Listens to other processes with the same store.
#[async_trait]
pub trait Signals: Send {
    /// Waits for the next one. Some may be missed: whoever listens also looks from time to time.
    async fn next(&mut self) -> Signal;
}

/// Signals of a store that only one process has open: there are none.
#[derive(Debug)]
pub struct NoSignals;

#[async_trait]
impl Signals for NoSignals {
    async fn next(&mut self) -> Signal {
        std::future::pending().await
    }
}

/// Follows the end of the log.
#[async_trait]
pub trait Positions: Send {
    /// Waits until events were appended since the last call; `false` when the store is closed.
    async fn changed(&mut self) -> bool;
}

/// What can be read. Everything that was committed before a call MUST be seen by it.
#[async_trait]
pub trait Reader: Send + Sync {
    /// A protocol.
    async fn protocol(&self, pin: &Pin) -> Result<Option<Arc<Protocol>>, StoreUnavailable>;

    /// All versions of a protocol, the newest (by semantic version) first; at most
    /// [`crate::limits::PAGE_ITEMS_MAX`].
    async fn protocol_versions(&self, name: &Name) -> Result<Vec<Arc<Protocol>>, StoreUnavailable>;

    /// Protocols by name, then version text.
    async fn protocols(&self, page: Page<Pin>) -> Result<Vec<Arc<Protocol>>, StoreUnavailable>;

    /// Protocols that have this component; at most one page.
    async fn protocols_with(&self, digest: &Digest) -> Result<Vec<Arc<Protocol>>, StoreUnavailable>;

    /// A component's bytes.
    async fn component(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable>;

    /// The current revision of an action.
    async fn action(&self, key: &ActionKey) -> Result<Option<Arc<Action>>, StoreUnavailable>;

    /// Any revision of an action, also of one that was deleted.
    async fn action_revision(&self, id: ActionId, revision: u32) -> Result<Option<Arc<Action>>, StoreUnavailable>;

    /// Current revisions by name.
    async fn actions(&self, filter: &ActionFilter, page: Page<Name>) -> Result<Vec<Arc<Action>>, StoreUnavailable>;

    /// An execution.
    async fn execution(&self, id: ExecutionId) -> Result<Option<Execution>, StoreUnavailable>;

    /// Executions, the newest id first; `after` is the last id of the page before.
    async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page<ExecutionId>,
    ) -> Result<Vec<Execution>, StoreUnavailable>;

    /// Running executions whose lease ended before `now`, or that another worker than `except`
    /// has where it is given (for a store that only one process can open). The one whose lease
    /// ends first comes first, then the smaller id.
    async fn abandoned(
        &self,
        now: Timestamp,
        except: Option<crate::execution::WorkerId>,
        limit: u32,
    ) -> Result<Vec<Execution>, StoreUnavailable>;

    /// Queued executions that may not begin any more at this time, the one that expired first first.
    async fn expired(&self, now: Timestamp, limit: u32) -> Result<Vec<Execution>, StoreUnavailable>;

    /// Executions of this worker that somebody wants stopped.
    async fn to_cancel(&self, worker: crate::execution::WorkerId) -> Result<Vec<ExecutionId>, StoreUnavailable>;

    /// The execution that a trigger with this idempotency key led to.
    async fn idempotency_key(&self, action: ActionId, key: &str) -> Result<Option<IdempotencyKey>, StoreUnavailable>;

    /// A token.
    async fn token(&self, id: TokenId) -> Result<Option<Arc<Token>>, StoreUnavailable>;

    /// Tokens, the newest id first; `after` is the last id of the page before.
    async fn tokens(&self, page: Page<TokenId>) -> Result<Vec<Arc<Token>>, StoreUnavailable>;

    /// Whether the running attempt of an execution is known to have begun sending: that is, whether
    /// an `attempt_sending` event of this attempt is in the log.
    async fn has_sent(&self, execution: ExecutionId, attempt: u32) -> Result<bool, StoreUnavailable>;

    /// When the next queued or waiting execution is due.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreUnavailable>;

    /// Until when a remote asked an action to wait, also if that is over; `None` if none ever did.
    async fn paused_until(&self, action: ActionId) -> Result<Option<Timestamp>, StoreUnavailable>;

    /// Events by position. A reader that follows positions misses none and sees none twice.
    async fn events(&self, filter: &EventFilter, page: Page<Position>) -> Result<Vec<Event>, StoreUnavailable>;

    /// The first event of this type of an execution; of `action_executed` the last.
    async fn event_of(&self, execution: ExecutionId, r#type: EventType) -> Result<Option<Event>, StoreUnavailable>;

    /// A payload that is kept apart.
    async fn payload(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable>;

    /// Those of these secrets that are there, by name, each in its current version.
    async fn secrets_named(&self, names: &[Name]) -> Result<Vec<Arc<Secret>>, StoreUnavailable>;

    /// Secrets by name.
    async fn secrets(&self, page: Page<Name>) -> Result<Vec<Arc<Secret>>, StoreUnavailable>;

    /// The webhook at a path.
    async fn webhook_at(&self, path: &str) -> Result<Option<Standing>, StoreUnavailable>;

    /// The triggers of an action's current revision, in their order.
    async fn triggers_of(&self, action: ActionId) -> Result<Vec<Standing>, StoreUnavailable>;

    /// Triggers of a kind by action and place; `after` is the last one of the page before.
    async fn triggers(
        &self,
        kind: StandingKind,
        page: Page<(ActionId, u32)>,
    ) -> Result<Vec<Standing>, StoreUnavailable>;

    /// Schedules that are due at this time, the one that is due first first.
    async fn due_schedules(&self, now: Timestamp, limit: u32) -> Result<Vec<Standing>, StoreUnavailable>;

    /// When the next schedule is due.
    async fn next_schedule(&self) -> Result<Option<Timestamp>, StoreUnavailable>;

    /// Those of these keys that an action has captured items with.
    async fn captured_keys(&self, action: ActionId, keys: &[Arc<str>]) -> Result<Vec<Arc<str>>, StoreUnavailable>;

    /// The values that an action keeps.
    async fn values(&self, action: ActionId) -> Result<Values, StoreUnavailable>;

    /// A consumer.
    async fn consumer(&self, name: &Name) -> Result<Option<StandingConsumer>, StoreUnavailable>;

    /// Consumers by name.
    async fn consumers(&self, page: Page<Name>) -> Result<Vec<StandingConsumer>, StoreUnavailable>;

    /// Where a reader of the service's own stands ([`crate::consumer::EVENT_TRIGGERS`]).
    async fn cursor(&self, name: &str) -> Result<Option<Position>, StoreUnavailable>;

    /// Where readers of the service's own stand, by name.
    async fn cursors(&self, page: Page<Arc<str>>) -> Result<Vec<(Arc<str>, Position)>, StoreUnavailable>;

    /// The end of the log; 0 if it is empty. No event that a read gave before lies behind it.
    async fn last_position(&self) -> Result<Position, StoreUnavailable>;

    /// Listens to other processes from now on.
    fn signals(&self) -> Box<dyn Signals> {
        Box::new(NoSignals)
    }

    /// Follows the end of the log from now on.
    fn follow(&self) -> Box<dyn Positions>;
}
