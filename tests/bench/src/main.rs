//! The benchmark: the service beside the limit program, in one run.
//!
//! The limit is the same HTTP server and the same durable storage with native code where the
//! service runs a component. What the service loses against it is what WebAssembly, the gate
//! and the record keeping cost. Absolute figures change with the machine and the hour, so both
//! run in turn, in slices of seconds, and only their ratios are judged.
//!
//! Three programs are in this binary, so that each has a process and a CPU account of its own:
//! the benchmark with its load generator, `limit`, and `echo`, the remote of the HTTP calls.

mod echo;
mod guests;
mod http;
mod limit;
mod load;
mod process;
mod product;
mod report;
mod rounds;

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
    /// Length of a slice.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Rounds; the medians of all are reported.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// One round of one-second slices: shows that everything works, and little else.
    #[arg(long)]
    quick: bool,
    /// Where the result is kept. A quick one is only printed, unless this says where to.
    #[arg(long, default_value_if("quick", "true", None), default_value = "docs/benchmarks.md")]
    out: Option<PathBuf>,
    /// Where the components are that scripts/build-guests.sh built.
    #[arg(long, default_value = "tests/fixtures/target/wasm32-wasip2/release")]
    fixtures: PathBuf,
    /// Where the databases are put meanwhile: a disk, since one in memory syncs nothing.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
}

#[derive(Subcommand)]
enum Role {
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
    },
    /// Serves HTTP that gives back what it gets.
    Echo {
        /// 0 takes a free one and prints it.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

fn main() -> Result<()> {
    let Cli { role, mut options } = Cli::parse();
    // The limit may use all cores, as the service does. The other two are only means and get
    // by on one thread, which leaves more of the machine to what is measured.
    let mut runtime = match role {
        Some(Role::Limit { .. }) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    match role {
        Some(Role::Limit { port, db, remote }) => runtime.block_on(limit::serve(port, &db, remote)),
        Some(Role::Echo { port }) => runtime.block_on(echo::serve(port)),
        None => {
            if options.quick {
                (options.seconds, options.rounds) = (1, 1);
            }
            runtime.block_on(bench(&options))
        }
    }
}

/// A missed aim is a result and no error: only what did not work ends with one.
async fn bench(options: &Options) -> Result<()> {
    ensure!(options.rounds > 0 && options.seconds > 0, "a slice and a round at least");
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: the figures mean nothing");
    }
    product::build()?;
    let results = rounds::run(options).await?;
    let text = report::render(&results);
    println!("{text}");
    if let Some(out) = &options.out {
        std::fs::write(out, text).with_context(|| format!("cannot write {}", out.display()))?;
    }
    Ok(())
}
