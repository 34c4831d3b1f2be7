//! Retention: removing what ended long ago, and what only that needed.

use super::batch::Batch;
use crate::{
    error::damaged,
    row::{EVENT, logged},
};
use action_domain::{
    audit::Removed,
    event::Position,
    limits::IDEMPOTENCY_KEY_FOR,
    repositories::{Prune, Pruned},
};
use futures_util::TryStreamExt as _;
use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::LazyLock,
};
use uuid::Uuid;

/// Chosen from the oldest id: what has not ended among those is little, and so is what is still
/// needed or not sealed yet. Positions are checked on an execution's own events. Whether a failed one
/// blocks its order says its document, which is written by us and without spaces; inside a text of it
/// each quote has a backslash, so this finds the member itself.
pub(crate) const CHOOSE: &str = "SELECT id FROM executions WHERE ended_at < $1 AND status IN (4, 5, 6, 7) \
     AND (status = 5 AND ordering_key IS NOT NULL AND strpos(turn, '\"order_blocks\":true') > 0) IS NOT TRUE \
     AND NOT EXISTS (SELECT 1 FROM idempotency_keys AS k WHERE k.execution = executions.id AND k.created_at > $3) \
     AND NOT EXISTS (SELECT 1 FROM events WHERE execution = executions.id AND (position > $4 OR time >= $1) IS TRUE) \
     ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED";
const NAME: &str = "INSERT INTO pruning (execution) SELECT unnest($1::uuid[])";
pub(crate) const PAYLOADS_OF: &str =
    "SELECT payload FROM events WHERE execution = ANY($1) AND (payload IS NOT NULL) IS TRUE";
/// Held before it is asked whether they are needed: who is about to refer to one holds it too.
pub(crate) const HOLD_PAYLOADS: &str = "SELECT digest FROM payloads WHERE digest = ANY($1) ORDER BY digest FOR UPDATE";
/// Read one by one: all of them at once may be more than fits.
pub(crate) static EVENTS: LazyLock<String> =
    LazyLock::new(|| format!("DELETE FROM events WHERE execution = ANY($1) RETURNING {EVENT}, payload, kind"));
const EMPTY: &str =
    "INSERT INTO pruned_events (position, execution, pruned_by) SELECT unnest($1::bigint[]), unnest($2::uuid[]), $3";
pub(crate) const PAYLOADS: &str = "DELETE FROM payloads AS p WHERE digest = ANY($1) \
     AND NOT EXISTS (SELECT 1 FROM events WHERE payload = p.digest)";
pub(crate) const KEYS: &str = "DELETE FROM idempotency_keys WHERE execution = ANY($1)";
pub(crate) const EXECUTIONS: &str = "DELETE FROM executions WHERE id = ANY($1)";

impl Batch<'_> {
    pub(super) async fn prune(&mut self, prune: &Prune) -> sqlx::Result<Pruned> {
        self.flush().await?;
        let chosen = sqlx::query_scalar(CHOOSE)
            .bind(prune.before.as_micros())
            .bind(i64::from(prune.limit))
            .bind(prune.now.minus(IDEMPOTENCY_KEY_FOR).as_micros())
            .bind(prune.through);
        let ids: Vec<Uuid> = chosen.fetch_all(&mut *self.connection).await?;
        if ids.is_empty() {
            return Ok(Pruned::default());
        }
        self.wrote = true;
        self.remove(NAME, &ids).await?;
        let of = sqlx::query_scalar(PAYLOADS_OF).bind(&ids);
        let of: Vec<Vec<u8>> = of.fetch_all(&mut *self.connection).await?;
        let held = sqlx::query_scalar(HOLD_PAYLOADS).bind(of);
        let held: Vec<Vec<u8>> = held.fetch_all(&mut *self.connection).await?;
        let mut events: Vec<Removed> = Vec::new();
        let mut going = sqlx::query(EVENTS.as_str()).bind(&ids).fetch(&mut *self.connection);
        while let Some(row) = going.try_next().await? {
            events.push(Removed::of(&logged(&row)?));
        }
        drop(going);
        let payloads = sqlx::query(PAYLOADS).bind(held).execute(&mut *self.connection).await?.rows_affected();
        self.remove(KEYS, &ids).await?;
        let executions = self.remove(EXECUTIONS, &ids).await?;
        self.execute("DELETE FROM pruning").await?;
        let pruned = Pruned::of(executions, payloads, &mut events);
        // The caller's closure must not take the writer down.
        let recorded = catch_unwind(AssertUnwindSafe(|| (prune.recorded)(pruned)));
        let recorded = recorded.map_err(|_| damaged("the event panicked"))?;
        let positions: Vec<Position> = events.iter().map(|event| event.position).collect();
        let of: Vec<Option<Uuid>> =
            events.iter().map(|event| event.execution.map(|execution| execution.uuid())).collect();
        let empty = sqlx::query(EMPTY).bind(positions).bind(of).bind(recorded.id.uuid());
        empty.execute(&mut *self.connection).await?;
        self.stage.append([Cow::Owned(recorded)]);
        Ok(pruned)
    }

    async fn remove(&mut self, sql: &'static str, ids: &[Uuid]) -> sqlx::Result<u64> {
        Ok(sqlx::query(sql).bind(ids).execute(&mut *self.connection).await?.rows_affected())
    }
}
