//! The repositories on SQLite: durable, for one process, with group commit.
//!
//! All writes go through one thread with one connection ([`writer`]). It takes everything that
//! waits, writes it in one transaction, and answers all of it after the commit: under load many
//! units share one sync of the disk. Reads ([`read`]) have connections of their own; the
//! write-ahead log lets them run beside the writer, and a read that begins after a commit was
//! answered sees it.
//!
//! Only one process may open a database, which a lock file beside it enforces. The writer
//! builds on that: it knows the end of the log and every running execution's lease by heart,
//! and neither has to be read on the hot path.
//!
//! SQL stands in this crate and in `migrations/sqlite` and nowhere else. To change the schema:
//! a new file there, and a line in `open.rs`. Each statement over a large table has a test that
//! looks at its plan (`plans.rs`).

mod codes;
mod error;
mod open;
#[cfg(test)]
mod plans;
mod read;
mod readers;
mod row;
mod writer;

pub use error::OpenError;
pub use open::{SqliteOptions, migrate_file as migrate};
pub use read::log::SqliteLog;

use action_domain::{
    event::Position,
    id::ExecutionId,
    repositories::{Claim, Claimed, CommitError, Positions, Prune, Pruned, Store, StoreUnavailable, UnitOfWork},
    time::Timestamp,
};
use async_trait::async_trait;
use codes::EventTypes;
use readers::Readers;
use std::{path::Path, sync::Arc};
use tokio::sync::{mpsc, oneshot, watch};
use writer::Command;

/// A database of the service, open. [`Self::close`] ends it cleanly; a process that is killed
/// loses nothing that was answered.
#[derive(Debug)]
pub struct SqliteStore {
    commands: mpsc::Sender<Command>,
    positions: watch::Receiver<Position>,
    readers: Readers,
    types: Arc<EventTypes>,
}

impl SqliteStore {
    /// Opens the database at `path`, makes it where it is missing, and brings its schema up to
    /// date.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(SqliteOptions::new(path)).await
    }

    /// The same, with other options.
    pub async fn open_with(options: SqliteOptions) -> Result<Self, OpenError> {
        let started = writer::start(options.clone()).await?;
        let readers = Readers::open(options)?;
        let writer::Started { commands, positions, types } = started;
        Ok(Self { commands, positions, readers, types })
    }

    /// Writes what waits, moves the write-ahead log into the database, and gives it free.
    /// Whatever is asked of the store afterwards is refused.
    pub async fn close(&self) {
        self.readers.close().await;
        let (answer, closed) = oneshot::channel();
        if self.commands.send(Command::Close(answer)).await.is_ok() {
            // An error means that it is closed already.
            let _ = closed.await;
        }
    }

    async fn ask<T>(&self, command: Command, answer: oneshot::Receiver<T>) -> Result<T, StoreUnavailable> {
        let closed = || StoreUnavailable("it is closed".to_owned());
        self.commands.send(command).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, unit: UnitOfWork) -> Result<Position, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Commit(unit, answer), answered).await?
    }

    async fn claim(&self, claim: Claim) -> Result<Claimed, StoreUnavailable> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Claim(claim, answer), answered).await?
    }

    async fn offer(
        &self,
        now: Timestamp,
        again_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(ExecutionId, u32)>, StoreUnavailable> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Offer { now, again_before, limit, answer }, answered).await?
    }

    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreUnavailable> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Prune(prune, answer), answered).await?
    }
}

/// Follows the end of the log.
struct Follow(watch::Receiver<Position>);

#[async_trait]
impl Positions for Follow {
    async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}
