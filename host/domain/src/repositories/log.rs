//! Reading the log as an audit does: everything that stands there, whoever wrote it, with its seals.

use super::StoreUnavailable;
use crate::{
    audit::{Logged, Seal},
    digest::Digest,
    event::Position,
    id::{EventId, ExecutionId},
};
use async_trait::async_trait;
use bytes::Bytes;

/// A position whose event a prune removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrunedPosition {
    /// The position.
    pub position: Position,
    /// The event that records the prune.
    pub by: EventId,
    /// The execution that the event belonged to.
    pub of: Option<ExecutionId>,
}

/// The log with its seals. A store implements it for whoever seals, and gives a reader apart, over
/// one state of the database, to whoever verifies without a service.
///
/// What a hand has been at is [`Logged::Damaged`] and no error: to find it is what this is for.
#[async_trait]
pub trait LogReader: Send + Sync {
    /// What stands at positions, in their order: from the very first that there is, or behind
    /// `after`.
    async fn logged(&self, after: Option<Position>, limit: u32) -> Result<Vec<Logged>, StoreUnavailable>;

    /// Positions that prunes left empty, in their order.
    async fn pruned(&self, after: Option<Position>, limit: u32) -> Result<Vec<PrunedPosition>, StoreUnavailable>;

    /// A position at which an event of this execution stands.
    async fn left_of(&self, execution: ExecutionId) -> Result<Option<Position>, StoreUnavailable>;

    /// Seals in their order.
    async fn seals(&self, after: Option<u64>, limit: u32) -> Result<Vec<Seal>, StoreUnavailable>;

    /// The leaves of a seal, one after the other, as they were given with it.
    async fn leaves(&self, sequence: u64) -> Result<Option<Bytes>, StoreUnavailable>;

    /// The last seal.
    async fn last_seal(&self) -> Result<Option<Seal>, StoreUnavailable>;

    /// The last seal that begins at or before a position: the one that covers it, if any does.
    async fn seal_over(&self, position: Position) -> Result<Option<Seal>, StoreUnavailable>;

    /// A payload that is kept apart. ([`Reader`](super::Reader) has the same for those who run the service.)
    async fn kept_payload(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable>;
}
