//! The statements of the hot path, for many rows at once.
//!
//! The driver hands each statement to another thread and waits: some ten microseconds, as much
//! as SQLite needs for ten rows. So rows go in chunks, in sizes that are powers of two: few
//! statements for any number of rows, and few different ones to keep prepared.

use crate::{
    codes::{EventTypes, status_code},
    error::damaged,
    row::{EVENT, EXECUTION, blob},
};
use action_domain::{
    digest::Digest,
    event::{NewEvent, Position},
    execution::Execution,
    time::Timestamp,
};
use bytes::Bytes;
use serde::Serialize;
use sqlx::{Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};
use std::{iter, sync::LazyLock};

/// Rows in one statement.
const SIZES: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// One text for each of [`SIZES`].
type Texts = [String; SIZES.len()];

type Statement = Query<'static, Sqlite, SqliteArguments>;

static INSERT_EXECUTIONS: LazyLock<Texts> = LazyLock::new(|| insert("executions", EXECUTION));
static INSERT_EVENTS: LazyLock<Texts> = LazyLock::new(|| insert("events", EVENT));
/// Several statements in one text: the driver takes them in one go, and each finds its row by
/// its key, which no UPDATE over a list of rows does as quickly.
static UPDATE_EXECUTIONS: LazyLock<Texts> = LazyLock::new(|| SIZES.map(|size| UPDATE_EXECUTION.repeat(size)));

/// What an execution is (its action, revision, protocol, correlation, creation) does not change.
pub(crate) const UPDATE_EXECUTION: &str = "UPDATE executions SET status = ?, attempt = ?, started_at = ?, \
     ended_at = ?, run_at = ?, lease_worker = ?, lease_attempt = ?, lease_until = ?, error = ?, receipt = ? \
     WHERE id = ?;";

fn insert(table: &str, columns: &str) -> Texts {
    let places = columns.split(',').map(|_| "?").collect::<Vec<_>>().join(",");
    SIZES.map(|size| {
        let rows = iter::repeat_n(format!("({places})"), size).collect::<Vec<_>>().join(",");
        format!("INSERT INTO {table} ({columns}) VALUES {rows}")
    })
}

/// Runs one statement for each chunk of `items`; `bind` binds one item.
async fn run<T>(
    connection: &mut SqliteConnection,
    texts: &'static Texts,
    mut items: &[T],
    mut bind: impl FnMut(Statement, &T) -> sqlx::Result<Statement>,
) -> sqlx::Result<()> {
    for (size, text) in iter::zip(SIZES, texts) {
        while let Some((chunk, rest)) = items.split_at_checked(size) {
            let mut statement = sqlx::query(text.as_str());
            for item in chunk {
                statement = bind(statement, item)?;
            }
            statement.execute(&mut *connection).await?;
            items = rest;
        }
    }
    Ok(())
}

pub(crate) async fn insert_executions(
    connection: &mut SqliteConnection,
    executions: &[&Execution],
) -> sqlx::Result<()> {
    run(connection, &INSERT_EXECUTIONS, executions, |statement, execution| {
        let lease = execution.lease;
        Ok(statement
            .bind(blob(execution.id.uuid()))
            .bind(blob(execution.action.uuid()))
            .bind(i64::from(execution.revision))
            .bind(execution.protocol.to_string())
            .bind(status_code(execution.status))
            .bind(i64::from(execution.attempt))
            .bind(execution.correlation_id.clone())
            .bind(execution.traceparent.clone())
            .bind(execution.created_at.as_micros())
            .bind(execution.started_at.map(Timestamp::as_micros))
            .bind(execution.ended_at.map(Timestamp::as_micros))
            .bind(execution.run_at.map(Timestamp::as_micros))
            .bind(lease.map(|lease| blob(lease.worker)))
            .bind(lease.map(|lease| i64::from(lease.attempt)))
            .bind(lease.map(|lease| lease.until.as_micros()))
            .bind(document(execution.error.as_ref())?)
            .bind(document(execution.receipt.as_ref())?))
    })
    .await
}

pub(crate) async fn update_executions(
    connection: &mut SqliteConnection,
    executions: &[&Execution],
) -> sqlx::Result<()> {
    run(connection, &UPDATE_EXECUTIONS, executions, |statement, execution| {
        let lease = execution.lease;
        Ok(statement
            .bind(status_code(execution.status))
            .bind(i64::from(execution.attempt))
            .bind(execution.started_at.map(Timestamp::as_micros))
            .bind(execution.ended_at.map(Timestamp::as_micros))
            .bind(execution.run_at.map(Timestamp::as_micros))
            .bind(lease.map(|lease| blob(lease.worker)))
            .bind(lease.map(|lease| i64::from(lease.attempt)))
            .bind(lease.map(|lease| lease.until.as_micros()))
            .bind(document(execution.error.as_ref())?)
            .bind(document(execution.receipt.as_ref())?)
            .bind(blob(execution.id.uuid())))
    })
    .await
}

/// Appends events behind `after`.
pub(crate) async fn insert_events(
    connection: &mut SqliteConnection,
    types: &EventTypes,
    after: Position,
    events: &[&NewEvent],
) -> sqlx::Result<()> {
    let mut position = after;
    run(connection, &INSERT_EVENTS, events, |statement, event| {
        position += 1;
        let context = &event.context;
        Ok(statement
            .bind(position)
            .bind(blob(event.id.uuid()))
            .bind(types.code(event.r#type))
            .bind(event.time.as_micros())
            .bind(context.action.map(|id| blob(id.uuid())))
            .bind(context.revision.map(i64::from))
            .bind(context.execution.map(|id| blob(id.uuid())))
            .bind(context.correlation_id.clone())
            .bind(context.causation_id.map(|id| blob(id.uuid())))
            .bind(context.attempt.map(i64::from))
            .bind(event.data.get().to_owned()))
    })
    .await
}

pub(crate) async fn insert_payload(
    connection: &mut SqliteConnection,
    digest: &Digest,
    data: &Bytes,
) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO payloads (digest, data) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(digest.as_bytes().to_vec())
        .bind(data.to_vec())
        .execute(connection)
        .await?;
    Ok(())
}

fn document<T: Serialize>(value: Option<&T>) -> sqlx::Result<Option<String>> {
    value.map(serde_json::to_string).transpose().map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_takes_few_statements() {
        let statements = |mut rows: usize| {
            SIZES.into_iter().fold(0, |count, size| {
                let here = rows / size;
                rows %= size;
                count + here
            })
        };
        assert_eq!([1, 2, 3, 63, 64, 65, 128, 512].map(statements), [1, 1, 2, 6, 1, 2, 2, 8]);
    }
}
