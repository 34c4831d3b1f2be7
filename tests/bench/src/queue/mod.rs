//! The queue: how much is accepted durably, how fast it is run, and how soon.
//!
//! Each database is measured by itself, beside a limit of the same minutes: on bare tables, what a
//! program reaches that does nothing but write what the service has to write. In every round
//! databases with nothing, with much waiting and with much stored take turns.

mod cluster;
mod history;
mod log;
mod raw_postgres;
mod raw_sqlite;
pub(crate) mod report;
mod single;

use crate::{
    load::Slice,
    product::Product,
    report::median,
    rounds::{SYNCS, syncs_a_second},
};
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Callers at once.
const CONNECTIONS: usize = 64;
/// Length of a slice and number of rounds, where nothing is said: with them the queue takes some
/// seven minutes on two cores, most of which is running what was enqueued.
const SECONDS: u64 = 1;
const ROUNDS: usize = 3;
/// What was enqueued in a slice has to be run within so many; a slow worker is stopped then.
const DRAIN_SLICES_MAX: u32 = 15;
/// From a queue that is long anyway is drained for so many.
const DRAIN_SLICES: u32 = 3;

/// How to measure the queue.
#[derive(clap::Args)]
#[group(id = "queue")]
pub(crate) struct Options {
    /// Executions that wait while the queue is measured; several numbers with commas.
    #[arg(long, value_delimiter = ',', default_value = "100000")]
    waiting: Vec<u64>,
    /// Events that are stored while the queue is measured.
    #[arg(long, value_delimiter = ',', default_value = "1000000")]
    stored: Vec<u64>,
    /// Also with a million executions waiting, which takes about half an hour; webhooks also at 100,000 actions.
    #[arg(long)]
    pub(crate) full: bool,
    /// Only these, separated by commas.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "sqlite,postgres,nats")]
    databases: Vec<Backend>,
}

/// What keeps and carries the queue.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Backend {
    /// SQLite, with all in one process.
    Sqlite,
    /// Postgres, `api` and `worker` processes.
    Postgres,
    /// The same, and NATS carries what is due.
    Nats,
}

/// What is in the database already.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Level {
    /// Nothing to speak of.
    Empty,
    /// So many executions wait.
    Waiting(u64),
    /// So many events are stored, of executions that have ended.
    Stored(u64),
}

/// What was measured. All but the latencies are by the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum What {
    /// Executions that were accepted while none was run.
    Enqueue,
    /// Milliseconds that 99 of 100 of them were answered within.
    AnswerP99,
    /// Executions that were accepted while others were run.
    EnqueueBeside,
    /// Executions that ended while none came, by this many workers.
    Drain(usize),
    /// Milliseconds from a trigger to its attempt, in idleness.
    ToStart,
    /// What only inserts.
    RawEnqueue,
    /// What only claims and completes, in batches of ten, over this many connections.
    RawDrain(usize),
}

/// All that was measured.
pub(crate) struct Results {
    /// How long a slice was.
    pub(crate) seconds: u64,
    /// How often everything was done.
    pub(crate) rounds: usize,
    /// Which databases.
    pub(crate) backends: Vec<Backend>,
    /// What was in them.
    pub(crate) levels: Vec<Level>,
    /// Every figure; those of one kind in the order of rounds.
    pub(crate) figures: Vec<(Backend, Level, What, f64)>,
    /// Syncs of 4 KiB a second before everything and after it: where SQLite is, where Postgres is.
    pub(crate) syncs: [[f64; 2]; 2],
    /// The same where the database is, each time that another one had its turn.
    pub(crate) between: Vec<f64>,
}

impl Results {
    fn add(&mut self, backend: Backend, level: Level, what: What, figure: f64) {
        eprintln!("{backend:?} {level:?} {what:?}: {figure:.1}");
        self.figures.push((backend, level, what, figure));
    }

    /// Figures where nothing is stored.
    fn add_all(&mut self, backend: Backend, what: What, figures: &[f64]) {
        eprintln!("{backend:?} {what:?}: {:.2} in the middle", median(figures.iter().copied()));
        self.figures.extend(figures.iter().map(|figure| (backend, Level::Empty, what, *figure)));
    }

    /// Whether the disk is still the same one.
    fn look_at_disk(&mut self, folder: &Path) -> Result<()> {
        self.between.push(syncs_a_second(folder, SYNCS / 4)?);
        Ok(())
    }

    fn enqueued(&mut self, backend: Backend, level: Level, slice: Slice) {
        self.add(backend, level, What::Enqueue, slice.rate);
        self.add(backend, level, What::AnswerP99, slice.p99_ms);
    }
}

/// What every part of the measurement knows.
struct Plan<'a> {
    options: &'a crate::Options,
    levels: Vec<Level>,
    length: Duration,
}

/// Measures everything.
pub(crate) async fn run(options: &crate::Options) -> Result<Results> {
    std::fs::create_dir_all(&options.dir)?;
    let (levels, length) = (levels(options), Duration::from_secs(options.seconds(SECONDS)));
    let folders = [options.dir.clone(), std::env::temp_dir()];
    let syncs =
        || -> Result<[f64; 2]> { Ok([syncs_a_second(&folders[0], SYNCS)?, syncs_a_second(&folders[1], SYNCS)?]) };
    let before = syncs()?;
    let mut results = Results {
        seconds: length.as_secs(),
        rounds: options.rounds(ROUNDS),
        backends: options.queue.databases.clone(),
        levels: levels.clone(),
        figures: Vec::new(),
        syncs: [before; 2],
        between: Vec::new(),
    };
    let plan = Plan { options, levels, length };
    for backend in results.backends.clone() {
        match backend {
            Backend::Sqlite => single::run(&plan, &mut results).await,
            Backend::Postgres | Backend::Nats => cluster::run(&plan, backend, &mut results).await,
        }
        .with_context(|| format!("the queue on {backend:?}"))?;
    }
    results.syncs[1] = syncs()?;
    Ok(results)
}

fn levels(options: &crate::Options) -> Vec<Level> {
    if options.quick {
        return vec![Level::Empty, Level::Waiting(1_000), Level::Stored(10_000)];
    }
    let mut waiting = options.queue.waiting.clone();
    if options.queue.full {
        waiting.push(1_000_000);
    }
    let waiting = waiting.into_iter().map(Level::Waiting);
    [Level::Empty].into_iter().chain(waiting).chain(options.queue.stored.iter().copied().map(Level::Stored)).collect()
}

impl Plan<'_> {
    fn folder(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::Builder::new().prefix("bench-queue-").tempdir_in(&self.options.dir)?)
    }

    /// The action that everything is measured with.
    async fn add_noop(&self, product: &Product, server: &crate::process::Server) -> Result<()> {
        product.upload(server, &self.options.fixtures, &["noop.wasm"]).await?;
        product.create(server, &json!({"name": "noop", "protocol": "noop", "config": {}})).await
    }

    /// How long is drained at most.
    fn drain_max(&self, level: Level) -> Duration {
        self.length * if matches!(level, Level::Waiting(_)) { DRAIN_SLICES } else { DRAIN_SLICES_MAX }
    }
}

/// An absolute path: the service is not started where this is.
fn absolute(folder: &tempfile::TempDir, name: &str) -> Result<PathBuf> {
    Ok(std::path::absolute(folder.path().join(name))?)
}
