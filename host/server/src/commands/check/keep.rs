//! Where a checked protocol's captures are kept: in memory, as an action would keep them.

use action_domain::{
    capture::{Captured, Item, Values},
    repositories::StoreUnavailable,
    services::Capturing,
};
use async_trait::async_trait;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What an action keeps between its executions. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    values: Values,
    keys: HashSet<Arc<str>>,
}

impl Memory {
    /// Keeps this, and says how many of its items are new.
    pub(super) fn keep(&self, captured: &Captured) -> u32 {
        let mut kept = lock(&self.0);
        for (key, value) in &captured.values {
            match value {
                Some(value) => kept.values.insert(key.clone(), value.clone()),
                None => kept.values.remove(key),
            };
        }
        let is_new = |item: &&Item| item.key.as_ref().is_none_or(|key| kept.keys.insert(key.clone()));
        u32::try_from(captured.items.iter().filter(is_new).count()).unwrap_or(u32::MAX)
    }
}

/// Keeps what one attempt captures, and remembers all of it for whoever looks through it.
#[derive(Debug)]
pub(super) struct Keeper {
    memory: Memory,
    checkpoints: Mutex<Vec<Captured>>,
}

impl Keeper {
    /// For an attempt of the action that this memory belongs to.
    pub(super) fn new(memory: &Memory) -> Arc<Self> {
        Arc::new(Self { memory: memory.clone(), checkpoints: Mutex::default() })
    }

    /// What was captured up to each checkpoint.
    pub(super) fn take(&self) -> Vec<Captured> {
        std::mem::take(&mut lock(&self.checkpoints))
    }
}

#[async_trait]
impl Capturing for Keeper {
    async fn values(&self) -> Result<Values, StoreUnavailable> {
        Ok(lock(&self.memory.0).values.clone())
    }

    async fn checkpoint(&self, captured: Captured) -> Result<u32, StoreUnavailable> {
        let new = self.memory.keep(&captured);
        lock(&self.checkpoints).push(captured);
        Ok(new)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_domain::payload::Payload;

    fn captured(key: Option<&str>, value: Option<&'static str>) -> Captured {
        let mut captured = Captured::default();
        let content = Payload { content_type: "text/plain".into(), data: "x".into() };
        captured.emit(Item { key: key.map(Into::into), kind: "page".into(), content }).unwrap();
        captured.values.insert("seen".to_owned(), value.map(Into::into));
        captured
    }

    #[tokio::test]
    async fn an_item_is_new_once_and_values_are_there_for_the_next_attempt() {
        let memory = Memory::default();
        let first = Keeper::new(&memory);
        assert_eq!(first.checkpoint(captured(Some("1"), Some("one"))).await.unwrap(), 1);
        assert_eq!(first.checkpoint(captured(Some("1"), Some("two"))).await.unwrap(), 0);
        assert_eq!(first.take().len(), 2);
        let next = Keeper::new(&memory);
        assert_eq!(next.values().await.unwrap()["seen"], "two");
        assert_eq!((memory.keep(&captured(None, None)), memory.keep(&captured(None, None))), (1, 1));
        assert!(next.values().await.unwrap().is_empty());
    }
}
