//! Takes up attempts whose lease ran out.

use crate::Engine;
use std::time::Duration;

/// A lease outlives its attempt by half a minute: looking more often finds nothing sooner.
const EVERY: Duration = Duration::from_secs(10);

impl Engine {
    pub(crate) async fn maintain(self) {
        let stopping = self.inner.stopping.clone();
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            if let Err(error) = self.recover_abandoned(None).await {
                tracing::error!(%error, "engine.maintenance.recover");
            }
        }
    }
}
