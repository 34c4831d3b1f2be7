//! Writing what actions captured: the keys of their items, and the values that they keep.

use super::batch::Batch;
use action_domain::{id::ActionId, repositories::Conflict};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};

const ADD_KEY: &str = "INSERT INTO item_keys (action, key) VALUES (?, ?) ON CONFLICT DO NOTHING";
const SET: &str = "INSERT INTO action_values (action, key, value) VALUES (?, ?, ?) \
     ON CONFLICT (action, key) DO UPDATE SET value = excluded.value";
pub(crate) const REMOVE: &str = "DELETE FROM action_values WHERE action = ? AND key = ?";

impl Batch<'_> {
    pub(super) fn add_item_keys(
        &mut self,
        action: ActionId,
        keys: &[Arc<str>],
    ) -> rusqlite::Result<Result<(), Conflict>> {
        if !self.is_there(action)? {
            return Ok(Ok(()));
        }
        let mut add = self.connection.prepare_cached(ADD_KEY)?;
        for key in keys {
            if add.execute((action.uuid().as_bytes(), key))? == 0 {
                return Ok(Err(Conflict::ItemKnown));
            }
        }
        Ok(Ok(()))
    }

    pub(super) fn set_values(
        &mut self,
        action: ActionId,
        changes: &BTreeMap<String, Option<Bytes>>,
    ) -> rusqlite::Result<()> {
        if !self.is_there(action)? {
            return Ok(());
        }
        let id = action.uuid();
        let mut set = self.connection.prepare_cached(SET)?;
        let mut remove = self.connection.prepare_cached(REMOVE)?;
        for (key, value) in changes {
            match value {
                Some(value) => set.execute((id.as_bytes(), key, &value[..]))?,
                None => remove.execute((id.as_bytes(), key))?,
            };
        }
        Ok(())
    }
}
