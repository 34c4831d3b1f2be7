//! The log with its seals, as an audit reads it: by the store beside its writer, and by
//! [`SqliteLog`] without a service.

use super::{all, bytes, query};
use crate::{
    SqliteStore,
    codes::EventTypes,
    error::OpenError,
    open::{SqliteOptions, check_schema},
    readers::Readers,
    row::{Columns, EVENT, logged},
    writer::seals::{LAST, SEAL, read_seal},
};
use action_domain::{
    audit::{Logged, Seal},
    digest::Digest,
    event::Position,
    id::{EventId, ExecutionId},
    repositories::{LogReader, PrunedPosition, StoreUnavailable},
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

pub(crate) static LOGGED: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {EVENT}, payload, kind FROM events WHERE position >= ? ORDER BY position LIMIT ?")
});
pub(crate) const PRUNED: &str =
    "SELECT position, pruned_by, execution FROM pruned_events WHERE position >= ? ORDER BY position LIMIT ?";
pub(crate) const LEFT: &str = "SELECT position FROM events INDEXED BY events_by_execution WHERE execution = ? LIMIT 1";
pub(crate) static SEALS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {SEAL} FROM seals WHERE sequence >= ? ORDER BY sequence LIMIT ?"));
pub(crate) const LEAVES: &str = "SELECT leaves FROM seals WHERE sequence = ?";
/// Those that cover nothing begin where the next one does.
pub(crate) static OVER: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {SEAL} FROM seals INDEXED BY seals_by_position WHERE first_position <= ? \
         ORDER BY first_position DESC, sequence DESC LIMIT 1"
    )
});

/// The log of a database, as it is at one time, for reading only: also while a service has it open.
#[derive(Debug)]
pub struct SqliteLog {
    readers: Readers,
    types: Arc<EventTypes>,
}

impl SqliteLog {
    /// Opens the log of the database at `path`.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        // One connection in one transaction: it sees one state, whatever is written meanwhile.
        let options = SqliteOptions { readers: 1, ..SqliteOptions::new(path) };
        let connection = options.reader().map_err(|error| options.unusable(error))?;
        check_schema(&connection, &options)?;
        let types = Arc::new(EventTypes::read(&connection).map_err(|error| options.unusable(error))?);
        let readers = Readers::open(options.clone())?;
        let begun = readers.read(|connection| connection.execute_batch("BEGIN")).await;
        begun.map_err(|error| options.unusable(error))?;
        Ok(Self { readers, types })
    }
}

/// The first value that is behind this one.
fn behind(after: Option<i64>) -> i64 {
    after.map_or(i64::MIN, |after| after.saturating_add(1))
}

macro_rules! reads_the_log {
    ($reader:ty) => {
        #[async_trait]
        impl LogReader for $reader {
            async fn logged(&self, after: Option<Position>, limit: u32) -> Result<Vec<Logged>, StoreUnavailable> {
                let statement = query(LOGGED.as_str()).bind(behind(after)).bind(i64::from(limit));
                let types = Arc::clone(&self.types);
                all(&self.readers, statement, move |row| logged(row, &types)).await
            }

            async fn pruned(
                &self,
                after: Option<Position>,
                limit: u32,
            ) -> Result<Vec<PrunedPosition>, StoreUnavailable> {
                let statement = query(PRUNED).bind(behind(after)).bind(i64::from(limit));
                let read = |row: &rusqlite::Row<'_>| {
                    let mut columns = Columns::of(row);
                    let (position, by) = (columns.take()?, EventId::from_uuid(columns.uuid()?));
                    Ok(PrunedPosition { position, by, of: columns.maybe_uuid()?.map(ExecutionId::from_uuid) })
                };
                all(&self.readers, statement, read).await
            }

            async fn left_of(&self, execution: ExecutionId) -> Result<Option<Position>, StoreUnavailable> {
                let statement = query(LEFT).bind(execution.uuid().as_bytes().to_vec());
                Ok(all(&self.readers, statement, |row| row.get(0)).await?.pop())
            }

            async fn seals(&self, after: Option<u64>, limit: u32) -> Result<Vec<Seal>, StoreUnavailable> {
                let statement = query(SEALS.as_str()).bind(behind(after.map(|after| after as i64)));
                all(&self.readers, statement.bind(i64::from(limit)), read_seal).await
            }

            async fn leaves(&self, sequence: u64) -> Result<Option<Bytes>, StoreUnavailable> {
                let statement = query(LEAVES).bind(sequence as i64);
                Ok(all(&self.readers, statement, bytes).await?.pop())
            }

            async fn last_seal(&self) -> Result<Option<Seal>, StoreUnavailable> {
                Ok(all(&self.readers, query(LAST.as_str()), read_seal).await?.pop())
            }

            async fn seal_over(&self, position: Position) -> Result<Option<Seal>, StoreUnavailable> {
                Ok(all(&self.readers, query(OVER.as_str()).bind(position), read_seal).await?.pop())
            }

            async fn kept_payload(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
                let statement = query("SELECT data FROM payloads WHERE digest = ?").bind(digest.as_bytes().to_vec());
                Ok(all(&self.readers, statement, bytes).await?.pop())
            }
        }
    };
}

reads_the_log!(SqliteStore);
reads_the_log!(SqliteLog);
