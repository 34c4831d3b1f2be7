//! Takes up what a lost worker left behind.

use crate::{Engine, EngineError, run_task::Concluded};
use action_domain::{
    event::{Fact, NewEvent},
    execution::{Execution, WorkerId},
    failure::{ErrorCode, ExecutionError, Sent},
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
                self.recover(execution).await?;
            }
            recovered += found;
            if found < BATCH as usize {
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
        let context = crate::dispatch_action::context_of(&execution, None);
        let fact = Fact::AttemptAbandoned { worker: lease.worker };
        let event = NewEvent::new(self.inner.parts.random.event_id(), self.now(), context, &fact);
        let lost = Concluded {
            output: None,
            error: Some(ExecutionError::new(ErrorCode::WorkerLost, "the process that ran the attempt is gone")),
            receipt: None,
            // Nobody saw how far it got.
            sent: Sent::MaybeSent,
            effect: None,
        };
        tracing::warn!(execution = %execution.id, attempt = execution.attempt, "engine.recover.worker_lost");
        let view = self.conclude(execution, &lost, vec![event], ready.as_deref()).await;
        self.announce(view);
        Ok(())
    }
}
