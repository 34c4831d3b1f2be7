//! What else the queue writes: requests to stop, renewals, call-backs, keys, offers.

use super::{batch::Batch, state::Guard};
use crate::row::Columns;
use action_domain::{
    digest::Digest,
    execution::{Status, WorkerId},
    id::{ActionId, ExecutionId},
    limits::IDEMPOTENCY_KEY_FOR,
    repositories::{Conflict, IdempotencyKey},
    time::Timestamp,
    turn::CALLED_BACK_MAX,
};
use rusqlite::{OptionalExtension as _, Row};

pub(crate) const REQUEST_CANCEL: &str = "UPDATE executions SET cancel_requested = 1 WHERE id = ?";
pub(crate) const RENEW: &str =
    "UPDATE executions SET lease_until = ?3 WHERE id = ?1 AND status = 1 AND lease_worker = ?2 AND lease_until < ?3";
/// The oldest of an action, and the oldest with a key.
pub(crate) const CALL_BACK: &str = "UPDATE executions SET aside = NULL, offered_at = NULL, run_at = min(run_at, ?3) WHERE id IN (\
     SELECT id FROM (SELECT id FROM executions INDEXED BY executions_aside \
        WHERE aside = 1 AND action = ?1 ORDER BY id LIMIT ?4) \
     UNION ALL SELECT id FROM (SELECT id FROM executions INDEXED BY executions_aside \
        WHERE aside = 1 AND action = ?1 AND ordering_key = ?2 ORDER BY id LIMIT 1))";
pub(crate) const KEY: &str =
    "SELECT fingerprint, execution, created_at FROM idempotency_keys WHERE action = ? AND key = ?";
const ADD_KEY: &str = "INSERT INTO idempotency_keys (action, key, fingerprint, execution, created_at) \
     VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (action, key) DO UPDATE SET fingerprint = ?3, execution = ?4, created_at = ?5";
pub(crate) const OFFER: &str = "UPDATE executions SET offered_at = ?1 WHERE id IN (\
     SELECT id FROM executions INDEXED BY executions_due WHERE status IN (0, 2) AND run_at <= ?1 \
     AND (offered_at IS NULL OR offered_at < ?2) ORDER BY run_at, id LIMIT ?3) RETURNING id, attempt, run_at";

impl Batch<'_> {
    pub(super) fn request_cancel(
        &mut self,
        id: ExecutionId,
        attempt: u32,
        known: Option<Guard>,
    ) -> rusqlite::Result<Result<Guard, Conflict>> {
        let runs = |guard: &Guard| guard.status == Status::Running && guard.attempt == attempt;
        let Some(guard) = known.filter(runs) else { return Ok(Err(Conflict::StatusMismatch)) };
        self.connection.prepare_cached(REQUEST_CANCEL)?.execute([id.uuid().as_bytes()])?;
        Ok(Ok(guard.to_be_stopped()))
    }

    pub(super) fn renew_leases(
        &mut self,
        worker: WorkerId,
        executions: &[ExecutionId],
        until: Timestamp,
    ) -> rusqlite::Result<()> {
        let mut renew = self.connection.prepare_cached(RENEW)?;
        for execution in executions {
            renew.execute((execution.uuid().as_bytes(), worker.as_bytes(), until.as_micros()))?;
        }
        Ok(())
    }

    pub(super) fn call_back(&mut self, action: ActionId, key: Option<&str>, now: Timestamp) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(CALL_BACK)?;
        statement.execute((action.uuid().as_bytes(), key, now.as_micros(), CALLED_BACK_MAX)).map(drop)
    }

    pub(super) fn add_idempotency_key(&mut self, key: &IdempotencyKey) -> rusqlite::Result<Result<(), Conflict>> {
        let action = key.action.uuid();
        let mut stored = self.connection.prepare_cached(KEY)?;
        let read = |row: &Row<'_>| read_key(row, key.action, &key.key);
        let used = stored.query_row((action.as_bytes(), &key.key), read).optional()?;
        if let Some(used) = used.filter(|used| used.created_at.plus(IDEMPOTENCY_KEY_FOR) > key.created_at) {
            return Ok(Err(Conflict::KeyUsed(Box::new(used))));
        }
        self.connection.prepare_cached(ADD_KEY)?.execute((
            action.as_bytes(),
            &key.key,
            key.fingerprint.as_bytes(),
            key.execution.uuid().as_bytes(),
            key.created_at.as_micros(),
        ))?;
        Ok(Ok(()))
    }

    pub(super) fn offer(
        &mut self,
        now: Timestamp,
        again_before: Timestamp,
        limit: u32,
    ) -> rusqlite::Result<Vec<(ExecutionId, u32)>> {
        self.flush()?;
        let mut statement = self.connection.prepare_cached(OFFER)?;
        let rows = statement.query_map((now.as_micros(), again_before.as_micros(), limit), |row| {
            let mut columns = Columns::of(row);
            let id = ExecutionId::from_uuid(columns.uuid()?);
            let attempt: u32 = columns.number()?;
            Ok((columns.time()?, id, attempt + 1))
        })?;
        let mut named = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        named.sort_unstable();
        Ok(named.into_iter().map(|(_, id, attempt)| (id, attempt)).collect())
    }
}

/// A key from the columns of [`KEY`].
pub(crate) fn read_key(row: &Row<'_>, action: ActionId, key: &str) -> rusqlite::Result<IdempotencyKey> {
    let mut columns = Columns::of(row);
    let fingerprint = Digest::from_bytes(columns.take()?);
    let execution = ExecutionId::from_uuid(columns.uuid()?);
    Ok(IdempotencyKey { action, key: key.into(), fingerprint, execution, created_at: columns.time()? })
}
