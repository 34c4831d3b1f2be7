//! An execution together with what it gave.

use crate::{Engine, EngineError};
use action_domain::{
    event::{EventType, ExecutedData},
    execution::{Execution, Status},
    failure::ErrorCode,
    id::ExecutionId,
    payload::{Payload, RecordedPayload},
    services::WebhookReply,
};

/// An execution as readers see it.
#[derive(Debug, Clone)]
pub struct ExecutionView {
    /// The execution.
    pub execution: Execution,
    /// What it gave, if it succeeded.
    pub output: Option<RecordedPayload>,
    /// What the protocol answers the caller of a webhook, if it succeeded.
    pub reply: Option<WebhookReply>,
}

impl Engine {
    /// An execution with its output.
    pub async fn execution(&self, id: ExecutionId) -> Result<ExecutionView, EngineError> {
        let execution = self.reader().execution(id).await?.ok_or(EngineError::NotFound("execution"))?;
        // Where its output transform failed, it keeps what the protocol gave.
        let transform_failed = execution.error.as_ref().is_some_and(|error| error.code == ErrorCode::TransformFailed);
        let recorded = match execution.status {
            Status::Succeeded => self.recorded(id).await?,
            Status::Failed if transform_failed => self.recorded(id).await?,
            _ => None,
        };
        let (output, reply) = recorded.map_or((None, None), |recorded| (recorded.output, recorded.reply));
        Ok(ExecutionView { execution, output, reply })
    }

    /// The bytes that an execution gave; `None` if it gave none (yet).
    pub async fn output(&self, id: ExecutionId) -> Result<Option<Payload>, EngineError> {
        self.reader().execution(id).await?.ok_or(EngineError::NotFound("execution"))?;
        match self.recorded(id).await?.and_then(|recorded| recorded.output) {
            Some(recorded) => self.payload(&recorded).await.map(Some),
            None => Ok(None),
        }
    }

    async fn recorded(&self, id: ExecutionId) -> Result<Option<ExecutedData>, EngineError> {
        let Some(event) = self.reader().event_of(id, EventType::ActionExecuted).await? else { return Ok(None) };
        let data = serde_json::from_str(event.data.get());
        data.map(Some).map_err(|error| EngineError::Internal(format!("event {}: {error}", event.id)))
    }

    /// The bytes of a payload, wherever they are.
    pub(crate) async fn payload(&self, recorded: &RecordedPayload) -> Result<Payload, EngineError> {
        if let Some(payload) = recorded.inline() {
            return Ok(payload);
        }
        let digest = recorded.digest.ok_or_else(|| EngineError::Internal("a recorded payload is damaged".into()))?;
        let data = self.reader().payload(&digest).await?;
        let data = data.ok_or_else(|| EngineError::Internal(format!("payload {digest} is gone")))?;
        Ok(Payload { content_type: recorded.content_type.as_str().into(), data })
    }
}
