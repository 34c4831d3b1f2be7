//! Rows: how executions, events and documents stand in the tables.

use crate::{
    codes::{EventTypes, status_of},
    error::damaged,
};
use action_domain::{
    audit::{Logged, LoggedEvent},
    digest::Digest,
    event::{Context, Event},
    execution::{Execution, Lease},
    id::{ActionId, EventId, ExecutionId},
    time::Timestamp,
    turn::Turn,
};
use rusqlite::{Row, types::FromSql};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::sync::Arc;
use uuid::Uuid;

/// The columns of an execution, in the order of [`execution`].
pub(crate) const EXECUTION: &str = "id, action, revision, protocol, status, attempt, correlation_id, traceparent, \
     created_at, started_at, ended_at, run_at, turn, ordering_key, expires_at, aside, cancel_requested, lease_worker, lease_attempt, lease_until, error, receipt";

/// The columns of an event, in the order of [`event`].
pub(crate) const EVENT: &str =
    "position, id, type, time, action, revision, execution, correlation_id, causation_id, attempt, data";
/// Where the correlation id stands among them.
const CORRELATION: usize = 7;

/// A correlation id as it is stored: empty where it is the execution's own id, as it is unless
/// the caller gave one. So most rows are shorter, and stand in no index of correlation ids.
pub(crate) fn stored_correlation(id: &str, execution: Option<ExecutionId>) -> &str {
    match execution {
        Some(execution) if id == execution.to_string() => "",
        _ => id,
    }
}

fn read_correlation(stored: &str, execution: Option<ExecutionId>) -> Arc<str> {
    match execution {
        Some(execution) if stored.is_empty() => execution.to_string().into(),
        _ => stored.into(),
    }
}

/// A row that is read column by column.
pub(crate) struct Columns<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Columns<'r> {
    /// From the first column.
    pub(crate) fn of(row: &'r Row<'r>) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(crate) fn take<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let index = self.next;
        self.next += 1;
        self.row.get(index)
    }

    /// The next column, a text.
    pub(crate) fn text(&mut self) -> rusqlite::Result<&'r str> {
        self.maybe_text()?.ok_or_else(|| damaged("a text is missing"))
    }

    /// The next column, a text or NULL.
    pub(crate) fn maybe_text(&mut self) -> rusqlite::Result<Option<&'r str>> {
        let index = self.next;
        self.next += 1;
        self.row.get_ref(index)?.as_str_or_null().map_err(damaged)
    }

    fn maybe_bytes(&mut self) -> rusqlite::Result<Option<&'r [u8]>> {
        let index = self.next;
        self.next += 1;
        self.row.get_ref(index)?.as_blob_or_null().map_err(damaged)
    }

    /// The next column, a digest.
    pub(crate) fn digest(&mut self) -> rusqlite::Result<Digest> {
        let bytes = self.maybe_bytes()?.ok_or_else(|| damaged("a digest is missing"))?;
        bytes.try_into().map(Digest::from_bytes).map_err(|_| damaged("a digest has 32 bytes"))
    }

    /// The next column, a number that fits.
    pub(crate) fn number<T: TryFrom<i64>>(&mut self) -> rusqlite::Result<T> {
        let number: i64 = self.take()?;
        T::try_from(number).map_err(|_| damaged("a number is out of range"))
    }

    /// The next column, a number that fits or NULL.
    pub(crate) fn maybe_number<T: TryFrom<i64>>(&mut self) -> rusqlite::Result<Option<T>> {
        let number: Option<i64> = self.take()?;
        number.map(|number| T::try_from(number).map_err(|_| damaged("a number is out of range"))).transpose()
    }

    /// The next column, a time.
    pub(crate) fn time(&mut self) -> rusqlite::Result<Timestamp> {
        self.take().map(Timestamp::from_micros)
    }

    /// The next column, a time or NULL.
    pub(crate) fn maybe_time(&mut self) -> rusqlite::Result<Option<Timestamp>> {
        Ok(self.take::<Option<i64>>()?.map(Timestamp::from_micros))
    }

    /// The next column, a UUID.
    pub(crate) fn uuid(&mut self) -> rusqlite::Result<Uuid> {
        self.maybe_uuid()?.ok_or_else(|| damaged("an id is missing"))
    }

    /// The next column, a UUID or NULL.
    pub(crate) fn maybe_uuid(&mut self) -> rusqlite::Result<Option<Uuid>> {
        self.maybe_bytes()?.map(Uuid::from_slice).transpose().map_err(damaged)
    }

    /// The next column, a JSON document.
    pub(crate) fn document<T: DeserializeOwned>(&mut self) -> rusqlite::Result<T> {
        serde_json::from_str(self.text()?).map_err(damaged)
    }

    /// The next column, a JSON document or NULL.
    fn maybe_document<T: DeserializeOwned>(&mut self) -> rusqlite::Result<Option<T>> {
        self.maybe_text()?.map(serde_json::from_str).transpose().map_err(damaged)
    }
}

/// An execution from its [`EXECUTION`] columns.
pub(crate) fn execution(row: &Row<'_>) -> rusqlite::Result<Execution> {
    let mut columns = Columns::of(row);
    let id = ExecutionId::from_uuid(columns.uuid()?);
    Ok(Execution {
        id,
        action: ActionId::from_uuid(columns.uuid()?),
        revision: columns.number()?,
        protocol: columns.text()?.parse().map_err(damaged)?,
        status: status_of(columns.take()?).ok_or_else(|| damaged("an unknown status"))?,
        attempt: columns.number()?,
        correlation_id: read_correlation(columns.text()?, Some(id)),
        traceparent: columns.maybe_text()?.map(Arc::from),
        created_at: columns.time()?,
        started_at: columns.maybe_time()?,
        ended_at: columns.maybe_time()?,
        run_at: columns.maybe_time()?,
        turn: turn(&mut columns)?,
        cancel_requested: columns.take::<Option<bool>>()?.unwrap_or(false),
        lease: lease(columns.maybe_uuid()?, columns.maybe_number()?, columns.maybe_time()?),
        error: columns.maybe_document()?,
        receipt: columns.maybe_document()?,
    })
}

/// Its ordering key and expiry are in the document too; the columns are for queries.
fn turn(columns: &mut Columns<'_>) -> rusqlite::Result<Turn> {
    let turn: Turn = columns.maybe_document()?.unwrap_or_default();
    columns.maybe_text()?;
    columns.maybe_time()?;
    Ok(Turn { aside: columns.take::<Option<bool>>()?.unwrap_or(false), ..turn })
}

fn lease(worker: Option<Uuid>, attempt: Option<u32>, until: Option<Timestamp>) -> Option<Lease> {
    Some(Lease { worker: worker?, attempt: attempt?, until: until? })
}

/// What stands in the log, from the [`EVENT`] columns, the payload and the kind: whatever it is.
pub(crate) fn logged(row: &Row<'_>, types: &EventTypes) -> rusqlite::Result<Logged> {
    let position = row.get(0)?;
    Ok(match logged_event(row, types) {
        Ok(event) => Logged::Event(Box::new(event)),
        Err(error) => Logged::Damaged { position, reason: error.to_string() },
    })
}

fn logged_event(row: &Row<'_>, types: &EventTypes) -> rusqlite::Result<LoggedEvent> {
    let mut columns = Columns::of(row);
    let position = columns.take()?;
    let id = EventId::from_uuid(columns.uuid()?);
    let r#type = types.word(columns.take()?).ok_or_else(|| damaged("an unknown event type"))?.to_string();
    let time = columns.time()?;
    let context = context(&mut columns)?;
    let data = columns.text()?.to_owned();
    let payload = columns.take::<Option<[u8; 32]>>()?.map(Digest::from_bytes);
    let kind = columns.maybe_text()?.map(str::to_owned);
    // Written in another way it would mean the same, and not be found.
    let written = context.correlation_id.as_deref().map(|id| stored_correlation(id, context.execution));
    if row.get_ref(CORRELATION)?.as_str_or_null().map_err(damaged)? != written {
        return Err(damaged("a correlation id that is not written as ours are"));
    }
    Ok(LoggedEvent { position, id, r#type, time, context, payload, data, kind })
}

/// An event from its [`EVENT`] columns.
pub(crate) fn event(row: &Row<'_>, types: &EventTypes) -> rusqlite::Result<Event> {
    let mut columns = Columns::of(row);
    let position = columns.take()?;
    let id = EventId::from_uuid(columns.uuid()?);
    let r#type = types.word(columns.take()?).ok_or_else(|| damaged("an unknown event type"))?;
    let time = columns.time()?;
    let context = context(&mut columns)?;
    let data = RawValue::from_string(columns.take()?).map_err(damaged)?;
    Ok(Event { position, id, time, context, r#type, data })
}

/// To whom and what an event belongs: the columns between its time and its data.
fn context(columns: &mut Columns<'_>) -> rusqlite::Result<Context> {
    let action = columns.maybe_uuid()?.map(ActionId::from_uuid);
    let revision = columns.maybe_number()?;
    let execution = columns.maybe_uuid()?.map(ExecutionId::from_uuid);
    Ok(Context {
        action,
        revision,
        execution,
        correlation_id: columns.maybe_text()?.map(|stored| read_correlation(stored, execution)),
        causation_id: columns.maybe_uuid()?.map(EventId::from_uuid),
        attempt: columns.maybe_number()?,
    })
}
