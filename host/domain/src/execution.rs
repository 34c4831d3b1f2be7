//! Executions: one run of an action, from its trigger to its end.
//!
//! The row that holds one is bookkeeping, and its place in the queue too: `queued` and
//! `waiting` executions are due at `run_at`, a `running` one belongs to its lease. History is
//! in the events.

use crate::{
    failure::ExecutionError,
    id::{ActionId, ExecutionId},
    protocol::Pin,
    receipt::Receipt,
    time::Timestamp,
    turn::Turn,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// Where an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// From its trigger, until a worker claims it.
    Queued,
    /// A worker has it, until its outcome is written or its lease is over.
    Running,
    /// After a failed attempt, until `run_at`.
    Waiting,
    /// Nobody knows whether it took effect; until it is resolved.
    InDoubt,
    /// Ended well.
    Succeeded,
    /// Ended badly: given up.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// Too late to begin.
    Expired,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::InDoubt,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::InDoubt => "in_doubt",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The status that this word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether nothing moves it any more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired)
    }
}

/// One run of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// The action.
    pub action: ActionId,
    /// The revision of the action that it began with and keeps.
    pub revision: u32,
    /// The protocol of that revision.
    pub protocol: Pin,
    /// Where it stands.
    pub status: Status,
    /// Attempts begun so far.
    pub attempt: u32,
    /// Ties together what belongs together across systems. Never empty.
    pub correlation_id: Arc<str>,
    /// W3C trace context of whoever set it off.
    pub traceparent: Option<Arc<str>>,
    /// When the trigger came.
    pub created_at: Timestamp,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it is due; only while `queued` or `waiting`.
    pub run_at: Option<Timestamp>,
    /// How it takes its turn.
    pub turn: Turn,
    /// Who runs it; only while `running`.
    pub lease: Option<Lease>,
    /// Somebody wants it stopped; only while `running`.
    pub cancel_requested: bool,
    /// Of the last failed attempt.
    pub error: Option<ExecutionError>,
    /// Of the last attempt that ended.
    pub receipt: Option<Receipt>,
}

impl Execution {
    /// Whether it ends, or says itself that it is to be stopped: then a request to stop it is not
    /// lost by writing it down like this.
    pub fn heeds_cancel(&self) -> bool {
        self.cancel_requested || self.status.is_terminal()
    }

    /// When it may begin, where it is queued and has been given a time: by its action's rate, or by a
    /// remote that asked to wait. What waits for another of its action has none.
    pub fn given_time(&self) -> Option<Timestamp> {
        let given = self.run_at.filter(|run_at| *run_at > self.created_at);
        given.filter(|_| self.status == Status::Queued && !self.turn.aside)
    }

    /// Whether it has failed and holds up those behind it, those too that are yet to come, until
    /// somebody retries or dismisses it.
    pub fn blocks_its_order(&self) -> bool {
        self.status == Status::Failed && self.turn.ordering_key.is_some() && self.turn.order_blocks
    }

    /// Its next attempt begins now; who runs it adds the lease.
    pub fn begin_attempt(&mut self, now: Timestamp) {
        self.status = Status::Running;
        self.attempt += 1;
        self.started_at = self.started_at.or(Some(now));
        self.run_at = None;
        self.cancel_requested = false;
        (self.turn.aside, self.turn.counted) = (false, false);
    }
}

/// The right to run an attempt and to write how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The process that has it; a new one at each start.
    pub worker: WorkerId,
    /// The attempt that it is for. Grows with every claim, so it fences off whoever lost a lease.
    pub attempt: u32,
    /// Others may take the execution over after this.
    pub until: Timestamp,
}

/// A process that runs executions.
pub type WorkerId = Uuid;
