//! Dispatch over a broker: what is due is offered to it, and workers pull what it carries.
//!
//! The store stays the truth. What the broker lost is offered again, what it doubled is not
//! claimed twice, and the worker's own look at the queue goes on beside it.

use crate::{Engine, EngineError};
use action_domain::services::{BrokerUnavailable, Carried};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// Executions that are offered at once.
const OFFER_MAX: u32 = 500;
/// The broker is offered nothing while it has this many: what ten workers take in a second. All
/// others wait in the store only, so that offering does not grow with what waits.
const CARRIED_MAX: u64 = 5_000;
/// What nobody claimed is offered again after this.
const OFFER_AGAIN: Duration = Duration::from_secs(30);
/// How often is looked for something to offer, if nobody rings.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a pull waits for something to come.
const PULL_WAIT: Duration = Duration::from_secs(5);
/// After the broker or the store was unavailable.
const BACK_OFF: Duration = Duration::from_secs(1);

/// What the broker was offered.
enum Offered {
    /// It has enough.
    Nothing,
    /// As many as it may be offered at once: there may be more.
    AsManyAsMayBe,
    /// All that is due.
    AllThatIsDue,
}

fn unavailable(error: BrokerUnavailable) -> EngineError {
    EngineError::Unavailable(error.to_string())
}

impl Engine {
    pub(crate) async fn offer_to_broker(self) {
        loop {
            let offered = self.offer_what_is_due().await;
            // While it has enough, something new is nothing to offer at once.
            let has_enough = matches!(offered, Ok(Offered::Nothing));
            let pause = match offered {
                Ok(Offered::AsManyAsMayBe) => Duration::ZERO,
                Ok(Offered::Nothing | Offered::AllThatIsDue) => LOOK_EVERY,
                Err(error) => {
                    tracing::error!(%error, "engine.broker.offer");
                    self.inner.broker_well.store(false, Ordering::Relaxed);
                    self.inner.queued.notify_one();
                    BACK_OFF
                }
            };
            tokio::select! {
                () = self.inner.stopping.cancelled() => return,
                () = self.inner.offers.notified(), if !has_enough => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn offer_what_is_due(&self) -> Result<Offered, EngineError> {
        let Some(broker) = &self.inner.parts.broker else { return Ok(Offered::Nothing) };
        // Not in small pieces: to find the next ones, the store passes by all that were offered.
        if broker.backlog().await.map_err(unavailable)? + u64::from(OFFER_MAX) > CARRIED_MAX {
            return Ok(Offered::Nothing);
        }
        let now = self.now();
        let due = self.store().offer(now, now.minus(OFFER_AGAIN), OFFER_MAX).await?;
        if !due.is_empty() {
            broker.publish(&due).await.map_err(unavailable)?;
        }
        Ok(if due.len() == OFFER_MAX as usize { Offered::AsManyAsMayBe } else { Offered::AllThatIsDue })
    }

    pub(crate) async fn pull_from_broker(self) {
        loop {
            let turn = tokio::select! {
                () = self.inner.stopping.cancelled() => return,
                pulled = self.pull() => pulled,
            };
            // What is claimed is not forgotten, also where the process is told to end meanwhile.
            let turn = match turn {
                Ok((permits, carried)) => self.run_carried(permits, carried).await,
                Err(error) => Err(error),
            };
            self.inner.broker_well.store(turn.is_ok(), Ordering::Relaxed);
            if let Err(error) = turn {
                tracing::error!(%error, "engine.broker.pull");
                // Whoever looks at the queue itself takes over.
                self.inner.queued.notify_one();
                if !self.pause(BACK_OFF).await {
                    return;
                }
            }
        }
    }

    /// Whether a broker carries what is due, as far as is known.
    pub(crate) fn broker_is_well(&self) -> bool {
        self.inner.parts.broker.is_some() && self.inner.broker_well.load(Ordering::Relaxed)
    }

    /// As many as there is room for.
    async fn pull(&self) -> Result<(Vec<OwnedSemaphorePermit>, Vec<Box<dyn Carried>>), EngineError> {
        let Some(broker) = &self.inner.parts.broker else { return Ok(Default::default()) };
        let permits = self.permits().await?;
        let carried = broker.pull(permits.len(), PULL_WAIT).await.map_err(unavailable)?;
        Ok((permits, carried))
    }

    async fn run_carried(
        &self,
        permits: Vec<OwnedSemaphorePermit>,
        carried: Vec<Box<dyn Carried>>,
    ) -> Result<(), EngineError> {
        if carried.is_empty() {
            return Ok(());
        }
        let only = carried.iter().map(|carried| carried.execution()).collect();
        let claimed = self.store().claim(self.claim_of(permits.len() as u32, None, Some(only))).await?;
        self.run_all(claimed.executions, permits);
        // Whatever was not claimed is not due any more, or is offered again at its time.
        for carried in carried {
            Carried::done(carried).await.map_err(unavailable)?;
        }
        Ok(())
    }
}
