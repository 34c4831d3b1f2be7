//! Commits behind which something has to happen, wherever the caller is by then.
//!
//! A caller that hangs up takes its own future with it, at any point where that waits. What is committed
//! by then stays; so what has to follow a commit is not left to that future.

use crate::{Engine, view::ExecutionView};
use action_domain::repositories::{CommitError, StoreUnavailable, UnitOfWork};

impl Engine {
    /// Commits a unit, and lets `tell` know whether it was written. Of one that failed that is not sure: what it
    /// would have changed is to be forgotten then too.
    pub(crate) async fn commit_and(
        &self,
        unit: UnitOfWork,
        tell: impl FnOnce(&Engine, bool) + Send + 'static,
    ) -> Result<(), CommitError> {
        let engine = self.clone();
        let committing = self.inner.tasks.spawn(async move {
            let committed = engine.store().commit(unit).await.map(drop);
            tell(&engine, committed.is_ok());
            committed
        });
        committing.await.unwrap_or_else(|error| Err(StoreUnavailable(error.to_string()).into()))
    }

    /// The same for the end of an execution that does not run.
    pub(crate) async fn commit_and_announce(&self, unit: UnitOfWork, view: ExecutionView) -> Result<(), CommitError> {
        self.commit_and(unit, |engine, written| engine.announce(written.then_some(view))).await
    }
}
