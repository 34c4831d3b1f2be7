//! Until when remotes asked actions to wait.
//!
//! The queue knows it from the store. What begins in its trigger's own unit does not go through the
//! queue, and has to be stopped too, also after a restart.

use crate::{Engine, EngineError};
use action_domain::{id::ActionId, time::Timestamp};
use moka::{Entry, ops::compute::Op, sync::Cache};
use std::sync::atomic::{AtomicU64, Ordering};

/// Actions of which it is remembered; the store knows all.
const ACTIONS_MAX: u64 = 10_000;

/// What this process knows. `None` where no remote ever asked.
pub(crate) struct Pauses {
    known: Cache<ActionId, Option<Timestamp>>,
    /// Grows whenever a pause is over before its time: what was read before is not kept after it.
    ended: AtomicU64,
}

impl Pauses {
    pub(crate) fn new() -> Self {
        Self { known: Cache::new(ACTIONS_MAX), ended: AtomicU64::new(0) }
    }

    /// A remote asked the action to wait. The latest wish counts, whoever comes last.
    pub(crate) fn extend(&self, action: ActionId, until: Timestamp) {
        self.known.entry(action).and_compute_with(|known| Op::Put(later(known, Some(until))));
    }

    /// Somebody has saved the action, which ends its pause.
    pub(crate) fn end(&self, action: ActionId) {
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.known.entry(action).and_compute_with(|_| Op::Remove);
    }

    /// Keeps what was read when so many had `ended`.
    fn learn(&self, ended: u64, action: ActionId, until: Option<Timestamp>) {
        let as_before = || self.ended.load(Ordering::SeqCst) == ended;
        let keep = |known| if as_before() { Op::Put(later(known, until)) } else { Op::Nop };
        self.known.entry(action).and_compute_with(keep);
    }
}

fn later(known: Option<Entry<ActionId, Option<Timestamp>>>, until: Option<Timestamp>) -> Option<Timestamp> {
    known.and_then(Entry::into_value).max(until)
}

impl Engine {
    /// Whether a remote asked the action to wait beyond this time.
    pub(crate) async fn is_paused(&self, action: ActionId, now: Timestamp) -> Result<bool, EngineError> {
        let pauses = &self.inner.pauses;
        // Where other processes write too, what they were asked for is looked up.
        let known = if self.inner.parts.exclusive_store { pauses.known.get(&action) } else { None };
        let until = if let Some(until) = known {
            until
        } else {
            let ended = pauses.ended.load(Ordering::SeqCst);
            let until = self.reader().paused_until(action).await?;
            pauses.learn(ended, action, until);
            until
        };
        Ok(until.is_some_and(|until| until > now))
    }
}
