//! Callers who wait for an execution that somebody else runs.

use crate::view::ExecutionView;
use action_domain::id::ExecutionId;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// Who waits for which execution: its trigger's caller, and whoever came with the same
/// idempotency key.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: Mutex<HashMap<ExecutionId, Vec<oneshot::Sender<ExecutionView>>>>,
}

/// A place in the waiting room; leaving it is dropping this.
pub(crate) struct Waiting<'a> {
    room: &'a Waiters,
    id: ExecutionId,
    pub(crate) told: oneshot::Receiver<ExecutionView>,
}

impl Waiters {
    fn room(&self) -> MutexGuard<'_, HashMap<ExecutionId, Vec<oneshot::Sender<ExecutionView>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an execution from now on.
    pub(crate) fn wait_for(&self, id: ExecutionId) -> Waiting<'_> {
        let (tell, told) = oneshot::channel();
        self.room().entry(id).or_default().push(tell);
        Waiting { room: self, id, told }
    }

    /// Tells whoever waits that the execution has ended or is held.
    pub(crate) fn tell(&self, view: &ExecutionView) {
        let waiting = self.room().remove(&view.execution.id);
        for tell in waiting.into_iter().flatten() {
            // Nobody there any more: the caller has gone.
            let _ = tell.send(view.clone());
        }
    }

    /// Tells nothing any more to those who wait for what does not run here.
    pub(crate) fn close_idle(&self, runs: impl Fn(ExecutionId) -> bool) {
        self.room().retain(|id, _| runs(*id));
    }

    /// Tells nobody anything any more: who waits looks for itself.
    pub(crate) fn close(&self) {
        self.room().clear();
    }

    /// Whether nobody waits for anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.room().is_empty()
    }

    /// Whether somebody waits for this.
    pub(crate) fn has(&self, id: ExecutionId) -> bool {
        self.room().contains_key(&id)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.told.close();
        let mut room = self.room.room();
        if let Some(waiting) = room.get_mut(&self.id) {
            waiting.retain(|tell| !tell.is_closed());
            if waiting.is_empty() {
                room.remove(&self.id);
            }
        }
    }
}
