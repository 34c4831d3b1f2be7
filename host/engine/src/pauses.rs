//! Until when remotes asked actions to wait.
//!
//! The queue knows it from the store. What begins in its trigger's own unit does not go through the
//! queue, and has to be stopped too, also after a restart.

use crate::{Engine, EngineError};
use action_domain::{id::ActionId, time::Timestamp};
use moka::{Entry, ops::compute::Op, sync::Cache};

/// Actions of which it is remembered; the store knows all.
const ACTIONS_MAX: u64 = 10_000;

/// What this process knows. `None` where no remote ever asked.
pub(crate) struct Pauses(Cache<ActionId, Option<Timestamp>>);

impl Pauses {
    pub(crate) fn new() -> Self {
        Self(Cache::new(ACTIONS_MAX))
    }

    /// A remote asked the action to wait. The latest wish counts, whoever comes last.
    pub(crate) fn extend(&self, action: ActionId, until: Timestamp) {
        self.learn(action, Some(until));
    }

    fn learn(&self, action: ActionId, until: Option<Timestamp>) -> Option<Timestamp> {
        let later = |known: Option<Entry<ActionId, Option<Timestamp>>>| known.and_then(Entry::into_value).max(until);
        self.0.entry(action).and_compute_with(|known| Op::Put(later(known))).into_entry()?.into_value()
    }
}

impl Engine {
    /// Whether a remote asked the action to wait beyond this time.
    pub(crate) async fn is_paused(&self, action: ActionId, now: Timestamp) -> Result<bool, EngineError> {
        let pauses = &self.inner.pauses;
        // Where other processes write too, what they were asked for is looked up.
        let known = if self.inner.parts.exclusive_store { pauses.0.get(&action) } else { None };
        let until = match known {
            Some(until) => until,
            None => pauses.learn(action, self.reader().paused_until(action).await?),
        };
        Ok(until.is_some_and(|until| until > now))
    }
}
