//! What has to be told when the triggers of an action change.

use crate::{Engine, EngineError};
use action_domain::{
    actor::Actor,
    event::{EventType, TriggerData},
    id::ExecutionId,
    services::GuestTrigger,
    trigger::{Standing, StandingKind},
};

impl Engine {
    /// An action was saved or removed: whoever looks after schedules and events looks again, and what
    /// was kept running before is stopped. It begins anew where it is still wanted.
    pub(crate) fn triggers_changed(&self, before: &[Standing]) {
        self.inner.triggers.notify_waiters();
        let kept_running = before.iter().filter(|standing| standing.kind == StandingKind::Continuous);
        for id in kept_running.filter_map(|standing| standing.last) {
            let engine = self.clone();
            self.inner.tasks.spawn(async move { engine.stop_continuous(id).await });
        }
    }

    pub(crate) async fn stop_continuous(&self, id: ExecutionId) {
        match self.cancel_execution(id, &Actor::System).await {
            // It has ended, or goes with what it was of.
            Ok(_) | Err(EngineError::Conflict { .. } | EngineError::NotFound(_)) => {}
            Err(error) => tracing::error!(execution = %id, %error, "engine.triggers.stop"),
        }
    }

    /// How many executions set one another off before this one: 0 for what nobody but the outside
    /// set off.
    pub(crate) async fn chain_depth(&self, execution: ExecutionId) -> Result<u32, EngineError> {
        let Some(event) = self.reader().event_of(execution, EventType::TriggerReceived).await? else { return Ok(0) };
        let data: TriggerData = serde_json::from_str(event.data.get())
            .map_err(|error| EngineError::Internal(format!("event {}: {error}", event.id)))?;
        Ok(match data.trigger {
            GuestTrigger::Event { depth, .. } => depth,
            _ => 0,
        })
    }
}
