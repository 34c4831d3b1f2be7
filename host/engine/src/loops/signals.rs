//! Listens to other processes with the same store.

use crate::{Engine, running::Stop};
use action_domain::repositories::Signal;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Requests to stop are looked for this often, in case a signal was missed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Engine {
    pub(crate) async fn listen(self) {
        let mut signals = self.reader().signals();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.inner.stopping.cancelled() => return,
                signal = signals.next() => match signal {
                    Signal::Due => self.ring(),
                    Signal::Cancel(execution) => {
                        self.inner.running.stop(execution, Stop::Cancelled);
                    }
                },
                // However many signals come.
                _ = look.tick() => self.look_for_cancels().await,
            }
        }
    }

    pub(super) async fn look_for_cancels(&self) {
        if self.inner.running.is_empty() {
            return;
        }
        match self.reader().to_cancel(self.inner.worker).await {
            Ok(wanted) => wanted.into_iter().for_each(|execution| {
                self.inner.running.stop(execution, Stop::Cancelled);
            }),
            Err(error) => tracing::error!(%error, "engine.signals.cancel"),
        }
    }
}
