//! Opening a database: the lock, the settings of each connection, the schema.

use crate::error::OpenError;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::{
    cmp::Ordering,
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

    pub(crate) fn reader(&self) -> rusqlite::Result<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    pub(crate) fn writer(&self) -> rusqlite::Result<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        // For retention, which gives pages back little by little. Holds for a new file only, and
        // so comes first.
        connection.pragma_update(None, "auto_vacuum", "incremental")?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // NORMAL can lose commits that were answered when the power goes.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // So that REPLACE asks the trigger that refuses to delete events. A trigger of its own would cost
        // every event a look at the table.
        connection.pragma_update(None, "recursive_triggers", true)?;
        // 16 MiB: the ends of all trees stay in memory.
        connection.pragma_update(None, "cache_size", -16384)?;
        // A checkpoint every 16 MiB of log: fewer syncs of the database file.
        connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
        // What a burst made the log grow to is given back.
        connection.pragma_update(None, "journal_size_limit", 67_108_864)?;
        if let Some(pages) = self.pages_max {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        Ok(connection)
    }

    fn connect(&self, access: OpenFlags) -> rusqlite::Result<Connection> {
        // Each connection is used by one thread at a time, so SQLite needs no mutex for it.
        let connection = Connection::open_with_flags(&self.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        // Nobody else writes; this is for a backup tool that holds a lock for a moment.
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(256);
        connection.pragma_update(None, "temp_store", "memory")?;
        Ok(connection)
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

/// The schema's steps, in their order. Forward only: a released file never changes. A database
/// says in its `user_version` how many of them it has.
const MIGRATIONS: [&str; 7] = [
    include_str!("../../../migrations/sqlite/0001_everything.sql"),
    include_str!("../../../migrations/sqlite/0002_pauses.sql"),
    include_str!("../../../migrations/sqlite/0003_retention.sql"),
    include_str!("../../../migrations/sqlite/0004_secrets.sql"),
    include_str!("../../../migrations/sqlite/0005_tokens.sql"),
    include_str!("../../../migrations/sqlite/0006_audit.sql"),
    include_str!("../../../migrations/sqlite/0007_afferent.sql"),
];

/// Brings the schema up to date; gives the number of steps that it took.
pub(crate) fn migrate(connection: &mut Connection, options: &SqliteOptions) -> Result<usize, OpenError> {
    let unusable = |error: rusqlite::Error| options.unusable(error);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(unusable)?;
    let known = MIGRATIONS.len();
    let Some(missing) = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..)) else {
        return Err(OpenError::Newer { path: options.path.clone(), found, known: known as i64 });
    };
    for (version, step) in (found + 1..).zip(missing) {
        let apply = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()
        };
        apply(connection).map_err(unusable)?;
    }
    Ok(missing.len())
}

/// Whether this release can read a database as it is.
pub(crate) fn check_schema(connection: &Connection, options: &SqliteOptions) -> Result<(), OpenError> {
    let found = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    let (found, known) = (found.map_err(|error| options.unusable(error))?, MIGRATIONS.len() as i64);
    match found.cmp(&known) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(OpenError::Newer { path: options.path.clone(), found, known }),
        Ordering::Less => Err(options.unusable(format!(
            "its schema is older than this release: {found} of {known} steps; `migrate` brings it up to date"
        ))),
    }
}

/// Brings the schema of a database that nobody has open up to date; gives the number of steps
/// that it took.
pub async fn migrate_file(path: &Path) -> Result<usize, OpenError> {
    let options = SqliteOptions::new(path);
    let on_thread = options.clone();
    let done = tokio::task::spawn_blocking(move || {
        let options = on_thread;
        let _lock = options.lock()?;
        let mut connection = options.writer().map_err(|error| options.unusable(error))?;
        let steps = migrate(&mut connection, &options)?;
        connection.close().map_err(|(_, error)| options.unusable(error))?;
        Ok(steps)
    });
    done.await.map_err(|error| options.unusable(error))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_connection_that_writes_can_replace_an_event() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(&folder.path().join("a.db"));
        let mut connection = options.writer().unwrap();
        migrate(&mut connection, &options).unwrap();
        let event = "INTO events (position, id, type, time, data) VALUES (1, x'00', 1, 1, '{}')";
        connection.execute(&format!("INSERT {event}"), []).unwrap();
        for verb in ["REPLACE", "INSERT OR REPLACE"] {
            let error = connection.execute(&format!("{verb} {event}"), []).unwrap_err();
            assert!(error.to_string().contains("events are immutable"), "{error}");
        }
    }
}
