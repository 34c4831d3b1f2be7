//! Follows the log for what other processes do: for the ends of executions, to tell those who wait
//! here, and for saved actions, to forget which revision was current.

use crate::{Engine, EngineError};
use action_domain::{
    event::{Event, EventType, Position},
    name::Name,
    repositories::{ActionKey, EventFilter, Page},
};
use serde::Deserialize;
use std::time::Duration;

/// Events that are read at once.
const PAGE: u32 = 500;
/// After the store was unavailable.
const BACK_OFF: Duration = Duration::from_secs(1);

impl Engine {
    pub(crate) async fn follow_ends(self) {
        let mut positions = self.reader().follow();
        let mut seen = self.reader().last_position().await.unwrap_or(0);
        loop {
            tokio::select! {
                () = self.inner.stopping.cancelled() => return,
                open = positions.changed() => if !open { return },
            }
            if let Err(error) = self.tell_of_ends(&mut seen).await {
                tracing::error!(%error, "engine.follow");
                if !self.pause(BACK_OFF).await {
                    return;
                }
            }
        }
    }

    async fn tell_of_ends(&self, seen: &mut Position) -> Result<(), EngineError> {
        let mut types = vec![EventType::ActionCreated, EventType::ActionUpdated, EventType::ActionDeleted];
        // Who waits was there before the trigger was committed: what is skipped ended before that.
        if !self.inner.waiting.is_empty() {
            types.extend([EventType::ActionExecuted, EventType::AttemptInDoubt, EventType::ExecutionCancelled]);
        }
        let filter = EventFilter { types, ..EventFilter::default() };
        loop {
            let end = self.reader().last_position().await?;
            let events = self.reader().events(&filter, Page { after: Some(*seen), limit: PAGE }).await?;
            let full = events.len() == PAGE as usize;
            *seen = if full { events[events.len() - 1].position } else { end.max(*seen) };
            for event in events.iter().filter(|event| event.context.execution.is_none()) {
                self.forget_saved(event);
            }
            for id in events.iter().filter_map(|event| event.context.execution) {
                if self.inner.waiting.has(id) {
                    let view = self.execution(id).await?;
                    self.inner.waiting.tell(&view);
                }
            }
            if !full {
                return Ok(());
            }
        }
    }

    fn forget_saved(&self, event: &Event) {
        let id = event.context.action.map(ActionKey::Id);
        let name = serde_json::from_str::<Named>(event.data.get()).ok().map(|saved| ActionKey::Name(saved.name));
        self.inner.cache.forget(id.into_iter().chain(name));
    }
}

/// What is read of an event about an action.
#[derive(Deserialize)]
struct Named {
    name: Name,
}
