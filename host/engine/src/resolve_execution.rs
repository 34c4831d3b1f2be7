//! Somebody says what became of an execution in doubt.

use crate::{Engine, EngineError, conclude::call_back, dispatch_action::context_of, view::ExecutionView};
use action_domain::{
    actor::Actor,
    event::Fact,
    execution::Status,
    failure::{ErrorCode, ExecutionError},
    id::ExecutionId,
    repositories::{UnitOfWork, Write},
};

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It took effect.
    Succeeded,
    /// It did not, and is given up.
    Failed,
    /// It did not, and is tried again.
    Retry,
}

impl Resolution {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Retry => "retry",
        }
    }
}

impl Engine {
    /// Ends the doubt about an execution.
    pub async fn resolve_execution(
        &self,
        id: ExecutionId,
        r#as: Resolution,
        by: &Actor,
    ) -> Result<ExecutionView, EngineError> {
        let mut execution = self.reader().execution(id).await?.ok_or(EngineError::NotFound("execution"))?;
        if execution.status != Status::InDoubt {
            let message = format!("the execution is {}, not in doubt", execution.status.as_str());
            return Err(EngineError::Conflict { code: "not_in_doubt", message });
        }
        let now = self.now();
        let fact = Fact::ExecutionResolved { r#as: r#as.as_str().into() };
        let resolved = self.event_by(by, context_of(&execution, None), &fact);
        let mut unit = UnitOfWork::new();
        let fact = match r#as {
            Resolution::Succeeded => {
                execution.status = Status::Succeeded;
                execution.ended_at = Some(now);
                execution.error = None;
                Self::executed(true, &execution, None, None)
            }
            Resolution::Failed => {
                execution.status = Status::Failed;
                execution.ended_at = Some(now);
                let lost = || ExecutionError::new(ErrorCode::HostError, "resolved as failed");
                execution.error.get_or_insert_with(lost);
                Self::executed(false, &execution, None, None)
            }
            Resolution::Retry => {
                execution.status = Status::Waiting;
                execution.run_at = Some(now);
                Fact::ExecutionQueued { run_at: now }
            }
        };
        let then = self.event(context_of(&execution, Some(&resolved)), &fact);
        let write = Write::UpdateExecutionIfStatus(Box::new(execution.clone()), Status::InDoubt, execution.attempt);
        unit = call_back(unit.write(write).event(resolved).event(then), &execution, now);
        let view = ExecutionView { execution, output: None, reply: None };
        self.commit_and_announce(unit, view.clone()).await?;
        Ok(view)
    }
}
