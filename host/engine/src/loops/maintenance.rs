//! Takes up attempts whose lease ran out, and ends what may not begin any more.

use crate::{Engine, EngineError, conclude::call_back, dispatch_action::context_of, view::ExecutionView};
use action_domain::{
    execution::{Execution, Status},
    failure::{ErrorCode, ExecutionError},
    repositories::{CommitError, UnitOfWork, Write},
};
use std::time::Duration;

/// How often leases that ran out are looked for. Whoever lives does it.
const LEASES_EVERY: u32 = 5;
/// How often is looked for what expired.
const EVERY: Duration = Duration::from_secs(1);
/// Executions that are looked at in one go.
const BATCH: u32 = 100;

impl Engine {
    pub(crate) async fn maintain(self) {
        let mut round: u32 = 0;
        while self.pause(EVERY).await {
            round = round.wrapping_add(1);
            if let Err(error) = self.expire_late().await {
                tracing::error!(%error, "engine.maintenance.expire");
            }
            // Where nobody gives signals: somebody may have wanted to stop what was just being taken.
            if self.inner.parts.exclusive_store {
                self.look_for_cancels().await;
            }
            if round.is_multiple_of(LEASES_EVERY)
                && let Err(error) = self.recover_abandoned(None).await
            {
                tracing::error!(%error, "engine.maintenance.recover");
            }
        }
    }

    /// Ends executions that waited too long for their first attempt.
    pub async fn expire_late(&self) -> Result<(), EngineError> {
        loop {
            let late = self.reader().expired(self.now(), BATCH).await?;
            let found = late.len();
            for execution in late {
                self.expire(execution).await?;
            }
            if found < BATCH as usize {
                return Ok(());
            }
        }
    }

    async fn expire(&self, mut execution: Execution) -> Result<(), EngineError> {
        let now = self.now();
        execution.status = Status::Expired;
        execution.ended_at = Some(now);
        execution.run_at = None;
        execution.turn.aside = false;
        let message = "the execution could not begin within the action's expire_after_ms";
        execution.error = Some(ExecutionError::new(ErrorCode::Expired, message));
        let event = self.event(context_of(&execution, None), &Self::executed(false, &execution, None, None));
        let write = Write::UpdateExecutionIfStatus(Box::new(execution.clone()), Status::Queued, execution.attempt);
        let unit = call_back(UnitOfWork::new().write(write).event(event), &execution, now);
        match self.store().commit(unit).await {
            Ok(_) => {
                self.announce(Some(ExecutionView { execution, output: None, reply: None }));
                Ok(())
            }
            // It began after all, or another process was quicker.
            Err(CommitError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
