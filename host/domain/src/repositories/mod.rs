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

mod read;
mod unit;

pub use read::{
    ActionFilter, ActionKey, Claim, EventFilter, ExecutionFilter, Page, Positions, Reader, StoreUnavailable,
};
pub use unit::{CommitError, Conflict, UnitOfWork, Write};

use crate::event::Position;
use async_trait::async_trait;

/// Everything that the service keeps.
#[async_trait]
pub trait Store: Reader + Send + Sync {
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

    /// Takes executions that are due, oldest `run_at` first, and commits the beginning of an
    /// attempt for each: status `running`, `attempt` one more, `started_at` if it is the first,
    /// the lease of `claim`, and an `attempt_started` event.
    ///
    /// - MUST NOT give the same execution to two callers.
    /// - MUST NOT take more than `claim.limit`.
    async fn claim(&self, claim: Claim) -> Result<Vec<crate::execution::Execution>, StoreUnavailable>;
}
