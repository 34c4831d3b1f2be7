//! Takes executions that are due and runs them.

use crate::{Engine, EngineError};
use action_domain::{
    event::{Fact, NewEvent},
    execution::{Execution, Lease},
    limits::LEASE_MARGIN,
    repositories::Claim,
};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Most executions that are taken at once.
const CLAIM_MAX: usize = 64;
/// The queue is looked at this often even when nobody rings: a missed ring costs time, not work.
const POLL_EVERY: Duration = Duration::from_secs(10);
/// After the store was unavailable.
const BACK_OFF: Duration = Duration::from_secs(1);

impl Engine {
    pub(crate) async fn work(self) {
        let stopping = self.inner.stopping.clone();
        loop {
            let turn = tokio::select! {
                () = stopping.cancelled() => return,
                turn = self.take_and_run() => turn,
            };
            let pause = match turn {
                Ok(0) => self.until_due().await,
                Ok(_) => continue,
                Err(error) => {
                    tracing::error!(%error, "engine.worker.claim");
                    BACK_OFF
                }
            };
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.inner.queued.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Takes as many as there is room for, at least one; how many it got.
    async fn take_and_run(&self) -> Result<usize, EngineError> {
        let mut permits: Vec<OwnedSemaphorePermit> = vec![self.attempt_permit().await?];
        while permits.len() < CLAIM_MAX {
            match self.inner.attempts.clone().try_acquire_owned() {
                Ok(permit) => permits.push(permit),
                Err(_) => break,
            }
        }
        let taken = self.claim(permits.len() as u32).await?;
        let count = taken.len();
        for (execution, permit) in taken.into_iter().zip(permits) {
            let engine = self.clone();
            self.inner.tasks.spawn(async move {
                let view = engine.run_claimed(execution).await;
                drop(permit);
                engine.announce(view);
            });
        }
        Ok(count)
    }

    async fn claim(&self, limit: u32) -> Result<Vec<Execution>, EngineError> {
        let now = self.now();
        let worker = self.inner.worker;
        let (engine, random) = (self.clone(), self.inner.parts.random.clone());
        let claim = Claim {
            now,
            limit,
            lease: Box::new(move |execution| {
                let limits = engine.known_limits(execution.action, execution.revision);
                let limits = limits.unwrap_or(engine.inner.parts.limits.ceiling);
                Lease { worker, attempt: execution.attempt + 1, until: now.plus(limits.timeout() + LEASE_MARGIN) }
            }),
            started: Box::new(move |execution| {
                let context = crate::dispatch_action::context_of(execution, None);
                NewEvent::new(random.event_id(), now, context, &Fact::AttemptStarted { worker })
            }),
        };
        Ok(self.store().claim(claim).await?)
    }

    async fn until_due(&self) -> Duration {
        match self.reader().next_due().await {
            Ok(Some(due)) => due.since(self.now()).min(POLL_EVERY),
            Ok(None) => POLL_EVERY,
            Err(_) => BACK_OFF,
        }
    }
}
