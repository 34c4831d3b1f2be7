//! Seals the log, period by period, wherever there is a key. Whoever lives does it.

use crate::{Engine, EngineError};
use action_domain::{audit::SEAL_EVENTS_MAX, event::Position, time::Timestamp};
use std::time::Duration;

/// How often is looked whether a period is over.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long the last seal at the end may take: it is the next start's otherwise.
const SEAL_AT_END: Duration = Duration::from_secs(5);

impl Engine {
    pub(crate) async fn seal_log(self) {
        let began = self.now();
        let mut told = String::new();
        while self.pause(LOOK_EVERY).await {
            match self.seal_if_due(began).await {
                Ok(()) => told.clear(),
                // It stays wrong until somebody does something: once is enough.
                Err(error) if error.to_string() == told => {}
                Err(error) => {
                    tracing::error!(%error, "engine.seal");
                    told = error.to_string();
                }
            }
        }
    }

    /// Seals if a period is over: by time, or by the number of events. The first one began then.
    pub async fn seal_if_due(&self, began: Timestamp) -> Result<(), EngineError> {
        let end = self.reader().last_position().await?;
        let last = self.last_seal().await?;
        let (sealed, since) = last.as_ref().map_or((0, began), |(_, document)| (document.last, document.time));
        let waiting = end.saturating_sub(sealed);
        let is_over = waiting > 0 && self.now().since(since) >= self.inner.parts.seal_every;
        let is_full = waiting >= SEAL_EVENTS_MAX as Position;
        let hands_over = last.is_some_and(|(_, document)| Some(document.successor()) != self.seal_key().ok());
        if is_over || is_full || hands_over { self.seal_events(false).await.map(drop) } else { Ok(()) }
    }

    /// Seals what happened since the last period, when nothing more happens in this process.
    pub async fn seal_at_end(&self) {
        if !self.seals() {
            return;
        }
        match tokio::time::timeout(SEAL_AT_END, self.seal_events(false)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "engine.seal.at_end"),
            Err(_) => {
                tracing::warn!("engine.seal.at_end: there is more than a few seconds' worth; the next start goes on");
            }
        }
    }
}
