//! Writing: a unit of work as a value.

use super::StoreUnavailable;
use crate::{
    action::Action,
    audit::Seal,
    consumer::Consumer,
    digest::Digest,
    event::{NewEvent, Position},
    execution::{Execution, Lease, Status, WorkerId},
    id::{ActionId, ExecutionId, TokenId},
    name::Name,
    protocol::{Pin, Protocol},
    secret::Secret,
    time::Timestamp,
    token::Token,
    trigger::Standing,
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};

/// Writes that happen together or not at all.
#[derive(Debug, Clone, Default)]
pub struct UnitOfWork {
    /// In their order.
    pub writes: Vec<Write>,
    /// Appended to the log, in their order, after the writes.
    pub events: Vec<NewEvent>,
}

impl UnitOfWork {
    /// Nothing so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more write.
    pub fn write(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    /// With one more event.
    pub fn event(mut self, event: NewEvent) -> Self {
        self.events.push(event);
        self
    }
}

/// One change. Those that can clash say in their name what they believe.
#[derive(Debug, Clone)]
pub enum Write {
    /// Adds a protocol and its component; [`Conflict::VersionExists`] if that version is there,
    /// [`Conflict::VersionWasOther`] if it was there and was other bytes: revisions of actions and old
    /// executions still name it.
    AddProtocol(Box<Protocol>, Bytes),
    /// Removes a protocol; [`Conflict::NotFound`], or [`Conflict::InUse`] while the current
    /// revision of an action pins it or an execution that has not ended does. The component's
    /// bytes go when no protocol has them any more.
    RemoveProtocolIfUnused(Pin),
    /// Adds an action with revision 1; [`Conflict::NameTaken`] if another action has its name,
    /// [`Conflict::SecretMissing`] if a secret is not there that its config names.
    AddAction(Box<Action>),
    /// Adds a revision to an action whose current one is the one before;
    /// [`Conflict::NotFound`], [`Conflict::RevisionMismatch`], [`Conflict::NameTaken`],
    /// [`Conflict::SecretMissing`].
    AddRevisionIfCurrent(Box<Action>),
    /// Removes an action, if that is its current revision; its revisions stay readable by id.
    /// [`Conflict::NotFound`], [`Conflict::RevisionMismatch`].
    RemoveActionIfCurrent(ActionId, u32),
    /// Keeps a payload by its digest; the same one twice is kept once.
    AddPayload(Digest, Bytes),
    /// Adds an execution. Its id is new, and is a UUIDv7 of the time that `created_at` says, give
    /// or take a day: stores bound what [`ExecutionFilter`](super::ExecutionFilter) asks of times
    /// by ids.
    AddExecution(Box<Execution>),
    /// Replaces a running execution, if `Lease`'s worker and attempt still have it (its time
    /// does not count: whoever takes over changes the lease); else [`Conflict::LeaseLost`].
    /// [`Conflict::CancelRequested`] where somebody wants it stopped and it would go on without
    /// saying so: a request that was accepted is not written over. What
    /// an execution is (action, revision, protocol, correlation, trace, creation) never changes,
    /// and stores need not write it again.
    UpdateExecutionIfLeased(Box<Execution>, Lease),
    /// Replaces an execution that has this status and attempt; else [`Conflict::StatusMismatch`].
    UpdateExecutionIfStatus(Box<Execution>, Status, u32),
    /// Changes nothing; [`Conflict::LeaseLost`] where an execution is not running under `Lease`'s
    /// worker and attempt.
    RequireLease(ExecutionId, Lease),
    /// Notes that somebody wants a running execution stopped, if this attempt of it runs; else
    /// [`Conflict::StatusMismatch`]. Its worker gets a signal.
    RequestCancelIfRunning(ExecutionId, u32),
    /// Makes the leases that a worker still has of these executions last until then, if that is later.
    RenewLeases(WorkerId, Vec<ExecutionId>, Timestamp),
    /// Makes executions of an action due now that are set aside: the oldest
    /// [`CALLED_BACK_MAX`](crate::turn::CALLED_BACK_MAX) of all and, where a key is given, the oldest
    /// with that key.
    CallBack(ActionId, Option<Arc<str>>, Timestamp),
    /// A remote asked the action to wait: no claim begins an execution of it before this. Never
    /// to an earlier time.
    SlowDown(ActionId, Timestamp),
    /// Ends what a remote asked the action for, if one did.
    EndPause(ActionId),
    /// The action's pace begins anew, as if nothing had been counted.
    ForgetPace(ActionId),
    /// Remembers which execution a trigger led to; [`Conflict::KeyUsed`] if the action has the
    /// key, and got it less than [`IDEMPOTENCY_KEY_FOR`](crate::limits::IDEMPOTENCY_KEY_FOR) before.
    AddIdempotencyKey(Box<IdempotencyKey>),
    /// Puts a secret's next version in the place of the one before, if that is its current one, or
    /// adds one: version 1, or of a name that was deleted the version behind its last, so that none
    /// comes back. Else [`Conflict::RevisionMismatch`] with the current or last one, 0 for none.
    SetSecretIfCurrent(Box<Secret>),
    /// Puts the same version of a secret back, sealed anew, if it is the current one; else
    /// [`Conflict::RevisionMismatch`].
    ResealSecretIfCurrent(Box<Secret>),
    /// Removes a secret, if this is its current version; [`Conflict::NotFound`],
    /// [`Conflict::RevisionMismatch`], or [`Conflict::InUse`] while current revisions of actions name
    /// it: the first [`USERS_TOLD_MAX`] by name, with commas.
    RemoveSecretIfUnused(Name, u32),
    /// Adds a token. Its id is new.
    AddToken(Box<Token>),
    /// Removes a token; [`Conflict::NotFound`]. From the answer on no read gives it.
    RemoveToken(TokenId),
    /// Appends a seal with its leaves, if its number is the one behind the last seal's and it names
    /// that one's hash (the first one: number 1 and no hash); else [`Conflict::NotNextSeal`]. Seals
    /// are never changed and never removed.
    AppendSealIfNext(Box<Seal>, Bytes),
    /// Puts these in the place of all triggers that an action has, with what is known of those that stay
    /// ([`carried_over`](crate::trigger::carried_over)); stands behind the write that saves the action.
    /// [`Conflict::PathTaken`] where another action has a path. (Removing an action removes
    /// its triggers, its values and its keys of items; of an action that is not there none is kept.)
    SetTriggers(ActionId, Vec<Standing>),
    /// A schedule fired: changes when it is due next and what it last led to, if it is there and due
    /// when this believes; else [`Conflict::FiredBefore`].
    FireIfDue(Box<Fire>),
    /// One more use of a trigger (an action's, of this identity), if that is not more than the number
    /// here; else [`Conflict::UsedUp`], also where it is gone.
    UseTrigger(ActionId, Digest, u32),
    /// Notes the execution of a trigger that there is one of, if it led to this one before; else
    /// [`Conflict::FiredBefore`].
    RestartIfLast(ActionId, Digest, Option<ExecutionId>, ExecutionId),
    /// Notes that an action captured items with these keys; [`Conflict::ItemKnown`] if it did so
    /// before with one of them.
    AddItemKeys(ActionId, Vec<Arc<str>>),
    /// Sets values that an action keeps, or removes them.
    SetValues(ActionId, BTreeMap<String, Option<Bytes>>),
    /// Adds a consumer that begins behind this position, or changes what one reads and leaves it where
    /// it stands, made when it was. [`Conflict::TooMany`] beyond
    /// [`CONSUMERS_MAX`](crate::consumer::CONSUMERS_MAX).
    PutConsumer(Box<Consumer>, Position),
    /// Removes a consumer; [`Conflict::NotFound`].
    RemoveConsumer(Name),
    /// A consumer goes on behind this position; never back. [`Conflict::NotFound`].
    Acknowledge(Name, Position),
    /// Moves a reader of the service's own from where it stands, if it does (`None`: it is not there),
    /// to another place (`None`: away); else [`Conflict::CursorMoved`].
    MoveCursorIf(Arc<str>, Option<Position>, Option<Position>),
}

/// A schedule that fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fire {
    /// The action.
    pub action: ActionId,
    /// Which of its triggers, wherever it stands.
    pub identity: Digest,
    /// When it was due.
    pub due_at: Timestamp,
    /// When it is due next.
    pub next: Option<Timestamp>,
    /// What it led to, if to anything; else what is known of that stays.
    pub last: Option<ExecutionId>,
}

/// As many actions are named that still use a secret.
pub const USERS_TOLD_MAX: u32 = 10;

/// A trigger's idempotency key and what it led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The action that was called.
    pub action: ActionId,
    /// The caller's key.
    pub key: Arc<str>,
    /// Of what came with it: another body under the same key is a mistake.
    pub fingerprint: Digest,
    /// What it led to.
    pub execution: ExecutionId,
    /// When the trigger came.
    pub created_at: Timestamp,
}

/// Why a unit was refused. Nothing of it happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Another action has the name.
    #[error("another action has this name")]
    NameTaken,
    /// The protocol's version is there already.
    #[error("this version is there already")]
    VersionExists,
    /// The version was removed, and was another component.
    #[error("this version was another component before it was removed")]
    VersionWasOther,
    /// The current revision is another one.
    #[error("the current revision is {current}")]
    RevisionMismatch {
        /// The current revision.
        current: u32,
    },
    /// What should be changed is not there.
    #[error("not found")]
    NotFound,
    /// The protocol is still needed, for instance by this action.
    #[error("in use by {by}")]
    InUse {
        /// An action's name or an execution's id.
        by: String,
    },
    /// An action names a secret that is not there.
    #[error("there is no secret {0}")]
    SecretMissing(Name),
    /// Somebody else has the execution now, or it has ended.
    #[error("the lease is lost")]
    LeaseLost,
    /// A trigger with this key came before.
    #[error("a trigger with this idempotency key led to {}", .0.execution)]
    KeyUsed(Box<IdempotencyKey>),
    /// Somebody wants the execution stopped, and it would go on.
    #[error("somebody wants the execution stopped")]
    CancelRequested,
    /// The execution has moved on.
    #[error("the execution's status has changed")]
    StatusMismatch,
    /// Another process sealed first.
    #[error("the chain has another last seal")]
    NotNextSeal,
    /// Another action's webhook has this path.
    #[error("another action has a webhook at {0}")]
    PathTaken(String),
    /// Another process was quicker, or the trigger is gone.
    #[error("the trigger fired before")]
    FiredBefore,
    /// The trigger was used as often as it may be.
    #[error("the trigger is used up")]
    UsedUp,
    /// The action has captured one of these items before.
    #[error("an item was captured before")]
    ItemKnown,
    /// There are as many as there may be.
    #[error("there are too many")]
    TooMany,
    /// Another process reads there.
    #[error("the cursor is elsewhere")]
    CursorMoved,
}

/// Why nothing was committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// What the unit believed does not hold.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The store cannot be used.
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
}
