//! Rows: how executions, events and documents stand in the tables.

use crate::{
    codes::{EventTypes, status_of},
    error::damaged,
};
use action_domain::{
    event::{Context, Event},
    execution::{Execution, Lease},
    id::{ActionId, EventId, ExecutionId},
    time::Timestamp,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::{Decode, Row as _, Sqlite, Type, sqlite::SqliteRow};
use std::sync::Arc;
use uuid::Uuid;

/// The columns of an execution, in the order of [`execution`].
pub(crate) const EXECUTION: &str = "id, action, revision, protocol, status, attempt, correlation_id, traceparent, \
     created_at, started_at, ended_at, run_at, lease_worker, lease_attempt, lease_until, error, receipt";

/// The columns of an event, in the order of [`event`].
pub(crate) const EVENT: &str =
    "position, id, type, time, action, revision, execution, correlation_id, causation_id, attempt, data";

/// A UUID as it is stored.
pub(crate) fn blob(uuid: Uuid) -> Vec<u8> {
    uuid.as_bytes().to_vec()
}

/// A row that is read column by column.
pub(crate) struct Columns<'r> {
    row: &'r SqliteRow,
    next: usize,
}

impl<'r> Columns<'r> {
    /// From the first column.
    pub(crate) fn of(row: &'r SqliteRow) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(crate) fn take<T: Decode<'r, Sqlite> + Type<Sqlite>>(&mut self) -> sqlx::Result<T> {
        let index = self.next;
        self.next += 1;
        // The schema is STRICT and ours: types were checked when the row was written.
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

    /// The next column, a UUID.
    pub(crate) fn uuid(&mut self) -> sqlx::Result<Uuid> {
        Uuid::from_slice(self.take::<&[u8]>()?).map_err(damaged)
    }

    /// The next column, a UUID or NULL.
    pub(crate) fn maybe_uuid(&mut self) -> sqlx::Result<Option<Uuid>> {
        self.take::<Option<&[u8]>>()?.map(Uuid::from_slice).transpose().map_err(damaged)
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
pub(crate) fn execution(row: &SqliteRow) -> sqlx::Result<Execution> {
    let mut columns = Columns::of(row);
    Ok(Execution {
        id: ExecutionId::from_uuid(columns.uuid()?),
        action: ActionId::from_uuid(columns.uuid()?),
        revision: columns.number()?,
        protocol: columns.take::<&str>()?.parse().map_err(damaged)?,
        status: status_of(columns.take()?).ok_or_else(|| damaged("an unknown status"))?,
        attempt: columns.number()?,
        correlation_id: columns.take::<&str>()?.into(),
        traceparent: columns.take::<Option<&str>>()?.map(Arc::from),
        created_at: columns.time()?,
        started_at: columns.maybe_time()?,
        ended_at: columns.maybe_time()?,
        run_at: columns.maybe_time()?,
        lease: lease(columns.maybe_uuid()?, columns.maybe_number()?, columns.maybe_time()?),
        error: columns.maybe_document()?,
        receipt: columns.maybe_document()?,
    })
}

fn lease(worker: Option<Uuid>, attempt: Option<u32>, until: Option<Timestamp>) -> Option<Lease> {
    Some(Lease { worker: worker?, attempt: attempt?, until: until? })
}

/// An event from its [`EVENT`] columns.
pub(crate) fn event(row: &SqliteRow, types: &EventTypes) -> sqlx::Result<Event> {
    let mut columns = Columns::of(row);
    let position = columns.take()?;
    let id = EventId::from_uuid(columns.uuid()?);
    let r#type = types.word(columns.take()?).ok_or_else(|| damaged("an unknown event type"))?;
    let time = columns.time()?;
    let context = Context {
        action: columns.maybe_uuid()?.map(ActionId::from_uuid),
        revision: columns.maybe_number()?,
        execution: columns.maybe_uuid()?.map(ExecutionId::from_uuid),
        correlation_id: columns.take::<Option<&str>>()?.map(Arc::from),
        causation_id: columns.maybe_uuid()?.map(EventId::from_uuid),
        attempt: columns.maybe_number()?,
    };
    let data = RawValue::from_string(columns.take()?).map_err(damaged)?;
    Ok(Event { position, id, time, context, r#type, data })
}
