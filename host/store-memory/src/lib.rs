//! The repositories in memory: a store like the others, for trying things out and for tests
//! that need no disk (`ACTION_SERVICE_DATABASE_URL=memory:`).
//!
//! It keeps every rule of [`action_domain::repositories`] but one: it is **not durable**. What
//! was committed is gone with the process, and all of it has to fit into memory. It is no mock:
//! it has an index for each query, and the conformance suite runs on it as on a database.
//!
//! [`state`] holds what is stored and its indexes, [`write`] changes it with an undo for each
//! change, [`read`] answers, [`claim`] is the queue.

mod audit;
mod capture;
mod claim;
mod consumers;
mod log;
mod prune;
mod read;
mod secrets;
mod state;
mod triggers;
mod write;

use action_domain::{
    event::Position,
    id::ExecutionId,
    repositories::{Claim, Claimed, CommitError, Positions, Prune, Pruned, Store, StoreUnavailable, UnitOfWork},
    time::Timestamp,
};
use async_trait::async_trait;
use state::State;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// Everything in memory. Not durable.
#[derive(Debug)]
pub struct MemoryStore {
    state: RwLock<State>,
    positions: watch::Sender<Position>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self { state: RwLock::default(), positions: watch::Sender::new(0) }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        // Only a closure of `Claim` can panic under the lock, and it runs before any change.
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells followers, while the lock is still held: so positions are announced in order.
    fn announce(&self, state: &State) {
        let end = state.log.last_position();
        self.positions.send_if_modified(|position| std::mem::replace(position, end) != end);
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, unit: UnitOfWork) -> Result<Position, CommitError> {
        let mut state = self.write();
        let position = state.commit(unit)?;
        self.announce(&state);
        Ok(position)
    }

    async fn claim(&self, claim: Claim) -> Result<Claimed, StoreUnavailable> {
        let mut state = self.write();
        let claimed = state.claim(&claim);
        self.announce(&state);
        Ok(claimed)
    }

    async fn offer(
        &self,
        now: Timestamp,
        again_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(ExecutionId, u32)>, StoreUnavailable> {
        Ok(self.write().offer(now, again_before, limit))
    }

    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreUnavailable> {
        let mut state = self.write();
        let pruned = state.prune(&prune);
        self.announce(&state);
        Ok(pruned)
    }
}

/// Follows the end of the log.
struct Follow(watch::Receiver<Position>);

#[async_trait]
impl Positions for Follow {
    async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}
