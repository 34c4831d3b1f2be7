//! The one writer of this process: a thread that commits many units at once.
//!
//! It has a thread and a runtime of its own, so that computing guests on the server's runtime
//! cannot hold it up, and a higher priority where the system allows it. Other processes have
//! writers of their own: nothing of the database is known by heart here, and what a unit
//! believes is checked in the transaction that writes it.

mod actions;
pub(crate) mod batch;
pub(crate) mod bulk;
pub(crate) mod capture;
pub(crate) mod claim;
mod connection;
pub(crate) mod consumers;
pub(crate) mod guard;
pub(crate) mod protocols;
pub(crate) mod prune;
pub(crate) mod queue;
pub(crate) mod seals;
pub(crate) mod secrets;
mod stage;
pub(crate) mod tokens;
pub(crate) mod triggers;

use crate::{
    clock::DatabaseClock,
    error::{Fault, OpenError, fault, unavailable},
    listen::{self, News},
    open::Server,
};
use action_domain::{
    event::Position,
    id::ExecutionId,
    repositories::{Claim, Claimed, CommitError, Prune, Pruned, Signal, StoreUnavailable, UnitOfWork, Write},
    time::Timestamp,
};
use batch::{Answer, Batch, Done};
use bulk::Mark;
use connection::{Fate, Link, Pauses, is_refused, timed_out};
use sqlx::{Executor as _, PgConnection};
use std::{sync::Arc, time::Instant};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::timeout,
};

/// Units that wait for the writer, at most; who comes then waits at the door.
const WAITING_MAX: usize = 4096;

/// A batch takes no more once it holds this much data: a large upload should not make everybody
/// else's commit larger still.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What the writer is asked for.
pub(crate) enum Command {
    /// A unit of work.
    Commit(UnitOfWork, oneshot::Sender<Result<Position, CommitError>>),
    /// Executions that are due.
    Claim(Claim, oneshot::Sender<Result<Claimed, StoreUnavailable>>),
    /// The names of executions that are due.
    Offer {
        now: Timestamp,
        again_before: Timestamp,
        limit: u32,
        answer: oneshot::Sender<Result<Vec<(ExecutionId, u32)>, StoreUnavailable>>,
    },
    /// Retention.
    Prune(Prune, oneshot::Sender<Result<Pruned, StoreUnavailable>>),
    /// The end.
    Close(oneshot::Sender<()>),
}

impl Command {
    fn unit(&self) -> Option<&UnitOfWork> {
        if let Self::Commit(unit, _) = self { Some(unit) } else { None }
    }

    fn bytes(&self) -> usize {
        let Self::Commit(unit, _) = self else { return 0 };
        let of_write = |write: &Write| match write {
            Write::AddProtocol(_, bytes) | Write::AddPayload(_, bytes) | Write::AppendSealIfNext(_, bytes) => {
                bytes.len()
            }
            Write::SetValues(_, values) => values.values().flatten().map(bytes::Bytes::len).sum(),
            _ => 0,
        };
        let events: usize = unit.events.iter().map(|event| event.data.get().len()).sum();
        events + unit.writes.iter().map(of_write).sum::<usize>()
    }

    fn refuse(self, why: &StoreUnavailable) {
        // Who does not wait for the answer any more does not need it.
        match self {
            Self::Commit(_, answer) => drop(answer.send(Err(why.clone().into()))),
            Self::Claim(_, answer) => drop(answer.send(Err(why.clone()))),
            Self::Offer { answer, .. } => drop(answer.send(Err(why.clone()))),
            Self::Prune(_, answer) => drop(answer.send(Err(why.clone()))),
            Self::Close(answer) => drop(answer.send(())),
        }
    }
}

/// A writer that runs, and a listener beside it.
pub(crate) struct Started {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) positions: watch::Receiver<Position>,
    pub(crate) signals: broadcast::Receiver<Signal>,
    pub(crate) clock: Arc<DatabaseClock>,
}

/// Starts the writer of a database whose schema is there.
pub(crate) async fn start(server: Server) -> Result<Started, OpenError> {
    let (ready, started) = oneshot::channel();
    let unusable = server.clone();
    let body = move || {
        raise_priority();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(live(server, ready)),
            Err(error) => drop(ready.send(Err(server.unusable(error)))),
        }
    };
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(body)
        .map_err(|error| unusable.unusable(error))?;
    started.await.map_err(|_| unusable.unusable("the writer ended before it began"))?
}

/// Above guests. Whoever waits for a commit waits for this thread.
fn raise_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, -10) {
        // Not an error: without CAP_SYS_NICE the writer competes with everybody else.
        tracing::debug!(%error, "the writer has no priority");
    }
}

async fn live(server: Server, ready: oneshot::Sender<Result<Started, OpenError>>) {
    let (sender, commands) = mpsc::channel(WAITING_MAX);
    let (link, connection, position, clock) = match Link::open(server.clone()).await {
        Ok(opened) => opened,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let news = Arc::new(News::new(position, clock));
    let started = Started {
        commands: sender,
        positions: news.positions(),
        signals: news.signals(),
        clock: Arc::clone(&news.clock),
    };
    let units_max = server.options.batch_units_max.max(1);
    let writer = Writer { link, connection: Some(connection), batch: 0, units_max, news: Arc::clone(&news) };
    if ready.send(Ok(started)).is_ok() {
        // It ends with the writer: this is the writer's runtime.
        tokio::spawn(async move { listen::listen(server, &news).await });
        writer.run(commands).await;
    }
}

struct Writer {
    link: Link,
    /// `None` after a failure, until the next batch opens a new one.
    connection: Option<PgConnection>,
    /// The number of the last batch. Every try has its own.
    batch: i64,
    units_max: usize,
    news: Arc<News>,
}

/// Why a batch was not written by one try.
enum Failure {
    /// Nothing of it happened.
    Before(sqlx::Error),
    /// The commit was asked for, and nobody answered.
    AtCommit(Done, sqlx::Error),
}

impl Writer {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut batch = Vec::new();
        let mut closed = None;
        while closed.is_none() {
            let Some(first) = commands.recv().await else { break };
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(command) = next {
                if let Command::Close(answer) = command {
                    closed = Some(answer);
                    break;
                }
                bytes += command.bytes();
                batch.push(command);
                let full = batch.len() >= self.units_max || bytes >= BATCH_BYTES_MAX;
                next = if full { None } else { commands.try_recv().ok() };
            }
            self.write(std::mem::take(&mut batch)).await;
        }
        self.close().await;
        if let Some(answer) = closed {
            let _ = answer.send(());
        }
    }

    /// Writes a batch and answers it, whatever happens.
    async fn write(&mut self, batch: Vec<Command>) {
        if batch.is_empty() {
            return;
        }
        // The next one last.
        let mut ahead = vec![batch];
        while let Some(mut batch) = ahead.pop() {
            match self.attempt(&batch).await {
                Ok(done) => self.answer(batch, done),
                // One of them broke a rule that no unit may break (an id that is there already).
                // Which one shows when the halves go alone.
                Err(error) if batch.len() > 1 && fault(&error) == Fault::OfOneUnit => {
                    let second = batch.split_off(batch.len() / 2);
                    ahead.extend([second, batch]);
                }
                Err(error) => refuse(batch, &error),
            }
        }
    }

    /// Writes a batch in one transaction, and tries again where that can help: all of it is
    /// durable, or nothing happened.
    async fn attempt(&mut self, batch: &[Command]) -> sqlx::Result<Done> {
        let until = Instant::now() + self.link.reconnect_for();
        let mut pauses = Pauses::new();
        loop {
            self.batch += 1;
            let error = match self.transact(batch).await {
                Ok(done) => return Ok(done),
                Err(Failure::Before(error)) => error,
                Err(Failure::AtCommit(done, error)) => {
                    tracing::warn!(%error, "store.commit.unanswered");
                    self.connection = None;
                    let (fate, connection) = self.link.fate_of(self.batch).await;
                    self.connection = connection;
                    tracing::warn!(?fate, "store.commit.looked_up");
                    match fate {
                        Fate::Committed => return Ok(done),
                        Fate::NotCommitted => error,
                        Fate::Unknown => {
                            tracing::error!(%error, units = batch.len(), "store.commit.unknown");
                            let message = "whether it was committed is not known";
                            return Err(sqlx::Error::Configuration(message.into()));
                        }
                    }
                }
            };
            let fault = fault(&error);
            self.recover(fault).await;
            let again = matches!(fault, Fault::Again | Fault::Broken) && Instant::now() < until;
            if !again {
                if fault != Fault::OfOneUnit {
                    tracing::error!(%error, "store.write.failed");
                }
                return Err(error);
            }
            tracing::debug!(%error, "store.write.again");
            pauses.pause().await;
        }
    }

    async fn transact(&mut self, batch: &[Command]) -> Result<Done, Failure> {
        let patience = self.link.patience();
        let mark = Mark { writer: self.link.writer, batch: self.batch };
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.link.connect().await.map_err(Failure::Before)?),
        };
        let performing = async {
            connection.execute("BEGIN").await?;
            Batch::perform(&mut *connection, batch, mark).await
        };
        // A batch has few statements, and each its timeout at the server.
        let performed = timeout(patience * 2, performing).await.unwrap_or_else(|_| Err(timed_out()));
        let done = performed.map_err(Failure::Before)?;
        let committed = timeout(patience, connection.execute("COMMIT")).await.unwrap_or_else(|_| Err(timed_out()));
        match committed {
            Ok(_) => Ok(done),
            Err(error) if is_refused(&error) || !done.wrote => Err(Failure::Before(error)),
            Err(error) => Err(Failure::AtCommit(done, error)),
        }
    }

    /// After a failure: a connection with no transaction, or none.
    async fn recover(&mut self, fault: Fault) {
        let Some(mut connection) = self.connection.take() else { return };
        if fault == Fault::Broken {
            // The server ends what it was in when it notices.
            return;
        }
        let rolled_back = timeout(self.link.patience(), connection.execute("ROLLBACK")).await;
        if matches!(rolled_back, Ok(Ok(_))) {
            self.connection = Some(connection);
        }
    }

    fn answer(&mut self, batch: Vec<Command>, done: Done) {
        // Before the answers: whoever has one has followers who know of it.
        self.news.grown_to(done.position);
        for (command, answer) in batch.into_iter().zip(done.answers) {
            // Who does not wait for the answer any more does not need it.
            match (command, answer) {
                (Command::Commit(_, to), Answer::Committed(result)) => drop(to.send(result.map_err(Into::into))),
                (Command::Claim(_, to), Answer::Claimed(result)) => drop(to.send(result)),
                (Command::Offer { answer: to, .. }, Answer::Offered(named)) => drop(to.send(Ok(named))),
                (Command::Prune(_, to), Answer::Pruned(pruned)) => drop(to.send(Ok(pruned))),
                (command, _) => command.refuse(&StoreUnavailable("the answer is lost".to_owned())),
            }
        }
    }

    async fn close(mut self) {
        if let Some(connection) = self.connection.take() {
            self.link.close(connection).await;
        }
    }
}

fn refuse(batch: Vec<Command>, error: &sqlx::Error) {
    let why = unavailable(error);
    for command in batch {
        command.refuse(&why);
    }
}
