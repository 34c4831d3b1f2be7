//! Takes up what a lost worker left behind.

use crate::{Engine, EngineError, cache::Ready, run_task::Concluded, view::ExecutionView};
use action_domain::{
    event::{Fact, NewEvent},
    execution::{Execution, WorkerId},
    failure::{Effect, ErrorCode, ExecutionError, Sent},
};

/// How many are looked at in one go.
const BATCH: u32 = 100;

impl Engine {
    /// Ends every attempt whose worker is gone, and decides what comes next like after any
    /// other attempt. `except`: whatever another worker than this one has is lost.
    ///
    /// How many were taken up.
    pub(crate) async fn recover_abandoned(&self, except: Option<WorkerId>) -> Result<usize, EngineError> {
        let mut recovered = 0;
        loop {
            let abandoned = self.reader().abandoned(self.now(), except, BATCH).await?;
            let found = abandoned.len();
            for execution in abandoned {
                // What runs here is not lost, whatever the clock says.
                if !self.inner.running.has(execution.id) {
                    self.recover(execution).await?;
                    recovered += 1;
                }
            }
            if found < BATCH as usize || self.inner.stopping.is_cancelled() {
                return Ok(recovered);
            }
        }
    }

    async fn recover(&self, execution: Execution) -> Result<(), EngineError> {
        let Some(lease) = execution.lease else { return Ok(()) };
        let ready = match self.ready_revision(execution.action, execution.revision).await {
            Ok(ready) => Some(ready),
            Err(error @ EngineError::Unavailable(_)) => return Err(error),
            Err(error) => {
                tracing::error!(execution = %execution.id, %error, "engine.recover.action");
                None
            }
        };
        tracing::warn!(execution = %execution.id, attempt = execution.attempt, worker = %lease.worker, "engine.recover.worker_lost");
        let view = self.abandon(execution, Vec::new(), ready.as_deref(), false).await;
        self.announce(view);
        Ok(())
    }

    /// Ends an attempt of which nobody will hear any more, and decides what comes next like after
    /// any other attempt. The lease is fenced: if the attempt ended after all, nothing is written.
    pub(crate) async fn abandon(
        &self,
        mut execution: Execution,
        mut events: Vec<NewEvent>,
        ready: Option<&Ready>,
        handed_on: bool,
    ) -> Option<ExecutionView> {
        let lease = execution.lease?;
        if execution.cancel_requested {
            return self.conclude_cancelled(execution, events).await;
        }
        let effect = ready.map_or(Effect::Unsafe, |ready| ready.action.effect);
        // Before an unsafe attempt sends, it says so; the others do not pay for this.
        let sent = match self.reader().has_sent(execution.id, execution.attempt).await {
            Ok(false) if effect == Effect::Unsafe => Sent::NotSent,
            Ok(_) => Sent::MaybeSent,
            Err(error) => {
                tracing::error!(execution = %execution.id, %error, "engine.recover.sent");
                return None;
            }
        };
        let context = crate::dispatch_action::context_of(&execution, None);
        events.push(self.event(context, &Fact::AttemptAbandoned { worker: lease.worker }));
        let mut lost = Concluded {
            output: None,
            error: Some(ExecutionError::new(ErrorCode::WorkerLost, "the process that ran the attempt is gone")),
            receipt: None,
            sent,
            effect: None,
            handed_on,
            reconciled: None,
        };
        if let Some(ready) = ready {
            self.reconcile_if_in_doubt(ready, &mut execution, &mut lost, None, &mut events).await;
        }
        self.conclude(execution, &lost, events, ready).await
    }
}
