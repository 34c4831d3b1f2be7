//! The work that nobody calls for: taking what is due, and taking up what was lost.

mod maintenance;
mod worker;

use crate::{Engine, EngineError};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

impl Engine {
    /// Takes up what an earlier process left behind, then begins to take what is due.
    pub async fn start(&self) -> Result<(), EngineError> {
        let except = self.inner.parts.exclusive_store.then_some(self.inner.worker);
        let recovered = self.recover_abandoned(except).await?;
        if recovered > 0 {
            tracing::info!(executions = recovered, "engine.start.recovered");
        }
        let (worker, maintenance) = (self.clone(), self.clone());
        self.inner.tasks.spawn(async move { worker.work().await });
        self.inner.tasks.spawn(async move { maintenance.maintain().await });
        Ok(())
    }

    /// Takes nothing more and lets attempts finish for as long as `grace`. Whether all did;
    /// what did not is taken up at the next start.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        tokio::time::timeout(grace, self.inner.tasks.wait()).await.is_ok()
    }

    /// Looks at the queue now, for instance because the clock was moved.
    pub fn wake(&self) {
        self.inner.queued.notify_one();
    }

    /// The right to run an attempt.
    pub(crate) async fn attempt_permit(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        // The semaphore is never closed.
        self.inner.attempts.clone().acquire_owned().await.map_err(|error| EngineError::Internal(error.to_string()))
    }
}
