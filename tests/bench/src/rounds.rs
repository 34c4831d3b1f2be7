//! What is measured, in which order.
//!
//! In each round the service and the limit begin with empty databases, and take turns in
//! slices; every other round in the opposite order. Whatever the machine does meanwhile meets
//! both.

use crate::{
    Options,
    guests::Guests,
    http::request,
    load::{Good, Slice, slice},
    process::Server,
    product::{INPUT, Product},
    turns::in_turns,
};
use anyhow::{Context as _, Result};
use std::{
    fs::File,
    net::SocketAddr,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};
use tokio::process::Command;

/// Length of a slice where nothing is said.
const SECONDS: u64 = 2;
/// Rounds where nothing is said.
const ROUNDS: usize = 5;
/// How long the disk is measured.
pub(crate) const SYNCS: Duration = Duration::from_secs(1);
/// Connections, each with one request under way.
pub(crate) const CONNECTIONS: [usize; 3] = [1, 64, 256];

/// Who is loaded, with which work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Work {
    /// The limit, doing nothing.
    LimitNoop,
    /// The service with a component that does nothing.
    Noop,
    /// The limit, making one HTTP call.
    LimitCall,
    /// The service with a component that makes one HTTP call and nothing else.
    EchoHttp,
    /// The service with the `http` protocol that comes with it.
    Http,
}

impl Work {
    const ALL: [Self; 5] = [Self::LimitNoop, Self::Noop, Self::LimitCall, Self::EchoHttp, Self::Http];

    fn action(self) -> Option<&'static str> {
        match self {
            Self::LimitNoop | Self::LimitCall => None,
            Self::Noop => Some("noop"),
            Self::EchoHttp => Some("echo-http"),
            Self::Http => Some("http"),
        }
    }
}

/// All that was measured.
pub(crate) struct Results {
    /// How long a slice was.
    pub(crate) seconds: u64,
    /// How often everything was done.
    pub(crate) rounds: usize,
    /// Every slice; those of one work and one number of connections in the order of rounds.
    pub(crate) slices: Vec<(Work, usize, Slice)>,
    /// From start to ready with a warm compile cache, a figure a round.
    pub(crate) ready_ms: Vec<f64>,
    /// The service's memory before any load, a figure a round.
    pub(crate) idle_mib: Vec<f64>,
    /// The service's memory after the load of a round.
    pub(crate) after_mib: Vec<f64>,
    /// What components cost by themselves, figures a round.
    pub(crate) guests: Vec<Guests>,
    /// The limit program's memory before any load and after it.
    pub(crate) limit_mib: Vec<(f64, f64)>,
    /// Syncs of 4 KiB a second, before everything and after it.
    pub(crate) syncs: [f64; 2],
}

/// Measures everything.
pub(crate) async fn run(options: &Options) -> Result<Results> {
    let echo = echo().await?;
    std::fs::create_dir_all(&options.dir)?;
    let mut results = Results {
        seconds: options.seconds(SECONDS),
        rounds: options.rounds(ROUNDS),
        slices: Vec::new(),
        ready_ms: Vec::new(),
        idle_mib: Vec::new(),
        after_mib: Vec::new(),
        guests: Vec::new(),
        limit_mib: Vec::new(),
        syncs: [syncs_a_second(&options.dir, SYNCS)?, 0.0],
    };
    for number in 0..options.rounds(ROUNDS) {
        round(options, number, &echo, &mut results).await.with_context(|| format!("round {}", number + 1))?;
    }
    results.syncs[1] = syncs_a_second(&options.dir, SYNCS)?;
    echo.stop().await?;
    Ok(results)
}

async fn round(options: &Options, number: usize, echo: &Server, results: &mut Results) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(&options.dir)?;
    let limit_noop = limit(&folder.path().join("noop.db"), None).await?;
    let limit_call = limit(&folder.path().join("call.db"), Some(echo.address)).await?;
    let product = Product::new(folder.path().join("service"))?;
    // The first start fills the compile cache, the second is measured.
    let (server, _) = product.start().await?;
    product.set_up(&server, &options.fixtures, echo.address).await?;
    server.stop().await?;
    let (server, ready) = product.start().await?;
    results.ready_ms.push(ready.as_secs_f64() * 1e3);
    // What still happens behind the start is over by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    results.idle_mib.push(server.memory_mib()?);
    let limit_idle_mib = limit_call.memory_mib()?;

    let length = Duration::from_secs(options.seconds(SECONDS));
    for connections in CONNECTIONS {
        for work in in_turns(number, Work::ALL.to_vec()) {
            let (loaded, asked) = match work.action() {
                Some(action) => (&server, product.execute(action)),
                None if work == Work::LimitCall => (&limit_call, plain()),
                None => (&limit_noop, plain()),
            };
            let slice = slice(loaded, asked, Good::Succeeded, connections, length)
                .await
                .with_context(|| format!("{work:?} over {connections} connections"))?;
            eprintln!(
                "round {} {work:?} {connections}: {:.0}/s, p99 {:.2} ms, {:.1} µs CPU",
                number + 1,
                slice.rate,
                slice.p99_ms,
                slice.cpu_us
            );
            results.slices.push((work, connections, slice));
        }
    }
    results.after_mib.push(server.memory_mib()?);
    results.guests.push(Guests::measure(&product, &server).await.context("guests that compute")?);
    results.limit_mib.push((limit_idle_mib, limit_call.memory_mib()?));
    server.stop().await?;
    limit_noop.stop().await?;
    limit_call.stop().await
}

/// What the limit program is asked.
pub(crate) fn plain() -> Vec<u8> {
    request("POST", "/execute", &[("content-type", "application/json")], INPUT)
}

/// The limit program that answers when the rows of an execution that waits are durable.
pub(crate) async fn limit_that_enqueues(db: &Path) -> Result<Server> {
    let mut command = myself()?;
    command.arg("limit").arg("--enqueue").arg("--db").arg(db);
    Server::start(command, "listening on http://").await.context("the limit program")
}

async fn limit(db: &Path, remote: Option<SocketAddr>) -> Result<Server> {
    let mut command = myself()?;
    command.arg("limit").arg("--db").arg(db);
    if let Some(remote) = remote {
        command.arg("--remote").arg(remote.to_string());
    }
    Server::start(command, "listening on http://").await.context("the limit program")
}

/// The remote of the HTTP calls.
pub(crate) async fn echo() -> Result<Server> {
    let mut command = myself()?;
    command.arg("echo");
    Server::start(command, "listening on http://").await.context("the echo server")
}

/// This program, for a part of it that is a process of its own.
fn myself() -> Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}

/// How often the disk takes 4 KiB for good in a second, one after another into space that the
/// file has already.
pub(crate) fn syncs_a_second(folder: &Path, length: Duration) -> Result<f64> {
    const BLOCK: [u8; 4096] = [7; 4096];
    const BLOCKS: u64 = 256;
    let scratch = tempfile::NamedTempFile::new_in(folder)?;
    let file: &File = scratch.as_file();
    for block in 0..BLOCKS {
        file.write_all_at(&BLOCK, block * 4096)?;
    }
    file.sync_all()?;
    let (begun, mut count) = (Instant::now(), 0_u64);
    while begun.elapsed() < length {
        file.write_all_at(&BLOCK, count % BLOCKS * 4096)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
