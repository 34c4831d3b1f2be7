//! The log with its seals, as an audit reads it.

use crate::MemoryStore;
use action_domain::{
    audit::{Logged, Seal},
    digest::Digest,
    event::Position,
    id::ExecutionId,
    repositories::{LogReader, PrunedPosition, Reader as _, StoreUnavailable},
};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Bound::{Excluded, Unbounded};

#[async_trait]
impl LogReader for MemoryStore {
    async fn logged(&self, after: Option<Position>, limit: u32) -> Result<Vec<Logged>, StoreUnavailable> {
        Ok(self.read().log.logged(after, limit as usize))
    }

    async fn pruned(&self, after: Option<Position>, limit: u32) -> Result<Vec<PrunedPosition>, StoreUnavailable> {
        let from = after.map_or(Unbounded, Excluded);
        let state = self.read();
        let rest = state.pruned.range((from, Unbounded)).take(limit as usize);
        Ok(rest.map(|(position, (by, of))| PrunedPosition { position: *position, by: *by, of: *of }).collect())
    }

    async fn left_of(&self, execution: ExecutionId) -> Result<Option<Position>, StoreUnavailable> {
        Ok(self.read().log.first_of(execution))
    }

    async fn seals(&self, after: Option<u64>, limit: u32) -> Result<Vec<Seal>, StoreUnavailable> {
        let from = after.map_or(Unbounded, Excluded);
        let state = self.read();
        let rest = state.seals.range((from, Unbounded)).take(limit as usize);
        Ok(rest.map(|(_, (seal, _))| seal.clone()).collect())
    }

    async fn leaves(&self, sequence: u64) -> Result<Option<Bytes>, StoreUnavailable> {
        Ok(self.read().seals.get(&sequence).map(|(_, leaves)| leaves.clone()))
    }

    async fn last_seal(&self) -> Result<Option<Seal>, StoreUnavailable> {
        Ok(self.read().last_seal().cloned())
    }

    async fn seal_over(&self, position: Position) -> Result<Option<Seal>, StoreUnavailable> {
        let state = self.read();
        let seals = state.seals.values().rev().map(|(seal, _)| seal);
        Ok(seals.into_iter().find(|seal| seal.first <= position).cloned())
    }

    async fn kept_payload(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        self.payload(digest).await
    }
}
