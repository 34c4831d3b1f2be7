//! The benchmark: the service beside the limit program, in one run.
//!
//! The limit is the same HTTP server and the same durable storage with native code where the
//! service runs a component. What the service loses against it is what WebAssembly, the gate
//! and the record keeping cost. Absolute figures change with the machine and the hour, so both
//! run in turn, in slices of seconds, and only their ratios are judged.
//!
//! That is the first part, `calls`. The second, `queue`, measures durable dispatch beside what its database
//! can do; `guards`, `webhooks`, `transforms` and `languages` what each of these costs.
//!
//! Three programs are in this binary, so that each has a process and a CPU account of its own:
//! the benchmark with its load generator, `limit`, and `echo`, the remote of the HTTP calls.

mod echo;
mod guards;
mod guests;
mod held;
mod http;
mod languages;
mod limit;
mod load;
mod page;
mod process;
mod product;
mod queue;
mod report;
mod rounds;
mod transforms;
mod turns;
mod webhooks;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf};

/// Measures the service beside the limit: the same HTTP and storage without WebAssembly.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

/// How to measure.
#[derive(clap::Args)]
struct Options {
    /// Length of a slice [default: 2, for the queue 1].
    #[arg(long)]
    seconds: Option<u64>,
    /// Rounds; the medians of all are reported [default: 5, for the queue 3].
    #[arg(long)]
    rounds: Option<usize>,
    /// One round of one-second slices, and little waiting and stored: shows that everything works,
    /// and little else.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    queue: queue::Options,
    /// Where the result is kept. A quick one is only printed, unless this says where to.
    #[arg(long, default_value_if("quick", "true", None), default_value = "docs/benchmarks.md")]
    out: Option<PathBuf>,
    /// Where the components are that scripts/build-guests.sh built.
    #[arg(long, default_value = "tests/fixtures/target/wasm32-wasip2/release")]
    fixtures: PathBuf,
    /// Where SQLite's files are put meanwhile: a disk, since one in memory syncs nothing. Postgres and
    /// NATS have theirs in the folder for temporary files (TMPDIR).
    #[arg(long, default_value = "target")]
    dir: PathBuf,
}

impl Options {
    /// Length of a slice, in seconds.
    fn seconds(&self, default: u64) -> u64 {
        if self.quick { 1 } else { self.seconds.unwrap_or(default) }
    }

    fn rounds(&self, default: usize) -> usize {
        if self.quick { 1 } else { self.rounds.unwrap_or(default) }
    }
}

#[derive(Subcommand)]
enum Role {
    /// Measures only calls that are waited for, and writes only their part of the report.
    Calls(Options),
    /// Measures only the queue, and writes only its part of the report.
    Queue(Options),
    /// Measures only what safety costs, and writes only its part of the report.
    Guards(Options),
    /// Measures only how webhooks are taken, and writes only its part of the report.
    Webhooks(Options),
    /// Measures only what transforms cost, and writes only its part of the report.
    Transforms(Options),
    /// Measures only what the languages of protocols cost, and writes only its part of the report.
    Languages(Options),
    /// Serves the limit: two durable events a request, and native work between them.
    Limit {
        /// 0 takes a free one and prints it.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// The database's file.
        #[arg(long)]
        db: PathBuf,
        /// Posts each input there; without it, the work is nothing.
        #[arg(long)]
        remote: Option<SocketAddr>,
        /// Answers when the rows of an execution that waits are durable, and does no work.
        #[arg(long)]
        enqueue: bool,
    },
    /// Serves HTTP that gives back what it gets.
    Echo {
        /// 0 takes a free one and prints it.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

fn main() -> Result<()> {
    let Cli { role, options } = Cli::parse();
    // The limit may use all cores, as the service does. The other two are only means and get
    // by on one thread, which leaves more of the machine to what is measured.
    let mut runtime = match role {
        Some(Role::Limit { .. }) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    match role {
        Some(Role::Limit { port, db, remote, enqueue }) => runtime.block_on(limit::serve(port, &db, remote, enqueue)),
        Some(Role::Echo { port }) => runtime.block_on(echo::serve(port)),
        Some(Role::Calls(options)) => runtime.block_on(bench(&options, &[Part::Calls])),
        Some(Role::Queue(options)) => runtime.block_on(bench(&options, &[Part::Queue])),
        Some(Role::Guards(options)) => runtime.block_on(bench(&options, &[Part::Guards])),
        Some(Role::Webhooks(options)) => runtime.block_on(bench(&options, &[Part::Webhooks])),
        Some(Role::Transforms(options)) => runtime.block_on(bench(&options, &[Part::Transforms])),
        Some(Role::Languages(options)) => runtime.block_on(bench(&options, &[Part::Languages])),
        None => runtime.block_on(bench(&options, &Part::ALL)),
    }
}

/// A part of the page, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Calls,
    Queue,
    Guards,
    Webhooks,
    Transforms,
    Languages,
}

impl Part {
    const ALL: [Self; 6] = [Self::Calls, Self::Queue, Self::Guards, Self::Webhooks, Self::Transforms, Self::Languages];
}

/// A missed aim is a result and no error: only what did not work ends with one.
async fn bench(options: &Options, parts: &[Part]) -> Result<()> {
    ensure!(options.rounds != Some(0) && options.seconds != Some(0), "a slice and a round at least");
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: the figures mean nothing");
    }
    product::build()?;
    // A part that is not measured stays as it is.
    let before = options.out.as_ref().and_then(|out| std::fs::read_to_string(out).ok()).unwrap_or_default();
    let mut page = page::split(&before);
    for part in parts {
        let text = match part {
            Part::Calls => report::render(&rounds::run(options).await?),
            Part::Queue => queue::report::render(&queue::run(options).await?),
            Part::Guards => guards::render(&guards::run(options).await?),
            Part::Webhooks => webhooks::render(&webhooks::run(options).await?),
            Part::Transforms => transforms::render(&transforms::run(options).await?),
            Part::Languages => languages::render(&languages::run(options).await?),
        };
        println!("{text}");
        page[*part as usize] = text;
    }
    let Some(out) = &options.out else { return Ok(()) };
    std::fs::write(out, page::join(&page)).with_context(|| format!("cannot write {}", out.display()))
}
