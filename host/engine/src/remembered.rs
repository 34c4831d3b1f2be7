//! What was read from the store and is looked at again before each attempt: remembered where no other
//! process can change it, and forgotten by whoever changes it.

use moka::sync::Cache;
use std::{
    hash::Hash,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What nobody used for this long is forgotten.
pub(crate) const IDLE: Duration = Duration::from_hours(1);

/// Values by their keys, as they are now. Not for a store that other processes write to.
pub(crate) struct Remembered<K, V> {
    known: Cache<K, Arc<V>>,
    /// Grows with every change: what was read before a change is not kept after it.
    changes: AtomicU64,
    /// Held while something is kept or forgotten, so that the two do not interleave.
    keeping: Mutex<()>,
}

/// A moment before something is read.
#[derive(Clone, Copy)]
pub(crate) struct Before(u64);

impl<K: Hash + Eq + Send + Sync + 'static, V: Send + Sync + 'static> Remembered<K, V> {
    /// At most so many.
    pub(crate) fn new(values_max: u64) -> Self {
        let known = Cache::builder().max_capacity(values_max).time_to_idle(IDLE).build();
        Self { known, changes: AtomicU64::new(0), keeping: Mutex::new(()) }
    }

    pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.known.get(key)
    }

    /// To be taken before the read of what is to be kept.
    pub(crate) fn before(&self) -> Before {
        Before(self.changes.load(Ordering::SeqCst))
    }

    /// Keeps what was read, unless something was changed since.
    pub(crate) fn keep(&self, before: Before, key: K, value: Arc<V>) {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if self.changes.load(Ordering::SeqCst) == before.0 {
            self.known.insert(key, value);
        }
    }

    pub(crate) fn forget<'k>(&self, keys: impl IntoIterator<Item = &'k K>)
    where
        K: 'k,
    {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::SeqCst);
        keys.into_iter().for_each(|key| self.known.invalidate(key));
    }

    pub(crate) fn forget_all(&self) {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate_all();
    }
}
