//! Seals the log, period by period, wherever there is a key. Whoever lives does it.

use crate::{Engine, EngineError};
use action_domain::{audit::SEAL_EVENTS_MAX, event::Position};
use std::time::Duration;

/// A period ends after this, if anything happened in it.
const SEAL_EVERY: Duration = Duration::from_mins(1);
/// How often is looked whether a period is over.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long the last seal at the end may take: it is the next start's otherwise.
const SEAL_AT_END: Duration = Duration::from_secs(5);

impl Engine {
    pub(crate) async fn seal_log(self) {
        let mut told = String::new();
        while self.pause(LOOK_EVERY).await {
            match self.seal_if_due().await {
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

    /// Seals if a period is over: by time, or by the number of events.
    pub async fn seal_if_due(&self) -> Result<(), EngineError> {
        let end = self.reader().last_position().await?;
        let last = self.last_seal().await?;
        let due = match &last {
            None => end > 0,
            Some((_, document)) => {
                let waiting = end.saturating_sub(document.last);
                let is_over = self.now().since(document.time) >= SEAL_EVERY;
                waiting > 0 && is_over
                    || waiting >= SEAL_EVENTS_MAX as Position
                    || self.seal_key().is_ok_and(|key| key != document.successor())
            }
        };
        if due { self.seal_events(false).await.map(drop) } else { Ok(()) }
    }

    /// Seals what happened since the last period, when nothing more happens in this process.
    pub async fn seal_at_end(&self) {
        if !self.seals() {
            return;
        }
        match tokio::time::timeout(SEAL_AT_END, self.seal_events(false)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "engine.seal.at_end"),
            Err(_) => tracing::warn!("engine.seal.at_end: there is more than a few seconds' worth; the next start goes on"),
        }
    }
}
