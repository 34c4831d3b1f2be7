//! Takes executions that are due and runs them.

use crate::{Engine, EngineError, running::Stop};
use action_domain::{
    event::{Fact, NewEvent},
    execution::{Execution, Lease},
    id::{ActionId, ExecutionId},
    limits::{LEASE_MARGIN, Limits},
    repositories::{Claim, Claimed},
    time::Timestamp,
};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Most executions that are taken at once.
const CLAIM_MAX: usize = 64;
/// The queue is looked at this often even when nobody rings: a missed ring costs time, not work.
const POLL_EVERY: Duration = Duration::from_secs(10);
/// The same in a store that other processes fill, whose rings can get lost on the way.
const POLL_SHARED_EVERY: Duration = Duration::from_secs(1);
/// The same where a broker carries what is due.
const POLL_BESIDE_BROKER_EVERY: Duration = Duration::from_secs(5);
/// After the store was unavailable.
const BACK_OFF: Duration = Duration::from_secs(1);

impl Engine {
    pub(crate) async fn work(self) {
        let stopping = self.inner.stopping.clone();
        let mut last = None;
        loop {
            let permits = tokio::select! {
                () = stopping.cancelled() => return,
                permits = self.permits() => permits,
            };
            // What is claimed is not forgotten, also where the process is told to end meanwhile.
            let turn = match permits {
                Ok(permits) => self.take_and_run(permits, last).await,
                Err(error) => Err(error),
            };
            let pause = match turn {
                Ok(claimed) => {
                    last = claimed.last.or(last);
                    if !claimed.drained {
                        continue;
                    }
                    self.until_due().await
                }
                Err(error) => {
                    tracing::error!(%error, "engine.worker.claim");
                    BACK_OFF
                }
            };
            // Where a broker carries what is due, the queue is looked at for what that left.
            let carried = self.broker_is_well();
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.inner.queued.notified() => {}
                () = tokio::time::sleep(if carried { POLL_BESIDE_BROKER_EVERY } else { pause }) => {}
            }
        }
    }

    /// Takes as many as there is room for.
    async fn take_and_run(
        &self,
        permits: Vec<OwnedSemaphorePermit>,
        last: Option<ActionId>,
    ) -> Result<Claimed, EngineError> {
        let claim = self.claim_of(permits.len() as u32, last, None);
        let mut claimed = self.store().claim(claim).await?;
        self.run_all(std::mem::take(&mut claimed.executions), permits);
        Ok(claimed)
    }

    /// The right to run attempts: one at least, as many as there are at most.
    pub(super) async fn permits(&self) -> Result<Vec<OwnedSemaphorePermit>, EngineError> {
        let mut permits = vec![self.attempt_permit().await?];
        while permits.len() < CLAIM_MAX {
            match self.inner.attempts.clone().try_acquire_owned() {
                Ok(permit) => permits.push(permit),
                Err(_) => break,
            }
        }
        Ok(permits)
    }

    pub(super) fn run_all(&self, taken: Vec<Execution>, permits: Vec<OwnedSemaphorePermit>) {
        for (execution, permit) in taken.into_iter().zip(permits) {
            let until = execution.lease.map_or_else(|| self.now(), |lease| lease.until);
            let place = self.inner.running.enter(execution.id, until);
            if self.inner.stopping.is_cancelled() {
                // Nothing of it has run: others go on with it at once.
                self.inner.running.stop(execution.id, Stop::Released);
            }
            let engine = self.clone();
            self.inner.tasks.spawn(async move {
                let view = engine.run_claimed(execution, permit, place).await;
                engine.announce(view);
            });
        }
    }

    pub(super) fn claim_of(&self, limit: u32, after: Option<ActionId>, only: Option<Vec<ExecutionId>>) -> Claim {
        let now = self.now();
        let worker = self.inner.worker;
        let (engine, random) = (self.clone(), self.inner.parts.random.clone());
        Claim {
            now,
            limit,
            only,
            after,
            lease: Box::new(move |execution| {
                let limits = engine.known_limits(execution.action, execution.revision);
                engine.lease_for(&limits.unwrap_or(engine.inner.parts.limits.ceiling), execution.attempt, now)
            }),
            started: Box::new(move |execution| {
                let context = crate::dispatch_action::context_of(execution, None);
                NewEvent::new(random.event_id(), now, context, &Fact::AttemptStarted { worker })
            }),
        }
    }

    /// The lease of an attempt that begins now. Where other processes watch it, it is short and
    /// renewed; where nobody else can, it is as long as the attempt may take.
    pub(crate) fn lease_for(&self, limits: &Limits, attempt: u32, now: Timestamp) -> Lease {
        let parts = &self.inner.parts;
        let length = if parts.exclusive_store { limits.timeout() + LEASE_MARGIN } else { parts.lease };
        Lease { worker: self.inner.worker, attempt, until: now.plus(length) }
    }

    async fn until_due(&self) -> Duration {
        let at_most = if self.inner.parts.exclusive_store { POLL_EVERY } else { POLL_SHARED_EVERY };
        match self.reader().next_due().await {
            // What is due and was not taken waits for its turn.
            Ok(Some(due)) => due.since(self.now()).clamp(Duration::from_millis(10), at_most),
            Ok(None) => at_most,
            Err(_) => BACK_OFF,
        }
    }
}
