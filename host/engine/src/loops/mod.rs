//! The work that nobody calls for: taking what is due, keeping leases, listening to other
//! processes, taking up what was lost, firing schedules, reacting to events, and sealing what happened.

mod broker;
mod continuous;
mod follow;
mod leases;
mod maintenance;
mod reactions;
mod schedules;
mod sealing;
mod signals;
mod worker;

use crate::{Engine, EngineError, running::Stop};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// How long attempts that are stopped at the end have to write down that they were.
const RELEASE: Duration = Duration::from_secs(5);

impl Engine {
    /// Takes up what an earlier process left behind, then begins to take what is due.
    pub async fn start(&self) -> Result<(), EngineError> {
        let except = self.inner.parts.exclusive_store.then_some(self.inner.worker);
        let recovered = self.recover_abandoned(except).await?;
        if recovered > 0 {
            tracing::info!(executions = recovered, "engine.start.recovered");
        }
        let parts = &self.inner.parts;
        self.spawn(Self::maintain);
        self.spawn(Self::fire_schedules);
        self.spawn(Self::react_to_events);
        self.spawn(Self::keep_continuous);
        if self.seals() {
            self.spawn(Self::seal_log);
        }
        if parts.runs_attempts {
            self.spawn(Self::work);
        }
        if !parts.exclusive_store {
            self.spawn(Self::listen);
            self.spawn(Self::follow_ends);
            // Not waited for at the end: it ends behind the last attempt.
            tokio::spawn(self.clone().keep_leases());
        }
        if parts.broker.is_some() {
            self.spawn(Self::offer_to_broker);
            if parts.runs_attempts {
                self.spawn(Self::pull_from_broker);
            }
        }
        Ok(())
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, work: impl FnOnce(Self) -> F) {
        self.inner.tasks.spawn(work(self.clone()));
    }

    /// Takes nothing more and lets attempts finish for as long as `grace`; what has not is stopped
    /// and given back, so that others go on with it at once. Whether everything has ended.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        // What never ends by itself is given back at once.
        self.inner.running.stop_endless(Stop::Released);
        self.inner.waiting.close_idle(|id| self.inner.running.has(id));
        if tokio::time::timeout(grace, self.inner.tasks.wait()).await.is_ok() {
            return true;
        }
        self.inner.running.stop_all(Stop::Released);
        let ended = tokio::time::timeout(RELEASE, self.inner.tasks.wait()).await.is_ok();
        // Whoever still waits is told how it stands; others go on with it.
        self.inner.waiting.close();
        ended
    }

    /// Looks at the queue now, for instance because the clock was moved.
    pub fn wake(&self) {
        self.ring();
        self.inner.triggers.notify_waiters();
    }

    /// The right to run an attempt.
    pub(crate) async fn attempt_permit(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        // The semaphore is never closed.
        self.inner.attempts.clone().acquire_owned().await.map_err(|error| EngineError::Internal(error.to_string()))
    }

    /// Sleeps, unless the service stops. Whether it does not.
    pub(crate) async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.inner.stopping.cancelled() => false,
            () = tokio::time::sleep(time) => true,
        }
    }
}
