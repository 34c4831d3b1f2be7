//! The writer's connection, and what became of a batch when it was lost.

use crate::{
    clock::{DatabaseClock, LOOK},
    error::{Fault, OpenError, fault},
    open::{CONNECT_TIMEOUT, Server},
};
use action_domain::{event::Position, time::Timestamp};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Row as _};
use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// Between two tries to connect, at first; twice as long after each.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Rows of processes that are long gone.
const FORGET: &str = "DELETE FROM writers WHERE seen_at < now() - interval '7 days'";
/// The row that tells of this process's last batch. Where another transaction is about to make
/// or change the row, this waits for it to end.
const REGISTER: &str = "INSERT INTO writers (id) VALUES ($1) ON CONFLICT (id) DO NOTHING";
/// The last batch that was committed. A transaction that has written the row and has neither
/// ended nor noticed that its connection is gone holds it: this waits for it to end.
const LAST_BATCH: &str = "SELECT batch FROM writers WHERE id = $1 FOR UPDATE";
/// Whoever made the server's default less than durable did not mean this service. What is
/// stricter (a standby that has to apply it) stays.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') = 'off'";

/// What is known of a commit whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Committed,
    NotCommitted,
    Unknown,
}

/// Pauses that grow.
pub(crate) struct Pauses(Duration);

impl Pauses {
    pub(crate) fn new() -> Self {
        Self(PAUSE_MIN)
    }

    pub(crate) async fn pause(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSE_MAX);
    }
}

/// The server as one writer sees it.
#[derive(Debug)]
pub(crate) struct Link {
    server: Server,
    /// This process, to the database.
    pub(crate) writer: Uuid,
}

impl Link {
    /// The first connection, the log's end and the time.
    pub(crate) async fn open(server: Server) -> Result<(Self, PgConnection, Position, DatabaseClock), OpenError> {
        let unusable = |error: sqlx::Error| server.unusable(error);
        let mut connection = connect(&server).await.map_err(unusable)?;
        sqlx::query(FORGET).execute(&mut connection).await.map_err(unusable)?;
        let row = sqlx::query("SELECT gen_random_uuid(), current_setting('fsync') = 'on'");
        let row = row.fetch_one(&mut connection).await.map_err(unusable)?;
        if !row.try_get::<bool, _>(1).map_err(unusable)? {
            tracing::warn!("store.open.not_durable: the server has fsync=off, and loses data when its machine fails");
        }
        let link = Self { writer: row.try_get(0).map_err(unusable)?, server: server.clone() };
        link.register(&mut connection).await.map_err(unusable)?;
        let (position, time) = sqlx::query_as(LOOK).fetch_one(&mut connection).await.map_err(unusable)?;
        let clock = DatabaseClock::new(Instant::now(), Timestamp::from_micros(time));
        Ok((link, connection, position, clock))
    }

    /// Another connection, after one was lost.
    pub(crate) async fn connect(&self) -> sqlx::Result<PgConnection> {
        let mut connection = connect(&self.server).await?;
        self.register(&mut connection).await?;
        Ok(connection)
    }

    async fn register(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query(REGISTER).bind(self.writer).execute(connection).await.map(drop)
    }

    /// Asks, on a new connection, whether this batch was committed, until it is known or the
    /// time for it is over.
    pub(crate) async fn fate_of(&self, batch: i64) -> (Fate, Option<PgConnection>) {
        let until = Instant::now() + Duration::from_millis(self.server.options.commit_unknown_ms);
        let mut pauses = Pauses::new();
        loop {
            match timeout(self.patience(), self.ask(batch)).await {
                Ok(Ok((committed, connection))) => {
                    let fate = if committed { Fate::Committed } else { Fate::NotCommitted };
                    return (fate, Some(connection));
                }
                _ if Instant::now() >= until => return (Fate::Unknown, None),
                _ => pauses.pause().await,
            }
        }
    }

    async fn ask(&self, batch: i64) -> sqlx::Result<(bool, PgConnection)> {
        let mut connection = self.connect().await?;
        let last: Option<i64> =
            sqlx::query_scalar(LAST_BATCH).bind(self.writer).fetch_optional(&mut connection).await?;
        Ok((last == Some(batch), connection))
    }

    /// The end of a process that ends as it should.
    pub(crate) async fn close(&self, mut connection: PgConnection) {
        let gone = sqlx::query("DELETE FROM writers WHERE id = $1").bind(self.writer).execute(&mut connection).await;
        if let Err(error) = gone.and(connection.close().await) {
            // Nothing is lost: the row goes in a week.
            tracing::debug!(%error, "store.close");
        }
    }

    /// The server ends a statement in its time. Who has no server any more ends it in this.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_millis(self.server.options.statement_timeout_ms) + CONNECT_TIMEOUT
    }

    pub(crate) fn reconnect_for(&self) -> Duration {
        Duration::from_millis(self.server.options.reconnect_ms)
    }
}

async fn connect(server: &Server) -> sqlx::Result<PgConnection> {
    let connecting = timeout(CONNECT_TIMEOUT, server.writer().connect()).await;
    let mut connection = connecting.unwrap_or_else(|_| Err(timed_out()))?;
    sqlx::query(DURABLE).execute(&mut connection).await?;
    Ok(connection)
}

/// Nobody answered.
pub(crate) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(ErrorKind::TimedOut.into())
}

/// Whether the server itself said that it did not commit.
pub(crate) fn is_refused(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(_)) && fault(error) != Fault::Broken
}
