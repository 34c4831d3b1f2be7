//! Writing what actions captured: the keys of their items, and the values that they keep.
//!
//! The action's row is held from the batch's beginning ([`hold_rows`](super::guard::hold_rows)): nobody
//! else captures for it or removes it meanwhile.

use super::batch::Batch;
use action_domain::{id::ActionId, repositories::Conflict};
use bytes::Bytes;
use sqlx::postgres::PgBindIterExt as _;
use std::{collections::BTreeMap, sync::Arc};

/// Whether the action is there, and how many keys were new.
pub(crate) const ADD_KEYS: &str = "WITH action AS (SELECT id FROM actions WHERE id = $1), \
     added AS (INSERT INTO item_keys (action, key) SELECT action.id, k.key FROM action, unnest($2::bytea[]) AS k (key) \
        ON CONFLICT DO NOTHING RETURNING 1) \
     SELECT EXISTS (SELECT 1 FROM action), (SELECT count(*) FROM added)";
pub(crate) const SET: &str = "INSERT INTO action_values (action, key, value) \
     SELECT actions.id, v.key, v.value FROM actions, unnest($2::bytea[], $3::bytea[]) AS v (key, value) \
     WHERE actions.id = $1 ON CONFLICT (action, key) DO UPDATE SET value = excluded.value";
pub(crate) const REMOVE: &str = "DELETE FROM action_values WHERE action = $1 AND key = ANY($2)";

impl Batch<'_> {
    pub(super) async fn add_item_keys(
        &mut self,
        action: ActionId,
        keys: &[Arc<str>],
    ) -> sqlx::Result<Result<(), Conflict>> {
        let (is_there, added): (bool, i64) = sqlx::query_as(ADD_KEYS)
            .bind(action.uuid())
            .bind(keys.iter().map(|key| key.as_bytes()).bind_iter())
            .fetch_one(&mut *self.connection)
            .await?;
        Ok(if is_there && added != keys.len() as i64 { Err(Conflict::ItemKnown) } else { Ok(()) })
    }

    pub(super) async fn set_values(
        &mut self,
        action: ActionId,
        changes: &BTreeMap<String, Option<Bytes>>,
    ) -> sqlx::Result<()> {
        let removed = || changes.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.as_bytes());
        let set = || changes.iter().filter_map(|(key, value)| Some((key.as_bytes(), value.as_ref()?)));
        if removed().next().is_some() {
            let statement = sqlx::query(REMOVE).bind(action.uuid()).bind(removed().bind_iter());
            statement.execute(&mut *self.connection).await?;
        }
        if set().next().is_some() {
            sqlx::query(SET)
                .bind(action.uuid())
                .bind(set().map(|(key, _)| key).bind_iter())
                .bind(set().map(|(_, value)| &value[..]).bind_iter())
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }
}
