//! Rows: how executions, events and documents stand in the tables.

use crate::{codes::status_of, error::damaged};
use action_domain::{
    audit::{Logged, LoggedEvent},
    digest::Digest,
    event::{Context, Event},
    execution::{Execution, Lease},
    id::{ActionId, EventId, ExecutionId},
    time::Timestamp,
    turn::Turn,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::{Decode, Postgres, Row as _, Type, postgres::PgRow};
use std::sync::Arc;
use uuid::Uuid;

/// The columns of an execution, in the order of [`execution`].
pub(crate) const EXECUTION: &str = "id, action, revision, protocol, status, attempt, correlation_id, traceparent, \
     created_at, started_at, ended_at, run_at, turn, aside, cancel_requested, \
     lease_worker, lease_attempt, lease_until, error, receipt";

/// The columns of an event, in the order of [`event`].
pub(crate) const EVENT: &str =
    "position, id, type, time, action, revision, execution, correlation_id, causation_id, attempt, data";
/// Where the correlation id stands among them.
const CORRELATION: usize = 7;

/// A correlation id as it is stored: this, which is no text, where it is the execution's own id,
/// as it is unless the caller gave one. So most rows are shorter, and stand in no index of
/// correlation ids.
pub(crate) const OWN: &[u8] = b"\xff";

/// A correlation id as it is stored.
pub(crate) fn stored_correlation(id: &str, execution: Option<ExecutionId>) -> &[u8] {
    match execution {
        Some(execution) if id == execution.to_string() => OWN,
        _ => id.as_bytes(),
    }
}

/// A row that is read column by column.
pub(crate) struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    /// From the first column.
    pub(crate) fn of(row: &'r PgRow) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(crate) fn take<T: Decode<'r, Postgres> + Type<Postgres>>(&mut self) -> sqlx::Result<T> {
        let index = self.next;
        self.next += 1;
        // The schema is ours: the types are those that were written.
        self.row.try_get_unchecked(index)
    }

    /// The next column, a number that fits.
    pub(crate) fn number<T: TryFrom<i64>>(&mut self) -> sqlx::Result<T> {
        let number: i64 = self.take()?;
        T::try_from(number).map_err(|_| damaged("a number is out of range"))
    }

    /// The next column, a number that fits or NULL.
    pub(crate) fn maybe_number<T: TryFrom<i64>>(&mut self) -> sqlx::Result<Option<T>> {
        let number: Option<i64> = self.take()?;
        number.map(|number| T::try_from(number).map_err(|_| damaged("a number is out of range"))).transpose()
    }

    /// The next column, a time.
    pub(crate) fn time(&mut self) -> sqlx::Result<Timestamp> {
        self.take().map(Timestamp::from_micros)
    }

    /// The next column, a time or NULL.
    pub(crate) fn maybe_time(&mut self) -> sqlx::Result<Option<Timestamp>> {
        Ok(self.take::<Option<i64>>()?.map(Timestamp::from_micros))
    }

    /// The next column, a digest.
    pub(crate) fn digest(&mut self) -> sqlx::Result<Digest> {
        let bytes: &[u8] = self.take()?;
        bytes.try_into().map(Digest::from_bytes).map_err(|_| damaged("a digest has 32 bytes"))
    }

    /// The next column, text as its bytes.
    pub(crate) fn text(&mut self) -> sqlx::Result<Arc<str>> {
        std::str::from_utf8(self.take()?).map(Arc::from).map_err(damaged)
    }

    /// The next column, a correlation id or NULL.
    fn maybe_correlation(&mut self, execution: Option<ExecutionId>) -> sqlx::Result<Option<Arc<str>>> {
        let stored: Option<&[u8]> = self.take()?;
        let read = |stored: &[u8]| match execution {
            Some(execution) if stored == OWN => Ok(execution.to_string().into()),
            _ => std::str::from_utf8(stored).map(Arc::from).map_err(damaged),
        };
        stored.map(read).transpose()
    }

    /// The next column, text as its bytes or NULL.
    pub(crate) fn maybe_text(&mut self) -> sqlx::Result<Option<Arc<str>>> {
        let bytes: Option<&[u8]> = self.take()?;
        bytes.map(|bytes| std::str::from_utf8(bytes).map(Arc::from)).transpose().map_err(damaged)
    }

    /// The next column, a JSON document.
    pub(crate) fn document<T: DeserializeOwned>(&mut self) -> sqlx::Result<T> {
        serde_json::from_str(self.take()?).map_err(damaged)
    }

    /// The next column, a JSON document or NULL.
    fn maybe_document<T: DeserializeOwned>(&mut self) -> sqlx::Result<Option<T>> {
        self.take::<Option<&str>>()?.map(serde_json::from_str).transpose().map_err(damaged)
    }
}

/// An execution from its [`EXECUTION`] columns.
pub(crate) fn execution(row: &PgRow) -> sqlx::Result<Execution> {
    let mut columns = Columns::of(row);
    let id = ExecutionId::from_uuid(columns.take()?);
    Ok(Execution {
        id,
        action: ActionId::from_uuid(columns.take()?),
        revision: columns.number()?,
        protocol: columns.take::<&str>()?.parse().map_err(damaged)?,
        status: status_of(columns.take()?).ok_or_else(|| damaged("an unknown status"))?,
        attempt: columns.number()?,
        correlation_id: columns.maybe_correlation(Some(id))?.ok_or_else(|| damaged("no correlation id"))?,
        traceparent: columns.maybe_text()?,
        created_at: columns.time()?,
        started_at: columns.maybe_time()?,
        ended_at: columns.maybe_time()?,
        run_at: columns.maybe_time()?,
        turn: turn(&mut columns)?,
        cancel_requested: columns.take()?,
        lease: lease(columns.take()?, columns.maybe_number()?, columns.maybe_time()?),
        error: columns.maybe_document()?,
        receipt: columns.maybe_document()?,
    })
}

fn turn(columns: &mut Columns<'_>) -> sqlx::Result<Turn> {
    let turn: Turn = columns.maybe_document()?.unwrap_or_default();
    Ok(Turn { aside: columns.take()?, ..turn })
}

fn lease(worker: Option<Uuid>, attempt: Option<u32>, until: Option<Timestamp>) -> Option<Lease> {
    Some(Lease { worker: worker?, attempt: attempt?, until: until? })
}

/// What stands in the log, from the [`EVENT`] columns, the payload and the kind: whatever it is.
pub(crate) fn logged(row: &PgRow) -> sqlx::Result<Logged> {
    let position = Columns::of(row).take()?;
    Ok(match logged_event(row) {
        Ok(event) => Logged::Event(Box::new(event)),
        Err(error) => Logged::Damaged { position, reason: error.to_string() },
    })
}

fn logged_event(row: &PgRow) -> sqlx::Result<LoggedEvent> {
    let mut columns = Columns::of(row);
    let position = columns.take()?;
    let id = EventId::from_uuid(columns.take()?);
    let r#type = columns.take()?;
    let time = columns.time()?;
    let context = context(&mut columns)?;
    let data = columns.take()?;
    let payload: Option<&[u8]> = columns.take()?;
    let digest = |bytes: &[u8]| bytes.try_into().map(Digest::from_bytes).map_err(|_| damaged("a digest has 32 bytes"));
    let payload = payload.map(digest).transpose()?;
    let kind = columns.maybe_text()?.map(|kind| kind.to_string());
    // Written in another way it would mean the same, and not be found.
    let written = context.correlation_id.as_deref().map(|id| stored_correlation(id, context.execution));
    if row.try_get_unchecked::<Option<&[u8]>, _>(CORRELATION)? != written {
        return Err(damaged("a correlation id that is not written as ours are"));
    }
    Ok(LoggedEvent { position, id, r#type, time, context, payload, data, kind })
}

/// An event from its [`EVENT`] columns.
pub(crate) fn event(row: &PgRow) -> sqlx::Result<Event> {
    let mut columns = Columns::of(row);
    let position = columns.take()?;
    let id = EventId::from_uuid(columns.take()?);
    let r#type = columns.take::<&str>()?.into();
    let time = columns.time()?;
    let context = context(&mut columns)?;
    let data = RawValue::from_string(columns.take()?).map_err(damaged)?;
    Ok(Event { position, id, time, context, r#type, data })
}

/// To whom and what an event belongs: the columns between its time and its data.
fn context(columns: &mut Columns<'_>) -> sqlx::Result<Context> {
    let (action, revision) = (columns.take::<Option<Uuid>>()?, columns.maybe_number()?);
    let execution = columns.take::<Option<Uuid>>()?.map(ExecutionId::from_uuid);
    Ok(Context {
        action: action.map(ActionId::from_uuid),
        revision,
        execution,
        correlation_id: columns.maybe_correlation(execution)?,
        causation_id: columns.take::<Option<Uuid>>()?.map(EventId::from_uuid),
        attempt: columns.maybe_number()?,
    })
}
