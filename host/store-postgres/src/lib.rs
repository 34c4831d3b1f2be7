//! The repositories on Postgres: durable, for any number of processes, with group commit in
//! each.
//!
//! All writes of a process go through one thread with one connection ([`writer`]). It takes
//! everything that waits, writes it in one transaction with few statements, and answers all of
//! it after the commit: under load many units share one sync of the disk. Reads ([`read`]) have
//! a pool of connections; a read that begins after a commit was answered, to whatever process,
//! sees it.
//!
//! Other processes write at the same time, so nothing is known by heart: what a unit believes is
//! checked under the row locks of the transaction that writes it. Positions come from one row
//! that each appending transaction holds until its commit (`log` in the schema): they have no
//! gaps and become visible in their order. What others did is heard over `NOTIFY`
//! (`Positions` and `Signals`), and where nothing is heard, looked for.
//!
//! A connection that is lost before a commit was asked for costs a retry. One that is lost
//! before the answer leaves a commit of which nobody knows: each batch writes its number beside
//! its data, and the writer looks there before it answers.
//!
//! SQL stands in this crate and in `migrations/postgres` and nowhere else. To change the schema:
//! a new file there, and a line in `open.rs`. Each statement over a large table has a test that
//! looks at its plan (`plans.rs`).

mod clock;
mod codes;
mod error;
mod listen;
mod open;
#[cfg(test)]
mod plans;
mod read;
mod row;
mod writer;

pub use error::OpenError;
pub use open::{PostgresOptions, check_address, migrate};
pub use read::log::PostgresLog;

use action_domain::{
    event::Position,
    id::ExecutionId,
    repositories::{Claim, Claimed, CommitError, Prune, Pruned, Signal, Store, StoreUnavailable, UnitOfWork},
    services::Clock,
    time::Timestamp,
};
use async_trait::async_trait;
use clock::DatabaseClock;
use open::{CONNECT_TIMEOUT, Server};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{sync::Arc, time::Duration};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use writer::Command;

/// A database of the service, open. [`Self::close`] ends it cleanly; a process that is killed
/// loses nothing that was answered.
#[derive(Debug)]
pub struct PostgresStore {
    commands: mpsc::Sender<Command>,
    positions: watch::Receiver<Position>,
    signals: broadcast::Receiver<Signal>,
    clock: Arc<DatabaseClock>,
    readers: PgPool,
    read_timeout: Duration,
}

impl PostgresStore {
    /// Opens the database at `url` and brings its schema up to date, while other processes may
    /// do the same.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self, OpenError> {
        let server = Server::new(url, options)?;
        server.migrate().await?;
        let options = &server.options;
        let acquire_timeout = Duration::from_millis(options.acquire_timeout_ms);
        let read_timeout = acquire_timeout + Duration::from_millis(options.statement_timeout_ms) + CONNECT_TIMEOUT;
        let readers = PgPoolOptions::new()
            .max_connections(options.readers.max(1))
            .min_connections(1)
            .acquire_timeout(acquire_timeout)
            // A read that meets a broken connection takes another one: cheaper than a question
            // before every read.
            .test_before_acquire(false)
            .connect_with(server.reader())
            .await
            .map_err(|error| server.unusable(error))?;
        let writer::Started { commands, positions, signals, clock } = writer::start(server).await?;
        Ok(Self { commands, positions, signals, clock, readers, read_timeout })
    }

    /// The database's clock: the one by which all processes that share it go.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Writes what waits and gives all connections back. Whatever is asked of the store
    /// afterwards is refused.
    pub async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        if self.commands.send(Command::Close(answer)).await.is_ok() {
            // An error means that it is closed already.
            let _ = closed.await;
        }
        self.readers.close().await;
    }

    async fn ask<T>(&self, command: Command, answer: oneshot::Receiver<T>) -> Result<T, StoreUnavailable> {
        let closed = || StoreUnavailable("it is closed".to_owned());
        self.commands.send(command).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())
    }
}

#[async_trait]
impl Store for PostgresStore {
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
