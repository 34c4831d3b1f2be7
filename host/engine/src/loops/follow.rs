//! Follows the log for the ends of executions that another process runs, and tells those who wait
//! here.

use crate::{Engine, EngineError};
use action_domain::{
    event::{EventType, Position},
    repositories::{EventFilter, Page},
};
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
        // Who waits was there before the trigger was committed: what had ended by this position while
        // nobody waited, nobody waits for.
        let end = self.reader().last_position().await?;
        if self.inner.waiting.is_empty() {
            *seen = end.max(*seen);
            return Ok(());
        }
        let types = vec![EventType::ActionExecuted, EventType::AttemptInDoubt, EventType::ExecutionCancelled];
        let filter = EventFilter { types, ..EventFilter::default() };
        loop {
            let end = self.reader().last_position().await?;
            let events = self.reader().events(&filter, Page { after: Some(*seen), limit: PAGE }).await?;
            let full = events.len() == PAGE as usize;
            *seen = if full { events[events.len() - 1].position } else { end.max(*seen) };
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
}
