//! A broker that carries the ids of due executions to workers.
//!
//! It carries names and no state: the store stays the only authority. Whatever a broker loses,
//! doubles or delays costs time and nothing else, since workers claim by id in the store and the
//! store offers again what nobody claimed.

use crate::id::ExecutionId;
use async_trait::async_trait;
use std::time::Duration;

/// The broker cannot be used now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the broker is unavailable: {0}")]
pub struct BrokerUnavailable(pub String);

/// Carries the ids of due executions.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Hands over executions, each with the attempt that would begin: the same pair again within
    /// the broker's window for duplicates is dropped. Returns when the broker has them for good.
    async fn publish(&self, due: &[(ExecutionId, u32)]) -> Result<(), BrokerUnavailable>;

    /// How many it has that nobody has dealt with: whoever hands over can see that it has enough.
    async fn backlog(&self) -> Result<u64, BrokerUnavailable>;

    /// Takes up to `limit`, waiting up to `wait` for the first.
    async fn pull(&self, limit: usize, wait: Duration) -> Result<Vec<Box<dyn Carried>>, BrokerUnavailable>;
}

/// A message from the broker.
#[async_trait]
pub trait Carried: Send {
    /// The execution that it names.
    fn execution(&self) -> ExecutionId;

    /// It was dealt with, or there is nothing to deal with any more: the broker may forget it.
    async fn done(self: Box<Self>) -> Result<(), BrokerUnavailable>;
}
