//! What actions captured: the keys of their items, and the values that they keep.

use crate::{state::State, write::Undo};
use action_domain::{
    capture::Values,
    id::ActionId,
    repositories::{CommitError, Conflict},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl State {
    pub(crate) fn captured_keys(&self, action: ActionId, keys: &[Arc<str>]) -> Vec<Arc<str>> {
        let Some(known) = self.item_keys.get(&action) else { return Vec::new() };
        let found: BTreeSet<&Arc<str>> = keys.iter().filter(|key| known.contains(*key)).collect();
        found.into_iter().cloned().collect()
    }

    pub(crate) fn add_item_keys(&mut self, action: ActionId, keys: Vec<Arc<str>>) -> Result<Undo, CommitError> {
        if !self.names_of.contains_key(&action) {
            return Ok(Box::new(|_| {}));
        }
        let known = self.item_keys.entry(action).or_default();
        let mut added = Vec::with_capacity(keys.len());
        let mut all_new = true;
        for key in keys {
            if !known.insert(Arc::clone(&key)) {
                all_new = false;
                break;
            }
            added.push(key);
        }
        let undo: Undo = Box::new(move |state| {
            let known = state.item_keys.entry(action).or_default();
            for key in added {
                known.remove(&key);
            }
        });
        if !all_new {
            undo(self);
            return Err(Conflict::ItemKnown.into());
        }
        Ok(undo)
    }

    pub(crate) fn set_values(&mut self, action: ActionId, changes: BTreeMap<String, Option<Bytes>>) -> Undo {
        if !self.names_of.contains_key(&action) {
            return Box::new(|_| {});
        }
        let values = self.values.entry(action).or_default();
        let old: BTreeMap<String, Option<Bytes>> =
            changes.keys().map(|key| (key.clone(), values.get(key).cloned())).collect();
        apply(values, changes);
        Box::new(move |state| apply(state.values.entry(action).or_default(), old))
    }
}

fn apply(values: &mut Values, changes: BTreeMap<String, Option<Bytes>>) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(values.insert(key, value)),
            None => drop(values.remove(&key)),
        }
    }
}
