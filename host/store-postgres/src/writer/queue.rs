//! What else the queue writes: requests to stop, renewals, call-backs, paces, keys, offers.
//!
//! All of it is staged and written behind the executions of the batch ([`Changes`]).

use super::batch::Batch;
use crate::{error::Overtaken, row::Columns, writer::bulk::key_digest};
use action_domain::{
    digest::Digest,
    execution::WorkerId,
    id::{ActionId, ExecutionId},
    limits::IDEMPOTENCY_KEY_FOR,
    repositories::{IdempotencyKey, UnitOfWork, Write},
    time::Timestamp,
    turn::CALLED_BACK_MAX,
};
use sqlx::{
    PgConnection,
    postgres::{PgBindIterExt as _, PgRow},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use uuid::Uuid;

pub(crate) const CANCEL: &str = "UPDATE executions SET cancel_requested = true WHERE id = ANY($1)";
pub(crate) const RENEW: &str = "UPDATE executions AS e SET lease_until = r.until \
     FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS r (execution, worker, until) \
     WHERE e.id = r.execution AND e.status = 1 AND e.lease_worker = r.worker AND e.lease_until < r.until";
/// So many of the oldest of each action, and the oldest with each key. What another process
/// holds is being changed, and needs no call.
pub(crate) const CALL_BACK: &str = "UPDATE executions AS e SET aside = false, offered_at = NULL, run_at = least(run_at, $5) FROM (\
     SELECT a.id FROM unnest($1::uuid[], $2::bigint[]) AS c (action, most) CROSS JOIN LATERAL (\
        SELECT id FROM executions WHERE aside AND action = c.action \
        ORDER BY id LIMIT c.most FOR NO KEY UPDATE SKIP LOCKED) AS a \
     UNION SELECT k.id FROM unnest($3::uuid[], $4::bytea[]) AS c (action, key) CROSS JOIN LATERAL (\
        SELECT id FROM executions WHERE aside AND action = c.action AND ordering_key = c.key \
        ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS k) AS called WHERE e.id = called.id";
pub(crate) const SET_PACES: &str = "INSERT INTO action_paces AS p (action, pace) \
     SELECT * FROM unnest($1::uuid[], $2::bigint[]) \
     ON CONFLICT (action) DO UPDATE SET pace = greatest(p.pace, excluded.pace)";
/// Where there is no pace yet: one of long ago.
pub(crate) const PAUSE: &str = "INSERT INTO action_paces AS p (action, pace, paused_until) \
     SELECT action, 0, until FROM unnest($1::uuid[], $2::bigint[]) AS paused (action, until) \
     ON CONFLICT (action) DO UPDATE SET paused_until = greatest(p.paused_until, excluded.paused_until)";
pub(crate) const END_PAUSE: &str = "UPDATE action_paces SET paused_until = NULL WHERE action = $1";
pub(crate) const FORGET_PACE: &str = "UPDATE action_paces SET pace = 0 WHERE action = $1";
pub(crate) const PAUSED_UNTIL: &str = "SELECT paused_until FROM action_paces WHERE action = $1";
pub(crate) const KEYS: &str = "SELECT k.action, k.key, k.fingerprint, k.execution, k.created_at \
     FROM unnest($1::uuid[], $2::bytea[]) AS asked (action, key) \
     JOIN idempotency_keys AS k ON k.action = asked.action AND k.key = asked.key";
/// A key that another process added since it was looked for is left as it is, and missing in the
/// number of rows.
pub(crate) const ADD_KEYS: &str = "INSERT INTO idempotency_keys AS k (action, key, fingerprint, execution, created_at) \
     SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::uuid[], $5::bigint[]) \
     ON CONFLICT (action, key) DO UPDATE SET fingerprint = excluded.fingerprint, \
        execution = excluded.execution, created_at = excluded.created_at \
     WHERE k.created_at <= excluded.created_at - $6";
pub(crate) const OFFER: &str = "WITH named AS (SELECT id FROM executions WHERE status IN (0, 2) AND run_at <= $1 \
        AND (offered_at IS NULL OR offered_at < $2) ORDER BY run_at, id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED) \
     UPDATE executions AS e SET offered_at = $1 FROM named WHERE e.id = named.id RETURNING e.run_at, e.id, e.attempt";

/// An action's key.
pub(crate) type Key = (ActionId, Arc<str>);

/// What is staged beside executions.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    pub(crate) keys: BTreeMap<Key, &'a IdempotencyKey>,
    /// Running executions that are to be stopped, where the request is not staged with them.
    pub(crate) cancels: BTreeSet<ExecutionId>,
    renewals: BTreeMap<(ExecutionId, WorkerId), Timestamp>,
    /// How often each action is called back, and with which keys.
    calls: BTreeMap<ActionId, i64>,
    called_keys: BTreeSet<Key>,
    called_at: Option<Timestamp>,
    paces: BTreeMap<ActionId, Timestamp>,
    pauses: BTreeMap<ActionId, Timestamp>,
}

impl<'a> Changes<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
            && self.cancels.is_empty()
            && self.renewals.is_empty()
            && self.calls.is_empty()
            && self.paces.is_empty()
            && self.pauses.is_empty()
    }

    pub(crate) fn add_key(&mut self, key: &'a IdempotencyKey) {
        self.keys.insert((key.action, Arc::clone(&key.key)), key);
    }

    pub(crate) fn renew(&mut self, worker: WorkerId, executions: &[ExecutionId], until: Timestamp) {
        for execution in executions {
            let renewed = self.renewals.entry((*execution, worker)).or_insert(until);
            *renewed = until.max(*renewed);
        }
    }

    pub(crate) fn call_back(&mut self, action: ActionId, key: Option<&Arc<str>>, now: Timestamp) {
        *self.calls.entry(action).or_default() += i64::from(CALLED_BACK_MAX);
        self.called_keys.extend(key.map(|key| (action, Arc::clone(key))));
        self.called_at = self.called_at.max(Some(now));
    }

    pub(crate) fn set_pace(&mut self, action: ActionId, pace: Timestamp) {
        let known = self.paces.entry(action).or_insert(pace);
        *known = pace.max(*known);
    }

    pub(crate) fn pause(&mut self, action: ActionId, until: Timestamp) {
        let known = self.pauses.entry(action).or_insert(until);
        *known = until.max(*known);
    }

    /// Writes all of it; gives the time from which what was called back is due.
    pub(crate) async fn flush(&mut self, connection: &mut PgConnection) -> sqlx::Result<Option<Timestamp>> {
        let Changes { keys, cancels, renewals, calls, called_keys, called_at, paces, pauses } = std::mem::take(self);
        if !keys.is_empty() {
            add_keys(connection, &keys).await?;
        }
        if !cancels.is_empty() {
            let ids: Vec<Uuid> = cancels.iter().map(ExecutionId::uuid).collect();
            sqlx::query(CANCEL).bind(ids).execute(&mut *connection).await?;
        }
        if !renewals.is_empty() {
            sqlx::query(RENEW)
                .bind(renewals.keys().map(|(execution, _)| execution.uuid()).bind_iter())
                .bind(renewals.keys().map(|(_, worker)| *worker).bind_iter())
                .bind(renewals.values().map(|until| until.as_micros()).bind_iter())
                .execute(&mut *connection)
                .await?;
        }
        for (sql, times) in [(SET_PACES, paces), (PAUSE, pauses)] {
            if !times.is_empty() {
                sqlx::query(sql)
                    .bind(times.keys().map(ActionId::uuid).bind_iter())
                    .bind(times.values().map(|time| time.as_micros()).bind_iter())
                    .execute(&mut *connection)
                    .await?;
            }
        }
        let Some(now) = called_at else { return Ok(None) };
        let called = sqlx::query(CALL_BACK)
            .bind(calls.keys().map(ActionId::uuid).bind_iter())
            .bind(calls.values().copied().bind_iter())
            .bind(called_keys.iter().map(|(action, _)| action.uuid()).bind_iter())
            .bind(called_keys.iter().map(|(_, key)| key_digest(key)).bind_iter())
            .bind(now.as_micros())
            .execute(connection)
            .await?;
        Ok((called.rows_affected() > 0).then_some(now))
    }
}

async fn add_keys(connection: &mut PgConnection, keys: &BTreeMap<Key, &IdempotencyKey>) -> sqlx::Result<()> {
    let added = sqlx::query(ADD_KEYS)
        .bind(keys.values().map(|key| key.action.uuid()).bind_iter())
        .bind(keys.values().map(|key| key.key.as_bytes()).bind_iter())
        .bind(keys.values().map(|key| key.fingerprint.as_bytes().to_vec()).bind_iter())
        .bind(keys.values().map(|key| key.execution.uuid()).bind_iter())
        .bind(keys.values().map(|key| key.created_at.as_micros()).bind_iter())
        .bind(i64::try_from(IDEMPOTENCY_KEY_FOR.as_micros()).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    if added.rows_affected() == keys.len() as u64 { Ok(()) } else { Err(sqlx::Error::AnyDriverError(Overtaken.into())) }
}

/// The keys that these units want to add, as far as they were used.
pub(super) async fn used_keys<'a>(
    connection: &mut PgConnection,
    units: impl Iterator<Item = &'a UnitOfWork>,
) -> sqlx::Result<BTreeMap<Key, IdempotencyKey>> {
    let wanted: Vec<&IdempotencyKey> = units
        .flat_map(|unit| &unit.writes)
        .filter_map(|write| if let Write::AddIdempotencyKey(key) = write { Some(&**key) } else { None })
        .collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query(KEYS)
        .bind(wanted.iter().map(|key| key.action.uuid()).bind_iter())
        .bind(wanted.iter().map(|key| key.key.as_bytes()).bind_iter())
        .fetch_all(connection)
        .await?;
    let keyed = |row| read_key(row).map(|key| ((key.action, Arc::clone(&key.key)), key));
    rows.iter().map(keyed).collect()
}

/// A key from the columns of [`KEYS`].
pub(crate) fn read_key(row: &PgRow) -> sqlx::Result<IdempotencyKey> {
    let mut columns = Columns::of(row);
    Ok(IdempotencyKey {
        action: ActionId::from_uuid(columns.take()?),
        key: columns.text()?,
        fingerprint: Digest::from_bytes(columns.take()?),
        execution: ExecutionId::from_uuid(columns.take()?),
        created_at: columns.time()?,
    })
}

impl Batch<'_> {
    pub(super) async fn set_back(&mut self, sql: &'static str, action: ActionId) -> sqlx::Result<()> {
        sqlx::query(sql).bind(action.uuid()).execute(&mut *self.connection).await.map(drop)
    }

    pub(super) async fn offer(
        &mut self,
        now: Timestamp,
        again_before: Timestamp,
        limit: u32,
    ) -> sqlx::Result<Vec<(ExecutionId, u32)>> {
        self.flush().await?;
        let statement = sqlx::query(OFFER).bind(now.as_micros()).bind(again_before.as_micros()).bind(i64::from(limit));
        let rows = statement.fetch_all(&mut *self.connection).await?;
        self.wrote |= !rows.is_empty();
        let read = |row| {
            let mut columns = Columns::of(row);
            let (run_at, id) = (columns.time()?, ExecutionId::from_uuid(columns.take()?));
            Ok((run_at, id, columns.number::<u32>()? + 1))
        };
        let mut named = rows.iter().map(read).collect::<sqlx::Result<Vec<_>>>()?;
        named.sort_unstable();
        Ok(named.into_iter().map(|(_, id, attempt)| (id, attempt)).collect())
    }
}
