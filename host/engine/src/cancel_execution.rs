//! Stopping an execution.

use crate::{
    Engine, EngineError, conclude::call_back, dispatch_action::context_of, running::Stop, view::ExecutionView,
};
use action_domain::{
    actor::Actor,
    event::Fact,
    execution::{Execution, Status},
    failure::{ErrorCode, ExecutionError},
    id::ExecutionId,
    repositories::{CommitError, Conflict, UnitOfWork, Write},
};
use std::time::Duration;

/// How long the caller is kept until a running component has stopped. It takes less than a tenth
/// of this if its worker is well.
const STOP_WAIT: Duration = Duration::from_secs(1);
/// An execution that moves on while it is being cancelled is looked at again this often.
const TRIES: usize = 5;

impl Engine {
    /// Stops an execution: what waits at once, what runs within a moment. What has failed is
    /// dismissed, so that nobody retries it and nothing waits behind it any more.
    ///
    /// Where it still runs in the answer, its worker has been told.
    pub async fn cancel_execution(&self, id: ExecutionId, by: &Actor) -> Result<ExecutionView, EngineError> {
        for _ in 0..TRIES {
            let execution = self.reader().execution(id).await?.ok_or(EngineError::NotFound("execution"))?;
            let cancelled = match execution.status {
                Status::Running => self.cancel_running(&execution, by).await,
                Status::Queued | Status::Waiting | Status::InDoubt | Status::Failed => {
                    self.cancel_idle(execution, by).await
                }
                Status::Succeeded | Status::Cancelled | Status::Expired => {
                    let message = format!("the execution has ended: it is {}", execution.status.as_str());
                    return Err(EngineError::Conflict { code: "already_ended", message });
                }
            };
            match cancelled {
                Err(CommitError::Conflict(Conflict::StatusMismatch)) => {}
                other => return Ok(other?),
            }
        }
        let message = "the execution moves on faster than it can be cancelled: try again".to_owned();
        Err(EngineError::Conflict { code: "status_changed", message })
    }

    async fn cancel_running(&self, execution: &Execution, by: &Actor) -> Result<ExecutionView, CommitError> {
        let waiting = self.inner.waiting.wait_for(execution.id);
        let request = Write::RequestCancelIfRunning(execution.id, execution.attempt);
        // Its worker, which may be another process, writes down that it ended, and cannot tell who
        // wanted it.
        let requested = self.event_by(by, context_of(execution, None), &Fact::ExecutionCancelRequested {});
        let (id, unit) = (execution.id, UnitOfWork::new().write(request).event(requested));
        let stop = move |engine: &Self, written: bool| {
            if written {
                engine.inner.running.stop(id, Stop::Cancelled);
            }
        };
        self.commit_and(unit, stop).await?;
        match self.until_told(waiting, execution.id, STOP_WAIT).await {
            Ok(told) => Ok(told.view),
            Err(error) => Err(action_domain::repositories::StoreUnavailable(error.to_string()).into()),
        }
    }

    async fn cancel_idle(&self, mut execution: Execution, by: &Actor) -> Result<ExecutionView, CommitError> {
        let (status, attempt) = (execution.status, execution.attempt);
        let unit = self.cancelled(&mut execution, None, Some(by));
        let unit = unit.write(Write::UpdateExecutionIfStatus(Box::new(execution.clone()), status, attempt));
        let view = ExecutionView { execution, output: None, reply: None };
        self.commit_and_announce(unit, view.clone()).await?;
        Ok(view)
    }

    /// Makes an execution a cancelled one; the unit lacks its write. `by` is who
    /// does it; of one that ran the event of the request has it.
    pub(crate) fn cancelled(
        &self,
        execution: &mut Execution,
        receipt: Option<action_domain::receipt::Receipt>,
        by: Option<&Actor>,
    ) -> UnitOfWork {
        let now = self.now();
        execution.status = Status::Cancelled;
        execution.ended_at = Some(now);
        (execution.run_at, execution.lease, execution.cancel_requested) = (None, None, false);
        execution.turn.aside = false;
        let error = ExecutionError::new(ErrorCode::Cancelled, "somebody cancelled the execution");
        execution.error = Some(error);
        let fact = Fact::ExecutionCancelled { error: execution.error.clone(), receipt };
        let context = context_of(execution, None);
        let event = match by {
            Some(by) => self.event_by(by, context, &fact),
            None => self.event(context, &fact),
        };
        call_back(UnitOfWork::new().event(event), execution, now)
    }
}
