//! What has to be told when the triggers of an action change.

use crate::{Engine, EngineError};
use action_domain::{
    actor::Actor,
    chain::Chain,
    event::{ChainData, Context, Event, EventType},
    execution::Status,
    id::{ActionId, ExecutionId},
    trigger::{Standing, StandingKind},
};

impl Engine {
    /// An action was saved or removed: whoever looks after schedules and events looks again, and what
    /// was kept running before is stopped. It begins anew where it is still wanted.
    ///
    /// `before` may be out of date. What began behind it is found by the worker that runs it, which asks
    /// [`Self::is_kept_running`].
    pub(crate) fn triggers_changed(&self, before: &[Standing]) {
        self.inner.triggers.notify_waiters();
        let kept_running = before.iter().filter(|standing| standing.kind == StandingKind::Continuous);
        for id in kept_running.filter_map(|standing| standing.last) {
            let engine = self.clone();
            self.inner.tasks.spawn(async move {
                if let Err(error) = engine.stop_continuous(id).await {
                    tracing::error!(execution = %id, %error, "engine.triggers.stop");
                }
            });
        }
    }

    /// Whether an execution is the one that a continuous trigger of its action has running. What is not
    /// known for want of a store is: whoever asks will ask again.
    pub(crate) async fn is_kept_running(&self, id: ExecutionId, action: ActionId) -> bool {
        let is_it = |standing: &Standing| {
            standing.kind == StandingKind::Continuous && standing.since.is_some() && standing.last == Some(id)
        };
        self.reader().triggers_of(action).await.map_or(true, |rows| rows.iter().any(is_it))
    }

    /// Stops what is kept running. What is in doubt stays so, for a person.
    pub(crate) async fn stop_continuous(&self, id: ExecutionId) -> Result<(), EngineError> {
        let Some(execution) = self.reader().execution(id).await? else { return Ok(()) };
        if !matches!(execution.status, Status::Queued | Status::Waiting | Status::Running) {
            return Ok(());
        }
        match self.cancel_execution(id, &Actor::System).await {
            // It has ended, or goes with what it was of.
            Ok(_) | Err(EngineError::Conflict { .. } | EngineError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What came before whatever an event sets off. A trigger that was refused has no execution, and says
    /// so itself.
    pub(crate) async fn chain_behind(&self, event: &Event) -> Result<Chain, EngineError> {
        let Context { execution, action, .. } = event.context;
        let of_trigger = [EventType::TriggerReceived, EventType::TriggerRefused].map(EventType::as_str);
        let trigger = match execution {
            Some(execution) => self.reader().event_of(execution, EventType::TriggerReceived).await?,
            None if of_trigger.contains(&&*event.r#type) => Some(event.clone()),
            // Somebody did something with an action, and the action did nothing.
            None => return Ok(Chain::default().next(None)),
        };
        // What cannot be read any more came of nothing that is known.
        let chain = trigger.and_then(|trigger| serde_json::from_str::<ChainData>(trigger.data.get()).ok());
        Ok(chain.map(ChainData::chain).unwrap_or_default().next(action))
    }
}
