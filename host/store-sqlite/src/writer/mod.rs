//! The one writer: a thread that commits many units at once.
//!
//! SQLite runs on the thread itself, so that computing guests on the server's runtime cannot
//! hold it up, and no statement changes threads. The thread has a higher priority where the
//! system allows it: whoever waits for a commit waits for this thread.

pub(crate) mod actions;
pub(crate) mod batch;
pub(crate) mod capture;
pub(crate) mod claim;
pub(crate) mod consumers;
pub(crate) mod protocols;
pub(crate) mod prune;
pub(crate) mod queue;
pub(crate) mod rows;
pub(crate) mod seals;
pub(crate) mod secrets;
mod stage;
pub(crate) mod state;
pub(crate) mod tokens;
pub(crate) mod triggers;

use crate::{
    codes::EventTypes,
    error::{OpenError, unavailable},
    open::{self, SqliteOptions},
};
use action_domain::{
    event::Position,
    id::ExecutionId,
    repositories::{Claim, Claimed, CommitError, Prune, Pruned, StoreUnavailable, UnitOfWork, Write},
    time::Timestamp,
};
use batch::{Answer, Batch, Done};
use rusqlite::{Connection, ErrorCode};
use state::State;
use std::{
    fs::File,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch};

/// Units that wait for the writer, at most; who comes then waits at the door.
const WAITING_MAX: usize = 4096;

/// A batch takes no more once it holds this much data: a large upload should not make everybody
/// else's commit larger still.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// The writer waits for more only where at least this many executions run: their ends are on the way.
/// Somebody who is alone waits for nothing. (Postgres calls the two `commit_siblings` and `commit_delay`.)
const SIBLINGS_MIN: usize = 4;
/// How long the writer waits for more, at most. A commit costs about as much as twenty rows, whatever
/// is in it, and the writer goes before everybody else: without a wait it would write units by twos.
const DELAY_MAX: Duration = Duration::from_micros(500);
/// Between two looks at what has come.
const DELAY_STEP: Duration = Duration::from_micros(200);

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

/// A writer that runs.
pub(crate) struct Started {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) positions: watch::Receiver<Position>,
    pub(crate) types: Arc<EventTypes>,
}

/// Opens the database and starts its writer.
pub(crate) async fn start(options: SqliteOptions) -> Result<Started, OpenError> {
    let (ready, started) = oneshot::channel();
    let unusable = options.clone();
    let body = move || {
        raise_priority();
        live(options, ready);
    };
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(body)
        .map_err(|error| unusable.unusable(error))?;
    started.await.map_err(|_| unusable.unusable("the writer ended before it began"))?
}

/// Above guests.
fn raise_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, -10) {
        // Not an error: without CAP_SYS_NICE the writer competes with everybody else.
        tracing::debug!(%error, "the writer has no priority");
    }
}

fn live(options: SqliteOptions, ready: oneshot::Sender<Result<Started, OpenError>>) {
    let (sender, commands) = mpsc::channel(WAITING_MAX);
    match Writer::open(options) {
        Err(error) => drop(ready.send(Err(error))),
        Ok(writer) => {
            let started =
                Started { commands: sender, positions: writer.positions.subscribe(), types: Arc::clone(&writer.types) };
            if ready.send(Ok(started)).is_ok() {
                writer.run(commands);
            }
        }
    }
}

/// The writer and everything that it knows by heart.
struct Writer {
    options: SqliteOptions,
    /// `None` after a failure, until the next batch opens a new one.
    connection: Option<Connection>,
    state: State,
    types: Arc<EventTypes>,
    positions: watch::Sender<Position>,
    lock: File,
}

impl Writer {
    fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let lock = options.lock()?;
        let unusable = |error: rusqlite::Error| options.unusable(error);
        let mut connection = options.writer().map_err(unusable)?;
        open::migrate(&mut connection, &options)?;
        let types = Arc::new(EventTypes::load(&connection).map_err(unusable)?);
        let state = State::load(&connection).map_err(unusable)?;
        let positions = watch::Sender::new(state.position);
        Ok(Self { options, connection: Some(connection), state, types, positions, lock })
    }

    fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut batch = Vec::new();
        // Units of the last batch.
        let mut last = 0;
        let mut closed = None;
        while closed.is_none() {
            let Some(first) = commands.blocking_recv() else { break };
            self.wait_for_more(&commands, last);
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(command) = next {
                if let Command::Close(answer) = command {
                    closed = Some(answer);
                    break;
                }
                bytes += command.bytes();
                batch.push(command);
                let full = batch.len() >= self.options.batch_units_max || bytes >= BATCH_BYTES_MAX;
                next = if full { None } else { commands.try_recv().ok() };
            }
            last = batch.len();
            self.write(std::mem::take(&mut batch));
        }
        self.close();
        if let Some(answer) = closed {
            let _ = answer.send(());
        }
    }

    /// Waits until about as many units are there as executions run, or have just been answered.
    fn wait_for_more(&self, commands: &mpsc::Receiver<Command>, last: usize) {
        let siblings = self.state.running_count();
        if siblings < SIBLINGS_MIN {
            return;
        }
        // What runs may run for long. Units that come at all come about as many at a time as before.
        let wanted = siblings.min(2 * last.max(SIBLINGS_MIN));
        let begun = Instant::now();
        while commands.len() + 1 < wanted && begun.elapsed() < DELAY_MAX {
            std::thread::sleep(DELAY_STEP);
        }
    }

    /// Writes a batch and answers it, whatever happens.
    fn write(&mut self, batch: Vec<Command>) {
        if batch.is_empty() {
            return;
        }
        let alone = batch.len() == 1;
        match self.attempt(&batch) {
            Ok(done) => self.answer(batch, done),
            // One of them broke a rule that no unit may break (an id that is there already).
            // Which one shows when each goes alone.
            Err(error) if !alone && is_of_one_unit(&error) => {
                for command in batch {
                    let one = vec![command];
                    match self.attempt(&one) {
                        Ok(done) => self.answer(one, done),
                        Err(error) => refuse(one, &error),
                    }
                }
            }
            Err(error) => refuse(batch, &error),
        }
    }

    /// Writes a batch in one transaction: all of it is durable, or nothing happened.
    fn attempt(&mut self, batch: &[Command]) -> rusqlite::Result<Done> {
        let result = self.transact(batch);
        if let Err(error) = &result {
            self.recover(error);
        }
        result
    }

    fn transact(&mut self, batch: &[Command]) -> rusqlite::Result<Done> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connection = self.options.writer()?;
                // What was in doubt when the last connection failed is known now.
                self.state = State::load(&connection)?;
                none.insert(connection)
            }
        };
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let done = Batch::new(connection, &self.state, &self.types).perform(batch)?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(done)
    }

    /// After a failure: back to what is committed. What a broken disk leaves of a connection is
    /// not known, so it goes, and the next batch gets a new one.
    fn recover(&mut self, error: &rusqlite::Error) {
        let Some(connection) = self.connection.take() else { return };
        if is_of_one_unit(error) && connection.execute_batch("ROLLBACK").is_ok() {
            self.connection = Some(connection);
            return;
        }
        tracing::error!(%error, "the store could not write");
        // Closing rolls back. There is nothing to do about an error of a connection that goes.
        drop(connection);
    }

    fn answer(&mut self, batch: Vec<Command>, done: Done) {
        self.state.advance(done.position, done.guards);
        // Before the answers: whoever has one finds the log's end at or behind it.
        self.positions.send_if_modified(|position| std::mem::replace(position, done.position) != done.position);
        for (command, answer) in batch.into_iter().zip(done.answers) {
            // Who does not wait for the answer any more does not need it.
            match (command, answer) {
                (Command::Commit(_, to), Answer::Committed(result)) => drop(to.send(result.map_err(Into::into))),
                (Command::Claim(_, to), Answer::Claimed(claimed)) => drop(to.send(Ok(claimed))),
                (Command::Offer { answer: to, .. }, Answer::Offered(named)) => drop(to.send(Ok(named))),
                (Command::Prune(_, to), Answer::Pruned(pruned)) => drop(to.send(Ok(pruned))),
                (command, _) => command.refuse(&StoreUnavailable("the answer is lost".to_owned())),
            }
        }
    }

    /// Ends: what is in the write-ahead log goes into the database.
    fn close(mut self) {
        if let Some(connection) = self.connection.take() {
            // It answers with a row, which says nothing that its error would not.
            let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            let closed = connection.close().map_err(|(_, error)| error);
            if let Err(error) = checkpoint.and(closed) {
                // Nothing is lost: the next start reads the log.
                tracing::warn!(%error, "the database was not closed cleanly");
            }
        }
        drop(self.lock);
    }
}

fn refuse(batch: Vec<Command>, error: &rusqlite::Error) {
    let why = unavailable(error);
    for command in batch {
        command.refuse(&why);
    }
}

/// Whether an error is the fault of one unit, and the others of its batch can do without it: a
/// constraint of the schema, or a row that cannot be read.
fn is_of_one_unit(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => failure.code == ErrorCode::ConstraintViolation,
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => true,
        _ => false,
    }
}
