//! The statements of the hot path: any number of rows in one, as one array for each column.
//!
//! Their texts do not depend on the number of rows, so each is prepared and planned once for a
//! connection. The last one of a batch takes the log's end: from there to the commit no other
//! process can append, so rows are written before, and nothing but events there.

use crate::{
    codes::status_code,
    error::damaged,
    listen::{CANCEL_CHANNEL, DUE_CHANNEL, LOG_CHANNEL},
    row::{EVENT, EXECUTION, stored_correlation},
    writer::stage::Rows,
};
use action_domain::{
    digest::Digest,
    event::{Context, NewEvent, Position},
    execution::Execution,
    time::Timestamp,
    turn::Turn,
};
use bytes::Bytes;
use serde::Serialize;
use sqlx::{PgConnection, Row as _, postgres::PgBindIterExt as _};
use std::{borrow::Cow, sync::LazyLock};
use uuid::Uuid;

/// What other processes are told once a batch is committed.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// When the earliest execution that it left in the queue is due.
    pub(crate) due: Option<Timestamp>,
    /// Running executions that are to be stopped.
    pub(crate) cancels: Vec<Uuid>,
}

/// How a batch can be found again: by its process, and by its number there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) writer: Uuid,
    pub(crate) batch: i64,
}

/// The types of an execution's columns, and of those that only queries need.
const ADDED_TYPES: &str = "uuid[], uuid[], bigint[], text[], smallint[], bigint[], bytea[], bytea[], \
     bigint[], bigint[], bigint[], bigint[], text[], boolean[], boolean[], \
     uuid[], bigint[], bigint[], text[], text[], bytea[], bigint[]";
const FOR_QUERIES: &str = "ordering_key, expires_at";

/// What of an execution changes, and the types of it. What it is (its action, revision,
/// protocol, correlation, creation) does not.
const UPDATED: &str = "id, status, attempt, started_at, ended_at, run_at, turn, aside, cancel_requested, \
     lease_worker, lease_attempt, lease_until, error, receipt, ordering_key, expires_at";
const UPDATED_TYPES: &str = "uuid[], smallint[], bigint[], bigint[], bigint[], bigint[], text[], boolean[], boolean[], \
     uuid[], bigint[], bigint[], text[], text[], bytea[], bigint[]";

/// The types of an event's columns behind the position.
const EVENT_TYPES: &str =
    "uuid[], text[], bigint[], uuid[], bigint[], uuid[], bytea[], uuid[], bigint[], text[], bytea[], bytea[]";

/// `$7::uuid[], $8::text[]` and so on, and the number behind the last.
fn places(first: usize, types: &str) -> (String, usize) {
    let places: Vec<String> =
        types.split(',').enumerate().map(|(index, r#type)| format!("${}::{}", first + index, r#type.trim())).collect();
    (places.join(", "), first + places.len())
}

/// New executions, and what changed of others.
pub(crate) static WRITE_ROWS: LazyLock<String> = LazyLock::new(|| {
    let (added, next) = places(1, ADDED_TYPES);
    let (updated, _) = places(next, UPDATED_TYPES);
    let set: Vec<String> = UPDATED.split(", ").skip(1).map(|column| format!("{column} = u.{column}")).collect();
    format!(
        "WITH added AS (INSERT INTO executions ({EXECUTION}, {FOR_QUERIES}) SELECT * FROM unnest({added})) \
         UPDATE executions AS e SET {}, offered_at = NULL FROM unnest({updated}) AS u ({UPDATED}) WHERE e.id = u.id",
        set.join(", ")
    )
});

/// The batch's mark; the log's end, moved on and held until the commit; the events behind it; and
/// who should hear of it, which Postgres tells them after the commit.
pub(crate) static FINISH: LazyLock<String> = LazyLock::new(|| {
    let (events, _) = places(6, EVENT_TYPES);
    let columns = EVENT.trim_start_matches("position, ").to_owned() + ", payload, kind";
    let selected: Vec<String> = columns.split(", ").map(|column| format!("e.{column}")).collect();
    format!(
        "WITH marked AS (INSERT INTO writers (id, batch) VALUES ($1, $2) \
            ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, seen_at = excluded.seen_at), \
         grown AS (UPDATE log SET position = position + $3 WHERE one AND $3 > 0 RETURNING position), \
         appended AS (INSERT INTO events (position, {columns}) SELECT grown.position - $3 + e.place, {} \
            FROM grown, unnest({events}) WITH ORDINALITY AS e ({columns}, place)), \
         ended AS (SELECT coalesce((SELECT position FROM grown), \
            (SELECT position FROM log WHERE one)) AS position) \
         SELECT position - $3, \
            CASE WHEN $3 > 0 THEN pg_notify('{LOG_CHANNEL}', position::text)::text END, \
            CASE WHEN $4::bigint IS NOT NULL THEN pg_notify('{DUE_CHANNEL}', $4::text)::text END, \
            (SELECT count(pg_notify('{CANCEL_CHANNEL}', id::text)::text) FROM unnest($5::uuid[]) AS c (id)) \
         FROM ended",
        selected.join(", ")
    )
});

pub(crate) async fn write_rows(connection: &mut PgConnection, rows: &Rows<'_>) -> sqlx::Result<()> {
    let (added, updated) = (&rows.added, &rows.updated);
    let (errors, receipts) = documents(added)?;
    let statement = sqlx::query(WRITE_ROWS.as_str())
        .bind(added.iter().map(|e| e.id.uuid()).bind_iter())
        .bind(added.iter().map(|e| e.action.uuid()).bind_iter())
        .bind(added.iter().map(|e| i64::from(e.revision)).bind_iter())
        .bind(added.iter().map(|e| e.protocol.to_string()).bind_iter())
        .bind(added.iter().map(|e| status_code(e.status)).bind_iter())
        .bind(added.iter().map(|e| i64::from(e.attempt)).bind_iter())
        .bind(added.iter().map(|e| stored_correlation(&e.correlation_id, Some(e.id))).bind_iter())
        .bind(added.iter().map(|e| e.traceparent.as_ref().map(|text| text.as_bytes())).bind_iter())
        .bind(added.iter().map(|e| e.created_at.as_micros()).bind_iter())
        .bind(added.iter().map(|e| e.started_at.map(Timestamp::as_micros)).bind_iter())
        .bind(added.iter().map(|e| e.ended_at.map(Timestamp::as_micros)).bind_iter())
        .bind(added.iter().map(|e| e.run_at.map(Timestamp::as_micros)).bind_iter())
        .bind(turns(added)?)
        .bind(added.iter().map(|e| e.turn.aside).bind_iter())
        .bind(added.iter().map(|e| e.cancel_requested).bind_iter())
        .bind(added.iter().map(|e| e.lease.map(|lease| lease.worker)).bind_iter())
        .bind(added.iter().map(|e| e.lease.map(|lease| i64::from(lease.attempt))).bind_iter())
        .bind(added.iter().map(|e| e.lease.map(|lease| lease.until.as_micros())).bind_iter())
        .bind(errors)
        .bind(receipts)
        .bind(added.iter().map(|e| ordering_key(e)).bind_iter())
        .bind(added.iter().map(|e| e.turn.expires_at.map(Timestamp::as_micros)).bind_iter());
    let (errors, receipts) = documents(updated)?;
    statement
        .bind(updated.iter().map(|e| e.id.uuid()).bind_iter())
        .bind(updated.iter().map(|e| status_code(e.status)).bind_iter())
        .bind(updated.iter().map(|e| i64::from(e.attempt)).bind_iter())
        .bind(updated.iter().map(|e| e.started_at.map(Timestamp::as_micros)).bind_iter())
        .bind(updated.iter().map(|e| e.ended_at.map(Timestamp::as_micros)).bind_iter())
        .bind(updated.iter().map(|e| e.run_at.map(Timestamp::as_micros)).bind_iter())
        .bind(turns(updated)?)
        .bind(updated.iter().map(|e| e.turn.aside).bind_iter())
        .bind(updated.iter().map(|e| e.cancel_requested).bind_iter())
        .bind(updated.iter().map(|e| e.lease.map(|lease| lease.worker)).bind_iter())
        .bind(updated.iter().map(|e| e.lease.map(|lease| i64::from(lease.attempt))).bind_iter())
        .bind(updated.iter().map(|e| e.lease.map(|lease| lease.until.as_micros())).bind_iter())
        .bind(errors)
        .bind(receipts)
        .bind(updated.iter().map(|e| ordering_key(e)).bind_iter())
        .bind(updated.iter().map(|e| e.turn.expires_at.map(Timestamp::as_micros)).bind_iter())
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends a batch whose rows are written; gives the log's end before its events.
pub(crate) async fn finish(
    connection: &mut PgConnection,
    events: &[Cow<'_, NewEvent>],
    mark: Mark,
    news: &Told,
) -> sqlx::Result<Position> {
    let row = sqlx::query(FINISH.as_str())
        .bind(mark.writer)
        .bind(mark.batch)
        .bind(events.len() as i64)
        .bind(news.due.map(Timestamp::as_micros))
        .bind(&news.cancels)
        .bind(events.iter().map(|e| e.id.uuid()).bind_iter())
        .bind(events.iter().map(|e| e.r#type.as_str()).bind_iter())
        .bind(events.iter().map(|e| e.time.as_micros()).bind_iter())
        .bind(events.iter().map(|e| e.context.action.map(|id| id.uuid())).bind_iter())
        .bind(events.iter().map(|e| e.context.revision.map(i64::from)).bind_iter())
        .bind(events.iter().map(|e| e.context.execution.map(|id| id.uuid())).bind_iter())
        .bind(events.iter().map(|e| correlation(&e.context)).bind_iter())
        .bind(events.iter().map(|e| e.context.causation_id.map(|id| id.uuid())).bind_iter())
        .bind(events.iter().map(|e| e.context.attempt.map(i64::from)).bind_iter())
        .bind(events.iter().map(|e| e.data.get()).bind_iter())
        .bind(events.iter().map(|e| e.payload.map(|digest| digest.as_bytes().to_vec())).bind_iter())
        .bind(events.iter().map(|e| e.kind.as_ref().map(|kind| kind.as_bytes())).bind_iter())
        .fetch_one(connection)
        .await?;
    row.try_get(0)
}

pub(crate) async fn insert_payload(connection: &mut PgConnection, digest: &Digest, data: &Bytes) -> sqlx::Result<()> {
    // Where it is there already, it is held: else retention could take it away before this
    // batch's event refers to it.
    let text = "INSERT INTO payloads (digest, data) VALUES ($1, $2) \
                ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest";
    sqlx::query(text).bind(&digest.as_bytes()[..]).bind(&data[..]).execute(connection).await?;
    Ok(())
}

/// The key as an index can hold it, however long it is.
pub(crate) fn key_digest(key: &str) -> Vec<u8> {
    Digest::of(key.as_bytes()).as_bytes().to_vec()
}

fn ordering_key(execution: &Execution) -> Option<Vec<u8>> {
    execution.turn.ordering_key.as_deref().map(key_digest)
}

fn correlation(context: &Context) -> Option<&[u8]> {
    context.correlation_id.as_deref().map(|id| stored_correlation(id, context.execution))
}

/// Nothing where it is as by default, as most are.
fn turns(executions: &[Cow<Execution>]) -> sqlx::Result<Vec<Option<String>>> {
    let text = |turn: &Turn| {
        let plain = *turn == Turn { aside: turn.aside, ..Turn::default() };
        (!plain).then(|| serde_json::to_string(turn)).transpose().map_err(damaged)
    };
    executions.iter().map(|execution| text(&execution.turn)).collect()
}

type Documents = Vec<Option<String>>;

fn documents(executions: &[Cow<Execution>]) -> sqlx::Result<(Documents, Documents)> {
    fn document<T: Serialize>(value: Option<&T>) -> sqlx::Result<Option<String>> {
        value.map(serde_json::to_string).transpose().map_err(damaged)
    }
    let errors = executions.iter().map(|e| document(e.error.as_ref())).collect::<sqlx::Result<_>>()?;
    let receipts = executions.iter().map(|e| document(e.receipt.as_ref())).collect::<sqlx::Result<_>>()?;
    Ok((errors, receipts))
}
