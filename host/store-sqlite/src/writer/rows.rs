//! The statements of the hot path, each for many rows.
//!
//! Prepared once, and run for one row after the other: inside one process SQLite takes a row so
//! in two or three microseconds, and nothing is copied on its way there.

use crate::{
    codes::{EventTypes, status_code},
    error::damaged,
    row::{EVENT, EXECUTION, stored_correlation},
};
use action_domain::{
    digest::Digest,
    event::{NewEvent, Position},
    execution::Execution,
    time::Timestamp,
    turn::Turn,
};
use bytes::Bytes;
use rusqlite::{Connection, params};
use serde::Serialize;
use std::sync::LazyLock;

static INSERT_EXECUTION: LazyLock<String> = LazyLock::new(|| insert("executions", EXECUTION));
static INSERT_EVENT: LazyLock<String> = LazyLock::new(|| insert("events", &format!("{EVENT}, payload, kind")));

/// What an execution is (its action, revision, protocol, correlation, creation) does not change.
pub(crate) const UPDATE_EXECUTION: &str = "UPDATE executions SET status = ?, attempt = ?, started_at = ?, \
     ended_at = ?, run_at = ?, turn = ?, expires_at = ?, aside = ?, cancel_requested = ?, offered_at = NULL, lease_worker = ?, lease_attempt = ?, lease_until = ?, error = ?, receipt = ? \
     WHERE id = ?";

fn insert(table: &str, columns: &str) -> String {
    let places = columns.split(',').map(|_| "?").collect::<Vec<_>>().join(",");
    format!("INSERT INTO {table} ({columns}) VALUES ({places})")
}

pub(crate) fn insert_executions<'a>(
    connection: &Connection,
    executions: impl ExactSizeIterator<Item = &'a Execution>,
) -> rusqlite::Result<()> {
    if executions.len() == 0 {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(&INSERT_EXECUTION)?;
    for execution in executions {
        let lease = execution.lease;
        statement.execute(params![
            execution.id.uuid().as_bytes(),
            execution.action.uuid().as_bytes(),
            execution.revision,
            execution.protocol.to_string(),
            status_code(execution.status),
            execution.attempt,
            stored_correlation(&execution.correlation_id, Some(execution.id)),
            execution.traceparent,
            execution.created_at.as_micros(),
            execution.started_at.map(Timestamp::as_micros),
            execution.ended_at.map(Timestamp::as_micros),
            execution.run_at.map(Timestamp::as_micros),
            turn(&execution.turn)?,
            execution.turn.ordering_key,
            execution.turn.expires_at.map(Timestamp::as_micros),
            execution.turn.aside.then_some(true),
            execution.cancel_requested.then_some(true),
            lease.as_ref().map(|lease| lease.worker.as_bytes()),
            lease.map(|lease| lease.attempt),
            lease.map(|lease| lease.until.as_micros()),
            document(execution.error.as_ref())?,
            document(execution.receipt.as_ref())?,
        ])?;
    }
    Ok(())
}

pub(crate) fn update_executions<'a>(
    connection: &Connection,
    executions: impl ExactSizeIterator<Item = &'a Execution>,
) -> rusqlite::Result<()> {
    if executions.len() == 0 {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(UPDATE_EXECUTION)?;
    for execution in executions {
        let lease = execution.lease;
        statement.execute(params![
            status_code(execution.status),
            execution.attempt,
            execution.started_at.map(Timestamp::as_micros),
            execution.ended_at.map(Timestamp::as_micros),
            execution.run_at.map(Timestamp::as_micros),
            turn(&execution.turn)?,
            execution.turn.expires_at.map(Timestamp::as_micros),
            execution.turn.aside.then_some(true),
            execution.cancel_requested.then_some(true),
            lease.as_ref().map(|lease| lease.worker.as_bytes()),
            lease.map(|lease| lease.attempt),
            lease.map(|lease| lease.until.as_micros()),
            document(execution.error.as_ref())?,
            document(execution.receipt.as_ref())?,
            execution.id.uuid().as_bytes(),
        ])?;
    }
    Ok(())
}

/// Appends events behind `after`.
pub(crate) fn insert_events<'a>(
    connection: &Connection,
    types: &EventTypes,
    after: Position,
    events: impl ExactSizeIterator<Item = &'a NewEvent>,
) -> rusqlite::Result<()> {
    if events.len() == 0 {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(&INSERT_EVENT)?;
    for (position, event) in (after + 1..).zip(events) {
        let context = &event.context;
        statement.execute(params![
            position,
            event.id.uuid().as_bytes(),
            types.code(event.r#type),
            event.time.as_micros(),
            context.action.map(|id| *id.uuid().as_bytes()),
            context.revision,
            context.execution.map(|id| *id.uuid().as_bytes()),
            context.correlation_id.as_deref().map(|id| stored_correlation(id, context.execution)),
            context.causation_id.map(|id| *id.uuid().as_bytes()),
            context.attempt,
            event.data.get(),
            event.payload.as_ref().map(Digest::as_bytes),
            event.kind.as_deref(),
        ])?;
    }
    Ok(())
}

pub(crate) fn insert_payloads<'a>(
    connection: &Connection,
    payloads: impl ExactSizeIterator<Item = (&'a Digest, &'a Bytes)>,
) -> rusqlite::Result<()> {
    if payloads.len() == 0 {
        return Ok(());
    }
    let mut statement =
        connection.prepare_cached("INSERT INTO payloads (digest, data) VALUES (?, ?) ON CONFLICT DO NOTHING")?;
    for (digest, data) in payloads {
        statement.execute((digest.as_bytes(), &data[..]))?;
    }
    Ok(())
}

/// Nothing where it is as by default, as most are.
fn turn(turn: &Turn) -> rusqlite::Result<Option<String>> {
    let plain = *turn == Turn { aside: turn.aside, ..Turn::default() };
    document((!plain).then_some(turn))
}

fn document<T: Serialize>(value: Option<&T>) -> rusqlite::Result<Option<String>> {
    value.map(serde_json::to_string).transpose().map_err(damaged)
}
