//! Trying again what was given up: the dead letters.

use crate::{Engine, EngineError, dispatch_action::context_of, view::ExecutionView};
use action_domain::{
    actor::Actor,
    event::Fact,
    execution::{Execution, Status},
    id::{ActionId, ExecutionId},
    limits::PAGE_ITEMS_MAX,
    repositories::{CommitError, Conflict, ExecutionFilter, Page, UnitOfWork, Write},
    time::Timestamp,
};

/// Which failed executions. All conditions hold.
#[derive(Debug, Clone, Default)]
pub struct DeadLetters {
    /// Of this action.
    pub action: Option<ActionId>,
    /// Created at or after this.
    pub since: Option<Timestamp>,
    /// Created before this.
    pub until: Option<Timestamp>,
    /// With this error code.
    pub error_code: Option<String>,
    /// At most this many.
    pub limit: u32,
}

/// What became of a retry by filter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Retried {
    /// Executions that are tried again.
    pub retried: u32,
    /// Whether there may be more that match.
    pub more: bool,
}

impl Engine {
    /// Tries an execution again that failed, expired or was cancelled: one more attempt, with the
    /// revision and the input that it has.
    pub async fn retry_execution(&self, id: ExecutionId, by: &Actor) -> Result<ExecutionView, EngineError> {
        let execution = self.reader().execution(id).await?.ok_or(EngineError::NotFound("execution"))?;
        if !matches!(execution.status, Status::Failed | Status::Expired | Status::Cancelled) {
            let message = format!(
                "only what failed, expired or was cancelled is retried; the execution is {}",
                execution.status.as_str()
            );
            return Err(EngineError::Conflict { code: "not_retryable", message });
        }
        match self.requeue(execution, by).await {
            Ok(view) => Ok(view),
            Err(CommitError::Conflict(Conflict::StatusMismatch)) => {
                let message = "somebody else has retried the execution meanwhile".to_owned();
                Err(EngineError::Conflict { code: "status_changed", message })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tries all failed executions again that match, the newest first.
    pub async fn retry_dead_letters(&self, which: &DeadLetters, by: &Actor) -> Result<Retried, EngineError> {
        let filter = ExecutionFilter {
            action: which.action,
            status: Some(Status::Failed),
            since: which.since,
            until: which.until,
        };
        let mut done = Retried::default();
        let mut after = None;
        loop {
            let page = self.reader().executions(&filter, Page { after, limit: PAGE_ITEMS_MAX }).await?;
            let Some(last) = page.last() else { return Ok(done) };
            after = Some(last.id);
            for execution in page {
                let code = execution.error.as_ref().map(|error| error.code.as_str());
                if which.error_code.is_some() && which.error_code.as_deref() != code {
                    continue;
                }
                if done.retried >= which.limit {
                    return Ok(Retried { more: true, ..done });
                }
                match self.requeue(execution, by).await {
                    Ok(_) => done.retried += 1,
                    // Somebody else has retried it meanwhile.
                    Err(CommitError::Conflict(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    async fn requeue(&self, mut execution: Execution, by: &Actor) -> Result<ExecutionView, CommitError> {
        let (status, attempt, now) = (execution.status, execution.attempt, self.now());
        // It is due like a retry, unless it never began.
        execution.status = if attempt == 0 { Status::Queued } else { Status::Waiting };
        execution.run_at = Some(now);
        execution.ended_at = None;
        execution.turn.expires_at = None;
        (execution.turn.aside, execution.turn.counted) = (false, false);
        let queued = self.event_by(by, context_of(&execution, None), &Fact::ExecutionQueued { run_at: now });
        let write = Write::UpdateExecutionIfStatus(Box::new(execution.clone()), status, attempt);
        self.commit_and(UnitOfWork::new().write(write).event(queued), |engine, _| engine.ring()).await?;
        Ok(ExecutionView { execution, output: None, reply: None })
    }
}
