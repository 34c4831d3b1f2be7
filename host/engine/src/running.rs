//! The attempts that run in this process, and how to stop one.

use action_domain::id::{ActionId, ExecutionId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Why an attempt is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody cancelled the execution.
    Cancelled,
    /// The process ends, and others shall go on.
    Released,
    /// The lease may have run out: somebody else may have the execution.
    LeaseLost,
}

/// The attempts that run here.
#[derive(Debug, Default)]
pub(crate) struct Running {
    attempts: Mutex<HashMap<ExecutionId, Attempt>>,
}

#[derive(Debug)]
struct Attempt {
    stop: watch::Sender<Option<Stop>>,
    /// It is kept running for this action, and does not end by itself.
    endless: Option<ActionId>,
}

/// An attempt's place among them, until it is dropped.
pub(crate) struct Place {
    running: Arc<Running>,
    id: ExecutionId,
    stop: watch::Receiver<Option<Stop>>,
}

impl Running {
    fn attempts(&self) -> MutexGuard<'_, HashMap<ExecutionId, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt of this execution runs from now on.
    pub(crate) fn enter(self: &Arc<Self>, id: ExecutionId, endless: Option<ActionId>) -> Place {
        let (sender, stop) = watch::channel(None);
        self.attempts().insert(id, Attempt { stop: sender, endless });
        Place { running: Arc::clone(self), id, stop }
    }

    /// Stops the attempt of an execution. Whether it runs here.
    pub(crate) fn stop(&self, id: ExecutionId, why: Stop) -> bool {
        self.attempts().get(&id).is_some_and(|attempt| attempt.stop.send(Some(why)).is_ok())
    }

    /// Stops everything.
    pub(crate) fn stop_all(&self, why: Stop) {
        for attempt in self.attempts().values() {
            let _ = attempt.stop.send(Some(why));
        }
    }

    /// Stops what does not end by itself.
    pub(crate) fn stop_endless(&self, why: Stop) {
        for attempt in self.attempts().values().filter(|attempt| attempt.endless.is_some()) {
            let _ = attempt.stop.send(Some(why));
        }
    }

    /// What does not end by itself, with the action that it is kept running for.
    pub(crate) fn endless(&self) -> Vec<(ExecutionId, ActionId)> {
        self.attempts().iter().filter_map(|(id, attempt)| Some((*id, attempt.endless?))).collect()
    }

    /// Whether an execution runs here.
    pub(crate) fn has(&self, id: ExecutionId) -> bool {
        self.attempts().contains_key(&id)
    }

    /// Whether nothing runs.
    pub(crate) fn is_empty(&self) -> bool {
        self.attempts().is_empty()
    }
}

impl Place {
    /// Waits until the attempt is to be stopped.
    pub(crate) async fn stopped(&mut self) -> Stop {
        loop {
            let why = *self.stop.borrow_and_update();
            if let Some(why) = why {
                return why;
            }
            if self.stop.changed().await.is_err() {
                // Its entry went, which only its drop does.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.attempts().remove(&self.id);
    }
}
