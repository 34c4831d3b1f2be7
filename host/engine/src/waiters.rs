//! Callers who wait for an execution that somebody else runs.

use crate::view::ExecutionView;
use action_domain::id::ExecutionId;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// Who waits for which execution. One caller an execution: its trigger's.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: Mutex<HashMap<ExecutionId, oneshot::Sender<ExecutionView>>>,
}

/// A place in the waiting room; leaving it is dropping this.
pub(crate) struct Waiting<'a> {
    room: &'a Waiters,
    id: ExecutionId,
    pub(crate) told: oneshot::Receiver<ExecutionView>,
}

impl Waiters {
    fn room(&self) -> MutexGuard<'_, HashMap<ExecutionId, oneshot::Sender<ExecutionView>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an execution from now on.
    pub(crate) fn wait_for(&self, id: ExecutionId) -> Waiting<'_> {
        let (tell, told) = oneshot::channel();
        self.room().insert(id, tell);
        Waiting { room: self, id, told }
    }

    /// Tells whoever waits that the execution has ended or is held.
    pub(crate) fn tell(&self, view: &ExecutionView) {
        if let Some(tell) = self.room().remove(&view.execution.id) {
            // Nobody there any more: the caller has gone.
            let _ = tell.send(view.clone());
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.room.room().remove(&self.id);
    }
}
