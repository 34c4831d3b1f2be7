//! The log with its seals, as an audit reads it: by the store beside its writer, and by
//! [`PostgresLog`] without a service.

use super::{Statement, bytes};
use crate::{
    PostgresStore,
    error::{OpenError, unavailable},
    open::{CONNECT_TIMEOUT, PostgresOptions, Server},
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
use sqlx::{ConnectOptions as _, Executor as _, PgConnection, Row as _, postgres::PgRow};
use std::sync::LazyLock;
use tokio::sync::Mutex;
use uuid::Uuid;

pub(crate) static LOGGED: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {EVENT}, payload, kind FROM events WHERE position >= $1 ORDER BY position LIMIT $2")
});
pub(crate) const PRUNED: &str =
    "SELECT position, pruned_by, execution FROM pruned_events WHERE position >= $1 ORDER BY position LIMIT $2";
pub(crate) const LEFT: &str = "SELECT position FROM events WHERE execution = $1 LIMIT 1";
pub(crate) static SEALS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {SEAL} FROM seals WHERE sequence >= $1 ORDER BY sequence LIMIT $2"));
pub(crate) const LEAVES: &str = "SELECT leaves FROM seals WHERE sequence = $1";
/// Those that cover nothing begin where the next one does.
pub(crate) static OVER: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {SEAL} FROM seals WHERE first_position <= $1 ORDER BY first_position DESC, sequence DESC LIMIT 1")
});

/// One state of the database, whatever is written meanwhile, and no writing.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// The log of a database, as it is at one time, for reading only: also while a service has it open.
#[derive(Debug)]
pub struct PostgresLog {
    connection: Mutex<PgConnection>,
}

impl PostgresLog {
    /// Opens the log of the database at `url`.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        // Between two pages time may pass while a large payload is hashed.
        let options = PostgresOptions { idle_in_transaction_timeout_ms: 0, ..PostgresOptions::default() };
        let server = Server::new(url, options)?;
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, server.reader().connect()).await;
        let connection = connecting.map_err(|_| server.unusable("no answer"))?;
        let mut connection = connection.map_err(|error| server.unusable(error))?;
        server.check_schema(&mut connection).await?;
        connection.execute(BEGIN).await.map_err(|error| server.unusable(error))?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    async fn all<T>(
        &self,
        statement: impl Fn() -> Statement,
        read: impl Fn(&PgRow) -> sqlx::Result<T>,
    ) -> Result<Vec<T>, StoreUnavailable> {
        let mut connection = self.connection.lock().await;
        let rows = statement().fetch_all(&mut *connection).await.map_err(|error| unavailable(&error))?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(|error| unavailable(&error))
    }
}

/// The first value that is behind this one.
fn behind(after: Option<i64>) -> i64 {
    after.map_or(i64::MIN, |after| after.saturating_add(1))
}

fn read_pruned(row: &PgRow) -> sqlx::Result<PrunedPosition> {
    let mut columns = Columns::of(row);
    let (position, by) = (columns.take()?, EventId::from_uuid(columns.take()?));
    Ok(PrunedPosition { position, by, of: columns.take::<Option<Uuid>>()?.map(ExecutionId::from_uuid) })
}

macro_rules! reads_the_log {
    ($reader:ty) => {
        #[async_trait]
        impl LogReader for $reader {
            async fn logged(&self, after: Option<Position>, limit: u32) -> Result<Vec<Logged>, StoreUnavailable> {
                self.all(|| sqlx::query(LOGGED.as_str()).bind(behind(after)).bind(i64::from(limit)), logged).await
            }

            async fn pruned(
                &self,
                after: Option<Position>,
                limit: u32,
            ) -> Result<Vec<PrunedPosition>, StoreUnavailable> {
                self.all(|| sqlx::query(PRUNED).bind(behind(after)).bind(i64::from(limit)), read_pruned).await
            }

            async fn left_of(&self, execution: ExecutionId) -> Result<Option<Position>, StoreUnavailable> {
                let found = self.all(|| sqlx::query(LEFT).bind(execution.uuid()), |row| row.try_get(0)).await?;
                Ok(found.first().copied())
            }

            async fn seals(&self, after: Option<u64>, limit: u32) -> Result<Vec<Seal>, StoreUnavailable> {
                let after = behind(after.map(|after| after as i64));
                self.all(|| sqlx::query(SEALS.as_str()).bind(after).bind(i64::from(limit)), read_seal).await
            }

            async fn leaves(&self, sequence: u64) -> Result<Option<Bytes>, StoreUnavailable> {
                Ok(self.all(|| sqlx::query(LEAVES).bind(sequence as i64), bytes).await?.pop())
            }

            async fn last_seal(&self) -> Result<Option<Seal>, StoreUnavailable> {
                Ok(self.all(|| sqlx::query(LAST.as_str()), read_seal).await?.pop())
            }

            async fn seal_over(&self, position: Position) -> Result<Option<Seal>, StoreUnavailable> {
                Ok(self.all(|| sqlx::query(OVER.as_str()).bind(position), read_seal).await?.pop())
            }

            async fn kept_payload(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
                let text = "SELECT data FROM payloads WHERE digest = $1";
                Ok(self.all(|| sqlx::query(text).bind(digest.as_bytes().to_vec()), bytes).await?.pop())
            }
        }
    };
}

reads_the_log!(PostgresStore);
reads_the_log!(PostgresLog);
