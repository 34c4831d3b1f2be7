//! What is stored, as traits. Their rules are what every store must keep; the conformance
//! suite in `testkit` checks each of them on each store.
//!
//! Writing is one verb. A use case builds a [`UnitOfWork`] as a value and commits it: all of
//! it or nothing. Each [`Write`] that depends on what was read names what it believes (a lease,
//! a revision), and the store MUST refuse the whole unit when that no longer holds.
//!
//! To add a store: implement [`Store`] in a crate of its own, run the conformance suite on it,
//! and name it in the server's `compose.rs`.
//! To add a method: the conformance case first, then the trait, then each store.

mod log;
mod read;
mod unit;

pub use log::{LogReader, PrunedPosition};
pub use read::{
    ActionFilter, ActionKey, Claim, Claimed, EventFilter, ExecutionFilter, NoSignals, Page, Positions, Reader, Signal,
    Signals, StoreUnavailable,
};
pub use unit::{CommitError, Conflict, Fire, IdempotencyKey, USERS_TOLD_MAX, UnitOfWork, Write};

use crate::{
    audit::{PositionsDigest, Removed, RemovedDigest},
    digest::Digest,
    event::{NewEvent, Position},
    id::ExecutionId,
    time::Timestamp,
};
use async_trait::async_trait;

/// Everything that the service keeps.
#[async_trait]
pub trait Store: Reader + LogReader + Send + Sync {
    /// Does all of `unit` or nothing.
    ///
    /// - MUST be durable when it returns `Ok`: what was committed survives `kill -9` and loss of
    ///   power (the memory store excepted, which says so).
    /// - MUST give the events of one unit consecutive positions, in their order.
    /// - MUST refuse with the first [`Conflict`] in the order of the writes, and then leave
    ///   nothing of the unit behind.
    /// - MAY do several units in one transaction of the database.
    ///
    /// Returns the position of the unit's last event, or of the log's if the unit has none.
    async fn commit(&self, unit: UnitOfWork) -> Result<Position, CommitError>;

    /// Takes executions that are due and whose turn it is (see [`crate::turn`]), and commits the
    /// beginning of an attempt for each: status `running`, `attempt` one more, `started_at` if it is
    /// the first, no `run_at`, neither aside nor counted, the lease of `claim`, and an
    /// `attempt_started` event.
    ///
    /// - Actions take turns in the order of their ids, from behind `claim.after` and around; each
    ///   gives up to its priority's share in its turn, first attempts before retries, the smaller
    ///   `run_at` first. There are as many rounds as there is room for.
    /// - What may not begin is moved as [`crate::turn::Verdict`] says: to its time, or aside (due
    ///   again when that says). What is too late is left where it is.
    /// - MUST NOT give the same execution to two callers, nor more of an action than it allows,
    ///   whatever other processes claim meanwhile.
    /// - MUST NOT take more than `claim.limit`.
    async fn claim(&self, claim: Claim) -> Result<Claimed, StoreUnavailable>;

    /// Names executions that are due and were not named since `again_before`, with the attempt that
    /// would begin, and notes that they were named now: for a broker, which carries them to workers.
    async fn offer(
        &self,
        now: Timestamp,
        again_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(ExecutionId, u32)>, StoreUnavailable>;

    /// Removes executions that ended before a time, the oldest first, with their events, their
    /// idempotency keys, and payloads that nothing refers to any more. The only way in which an
    /// event goes. Positions of what stays do not change. If there was anything, the event of
    /// `prune` is appended with it, and each position that is empty now is kept with that event's id and the execution
    /// ([`LogReader::pruned`]).
    ///
    /// - What still holds something up stays ([`Execution::blocks_its_order`](crate::execution::Execution::blocks_its_order)): who removed it would
    ///   let begin what must not.
    /// - So does what has an event that happened then or later: when events happened is sealed, and when
    ///   their execution ended is not.
    /// - So does what a key younger than [`IDEMPOTENCY_KEY_FOR`](crate::limits::IDEMPOTENCY_KEY_FOR)
    ///   leads to: the same trigger again would be another execution.
    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreUnavailable>;
}

/// What is to be removed.
pub struct Prune {
    /// Executions that ended before this.
    pub before: Timestamp,
    /// The time: from it, the age of idempotency keys.
    pub now: Timestamp,
    /// Only executions all of whose events stand at or before this: what is not sealed yet stays.
    pub through: Position,
    /// At most this many executions.
    pub limit: u32,
    /// The event that records it.
    pub recorded: Box<dyn Fn(Pruned) -> NewEvent + Send + Sync>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Executions.
    pub executions: u64,
    /// Events.
    pub events: u64,
    /// Payloads.
    pub payloads: u64,
    /// Which positions the events had: see [`PositionsDigest`](crate::audit::PositionsDigest).
    pub positions: Option<Digest>,
    /// What they were: see [`RemovedDigest`](crate::audit::RemovedDigest).
    pub removed: Option<Digest>,
}

impl Pruned {
    /// So many executions and payloads, and these events, which are brought into their order.
    pub fn of(executions: u64, payloads: u64, events: &mut [Removed]) -> Self {
        events.sort_unstable_by_key(|event| event.position);
        let positions: Vec<Position> = events.iter().map(|event| event.position).collect();
        Self {
            executions,
            events: events.len() as u64,
            payloads,
            positions: PositionsDigest::of(&positions),
            removed: RemovedDigest::of(events),
        }
    }
}
