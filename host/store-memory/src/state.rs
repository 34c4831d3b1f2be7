//! What is stored, and an index for each query. Apart from reading and writing so that the
//! two agree on one picture.

use crate::{log::Log, triggers::Triggers};
use action_domain::{
    action::Action,
    audit::Seal,
    capture::Values,
    consumer::StandingConsumer,
    digest::Digest,
    event::Position,
    execution::{Execution, Status},
    id::{ActionId, EventId, ExecutionId, TokenId},
    name::Name,
    protocol::{Pin, Protocol},
    repositories::IdempotencyKey,
    secret::Secret,
    time::Timestamp,
    token::Token,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A protocol's name and the text of its version: the order of lists.
pub(crate) type PinKey = (Name, String);

pub(crate) fn pin_key(pin: &Pin) -> PinKey {
    (pin.name.clone(), pin.version.to_string())
}

/// Everything. The fields that end in a preposition are indexes.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) protocols: BTreeMap<PinKey, Arc<Protocol>>,
    pub(crate) protocols_with: BTreeMap<Digest, BTreeSet<PinKey>>,
    pub(crate) components: BTreeMap<Digest, Bytes>,
    /// What removed versions were.
    pub(crate) removed_protocols: BTreeMap<PinKey, Digest>,
    pub(crate) actions: BTreeMap<Name, Arc<Action>>,
    pub(crate) names_of: BTreeMap<ActionId, Name>,
    /// Actions whose current revision pins a protocol, by name of the action.
    pub(crate) actions_on: BTreeMap<PinKey, BTreeSet<Name>>,
    pub(crate) revisions: BTreeMap<(ActionId, u32), Arc<Action>>,
    pub(crate) executions: BTreeMap<ExecutionId, Execution>,
    /// Queued and waiting executions.
    pub(crate) due_at: BTreeSet<(Timestamp, ExecutionId)>,
    /// The same of an action: first attempts (`false`) before retries.
    pub(crate) due_of: BTreeSet<(ActionId, bool, Timestamp, ExecutionId)>,
    /// Executions that wait for another of their action.
    pub(crate) aside_of: BTreeSet<(ActionId, ExecutionId)>,
    /// Executions with an ordering key that have not ended well.
    pub(crate) ordered: BTreeSet<(ActionId, Arc<str>, ExecutionId)>,
    /// Queued executions that expire.
    pub(crate) expire_at: BTreeSet<(Timestamp, ExecutionId)>,
    /// The pace of actions that have one.
    pub(crate) paces: BTreeMap<ActionId, Timestamp>,
    /// Until when a remote asked an action to wait.
    pub(crate) pauses: BTreeMap<ActionId, Timestamp>,
    /// When an execution was last offered to a broker.
    pub(crate) offered: BTreeMap<ExecutionId, Timestamp>,
    pub(crate) idempotency_keys: BTreeMap<(ActionId, Arc<str>), IdempotencyKey>,
    /// Running executions, by the end of their lease.
    pub(crate) leased_until: BTreeSet<(Timestamp, ExecutionId)>,
    pub(crate) executions_of: BTreeSet<(ActionId, ExecutionId)>,
    /// By the status's place in [`Status::ALL`].
    pub(crate) executions_that_are: BTreeSet<(u8, ExecutionId)>,
    /// Executions that have not ended, by the protocol that they pin.
    pub(crate) open_executions_on: BTreeSet<(PinKey, ExecutionId)>,
    pub(crate) secrets: BTreeMap<Name, Arc<Secret>>,
    /// The last versions of those that were deleted.
    pub(crate) deleted_secrets: BTreeMap<Name, u32>,
    pub(crate) tokens: BTreeMap<TokenId, Arc<Token>>,
    pub(crate) triggers: Triggers,
    /// Of items that each action has captured.
    pub(crate) item_keys: BTreeMap<ActionId, BTreeSet<Arc<str>>>,
    pub(crate) values: BTreeMap<ActionId, Values>,
    pub(crate) consumers: BTreeMap<Name, StandingConsumer>,
    /// Where readers of the service's own stand.
    pub(crate) cursors: BTreeMap<Arc<str>, Position>,
    pub(crate) log: Log,
    /// Positions that prunes left empty, with the event that says so.
    pub(crate) pruned: BTreeMap<Position, (EventId, Option<ExecutionId>)>,
    /// With their leaves.
    pub(crate) seals: BTreeMap<u64, (Seal, Bytes)>,
    pub(crate) payloads: BTreeMap<Digest, Bytes>,
}

/// Whether an execution may hold up those behind it: all but those that ended well or were
/// stopped.
pub(crate) fn holds_up(status: Status) -> bool {
    !status.is_terminal() || status == Status::Failed
}

pub(crate) fn status_key(status: Status) -> u8 {
    Status::ALL.iter().position(|other| *other == status).unwrap_or(usize::MAX) as u8
}

impl State {
    /// Puts an execution in, or in the place of the one that has its id; gives that back.
    pub(crate) fn put_execution(&mut self, execution: Execution) -> Option<Execution> {
        let old = self.take_execution(execution.id);
        let id = execution.id;
        if let (Status::Queued | Status::Waiting, Some(run_at)) = (execution.status, execution.run_at) {
            self.due_at.insert((run_at, id));
            self.due_of.insert((execution.action, execution.attempt > 0, run_at, id));
        }
        let turn = &execution.turn;
        if let (Status::Queued, Some(end)) = (execution.status, turn.expires_at) {
            self.expire_at.insert((end, id));
        }
        if turn.aside {
            self.aside_of.insert((execution.action, id));
        }
        if let Some(key) = turn.ordering_key.as_ref().filter(|_| holds_up(execution.status)) {
            self.ordered.insert((execution.action, Arc::clone(key), id));
        }
        if let (Status::Running, Some(lease)) = (execution.status, execution.lease) {
            self.leased_until.insert((lease.until, id));
        }
        if !execution.status.is_terminal() {
            self.open_executions_on.insert((pin_key(&execution.protocol), id));
        }
        self.executions_of.insert((execution.action, id));
        self.executions_that_are.insert((status_key(execution.status), id));
        self.executions.insert(id, execution);
        old
    }

    /// Takes an execution out, with its index entries.
    pub(crate) fn take_execution(&mut self, id: ExecutionId) -> Option<Execution> {
        let old = self.executions.remove(&id)?;
        if let Some(run_at) = old.run_at {
            self.due_at.remove(&(run_at, id));
            self.due_of.remove(&(old.action, old.attempt > 0, run_at, id));
        }
        if let Some(end) = old.turn.expires_at {
            self.expire_at.remove(&(end, id));
        }
        self.aside_of.remove(&(old.action, id));
        if let Some(key) = &old.turn.ordering_key {
            self.ordered.remove(&(old.action, Arc::clone(key), id));
        }
        if let Some(lease) = old.lease {
            self.leased_until.remove(&(lease.until, id));
        }
        self.open_executions_on.remove(&(pin_key(&old.protocol), id));
        self.executions_of.remove(&(old.action, id));
        self.executions_that_are.remove(&(status_key(old.status), id));
        Some(old)
    }

    /// The last seal.
    pub(crate) fn last_seal(&self) -> Option<&Seal> {
        self.seals.last_key_value().map(|(_, (seal, _))| seal)
    }

    /// Makes this the current revision of its action; gives the one before back.
    pub(crate) fn put_action(&mut self, action: Arc<Action>) -> Option<Arc<Action>> {
        let old = self.take_action(action.id);
        let name = action.spec.name.clone();
        self.names_of.insert(action.id, name.clone());
        self.actions_on.entry(pin_key(&action.protocol)).or_default().insert(name.clone());
        self.actions.insert(name, action);
        old
    }

    /// Takes an action's current revision out; its revisions stay.
    pub(crate) fn take_action(&mut self, id: ActionId) -> Option<Arc<Action>> {
        let name = self.names_of.remove(&id)?;
        let old = self.actions.remove(&name)?;
        let key = pin_key(&old.protocol);
        if let Some(names) = self.actions_on.get_mut(&key) {
            names.remove(&name);
            if names.is_empty() {
                self.actions_on.remove(&key);
            }
        }
        Some(old)
    }

    /// The current revision of an action.
    pub(crate) fn action(&self, id: ActionId) -> Option<&Arc<Action>> {
        self.actions.get(self.names_of.get(&id)?)
    }

    /// Puts a protocol in, with its component.
    pub(crate) fn put_protocol(&mut self, protocol: Arc<Protocol>, component: Bytes) {
        let key = pin_key(&protocol.pin());
        self.protocols_with.entry(protocol.digest).or_default().insert(key.clone());
        self.components.entry(protocol.digest).or_insert(component);
        self.protocols.insert(key, protocol);
    }

    /// Takes a protocol out, and its component if no other protocol has it.
    pub(crate) fn take_protocol(&mut self, key: &PinKey) -> Option<(Arc<Protocol>, Bytes)> {
        let protocol = self.protocols.remove(key)?;
        let keys = self.protocols_with.entry(protocol.digest).or_default();
        keys.remove(key);
        let component = if keys.is_empty() {
            self.protocols_with.remove(&protocol.digest);
            self.components.remove(&protocol.digest)
        } else {
            self.components.get(&protocol.digest).cloned()
        };
        Some((protocol, component.unwrap_or_default()))
    }
}
