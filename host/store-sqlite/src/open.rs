//! Opening a database: the lock, the settings of each connection, the schema.

use crate::error::OpenError;
use sqlx::{
    ConnectOptions as _, Connection as _, SqlSafeStr as _, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

/// How a store is opened. [`SqliteOptions::new`] is what `serve` uses.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database; its folder is made where it is missing.
    pub path: PathBuf,
    /// Connections that read, at most.
    pub readers: u32,
    /// Units that are written in one transaction, at most.
    pub batch_units_max: usize,
    /// The database gets no larger than this many pages of 4 KiB; beyond it writes are refused.
    pub pages_max: Option<u32>,
}

impl SqliteOptions {
    /// For a database at `path`.
    pub fn new(path: &Path) -> Self {
        // More readers than cores do not read faster. 512 units are some 20 ms of writing: the
        // longest that a unit should wait for the batch before it.
        Self { path: path.to_owned(), readers: 4, batch_units_max: 512, pages_max: None }
    }

    pub(crate) fn unusable(&self, message: impl ToString) -> OpenError {
        OpenError::Unusable { path: self.path.clone(), message: message.to_string() }
    }

    fn connection(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            // Nobody else writes; this is for a backup tool that holds a lock for a moment.
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(256)
            .row_buffer_size(256)
            .pragma("temp_store", "memory")
            .disable_statement_logging()
    }

    pub(crate) fn reader(&self) -> SqliteConnectOptions {
        self.connection().read_only(true).thread_name(|id| format!("store-reader-{id}"))
    }

    pub(crate) fn writer(&self) -> SqliteConnectOptions {
        let options = self
            .connection()
            .create_if_missing(true)
            .thread_name(|_| "store-commit".to_owned())
            // For retention, which gives pages back little by little.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL can lose commits that were answered when the power goes.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // 16 MiB: the ends of all trees stay in memory.
            .pragma("cache_size", "-16384")
            // A checkpoint every 16 MiB of log: fewer syncs of the database file.
            .pragma("wal_autocheckpoint", "4000")
            // What a burst made the log grow to is given back.
            .pragma("journal_size_limit", "67108864");
        match self.pages_max {
            Some(pages) => options.pragma("max_page_count", pages.to_string()),
            None => options,
        }
    }

    /// Takes the database for this process, until the file is dropped.
    pub(crate) fn lock(&self) -> Result<File, OpenError> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| self.unusable(error))?;
        }
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| self.unusable(format!("{}: {error}", Path::new(&path).display())))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: self.path.clone() }),
            Err(TryLockError::Error(error)) => Err(self.unusable(error)),
        }
    }
}

/// The schema's steps, in their order. Forward only: a released file never changes.
const MIGRATIONS: [(i64, &str, &str); 1] =
    [(1, "everything", include_str!("../../../migrations/sqlite/0001_everything.sql"))];

/// Brings the schema up to date; gives the number of steps that it took.
pub(crate) async fn migrate(connection: &mut SqliteConnection, options: &SqliteOptions) -> Result<usize, OpenError> {
    let steps = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let before = applied(connection).await;
    match Migrator::with_migrations(steps.to_vec()).run(&mut *connection).await {
        Ok(()) => Ok(MIGRATIONS.len() - before),
        Err(MigrateError::VersionMissing(found) | MigrateError::VersionTooNew(found, _)) => {
            let known = MIGRATIONS[MIGRATIONS.len() - 1].0;
            Err(OpenError::Newer { path: options.path.clone(), found, known })
        }
        Err(error) => Err(options.unusable(error)),
    }
}

async fn applied(connection: &mut SqliteConnection) -> usize {
    // Before the first migration its table is not there: none was applied.
    let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM _sqlx_migrations").fetch_one(connection).await;
    count.ok().and_then(|count| usize::try_from(count).ok()).unwrap_or(0).min(MIGRATIONS.len())
}

/// Brings the schema of a database that nobody has open up to date; gives the number of steps
/// that it took.
pub async fn migrate_file(path: &Path) -> Result<usize, OpenError> {
    let options = SqliteOptions::new(path);
    let _lock = options.lock()?;
    let mut connection = options.writer().connect().await.map_err(|error| options.unusable(error))?;
    let steps = migrate(&mut connection, &options).await?;
    connection.close().await.map_err(|error| options.unusable(error))?;
    Ok(steps)
}
