//! What components cost by themselves, and what others notice of those that compute.

use crate::{
    http::{Connection, request},
    load::{Good, slice},
    process::Server,
    product::Product,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Receipts that are looked at.
const RECEIPTS: usize = 300;
/// Endless loops beside which the API is asked.
const CROWD: usize = 100;
/// Answers that are timed beside them.
const ANSWERS: usize = 50;
/// Computing guests beside which a quiet action has to go on.
const NOISY: usize = 4;
/// How long each loop may run: longer than what is measured beside them takes.
const LOOP_TIMEOUT_MS: u64 = 10_000;

/// What was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guests {
    /// What the sandbox adds to a no-op: from a fresh store and instance over `validate-config` and
    /// `execute` to everything given back, by its receipts. A no-op never waits, so it is CPU time.
    pub(crate) sandbox_us: f64,
    /// The slowest answer of the API beside a hundred endless loops.
    pub(crate) slowest_ms: f64,
    /// Executions a second of a quiet action beside four endless loops, to its rate alone.
    pub(crate) quiet_share: f64,
}

impl Guests {
    /// Measures it all. The loops are left running: what else is measured comes before.
    pub(crate) async fn measure(product: &Product, server: &Server) -> Result<Self> {
        let sandbox_us = sandbox_us(product, server).await?;
        let length = Duration::from_secs(1);
        let quiet = || slice(server, product.execute("noop"), Good::Succeeded, 1, length);
        let alone = quiet().await?;
        product.add_loop(server, LOOP_TIMEOUT_MS).await?;
        begin_loops(product, server, NOISY).await?;
        let beside = quiet().await?;
        begin_loops(product, server, CROWD - NOISY).await?;
        let slowest_ms = slowest_ms(product, server).await?;
        Ok(Self { sandbox_us, slowest_ms, quiet_share: beside.rate / alone.rate })
    }
}

async fn sandbox_us(product: &Product, server: &Server) -> Result<f64> {
    let mut connection = Connection::open(server.address).await?;
    let asked = product.execute("noop");
    let mut costs = Vec::with_capacity(RECEIPTS);
    for _ in 0..RECEIPTS {
        let execution: Value = serde_json::from_slice(&connection.exchange(&asked).await?.body)?;
        let cost = execution["receipt"]["wall_us"].as_f64();
        costs.push(cost.with_context(|| format!("no receipt: {execution}"))?);
    }
    costs.sort_unstable_by(f64::total_cmp);
    Ok(costs[RECEIPTS / 2])
}

async fn begin_loops(product: &Product, server: &Server, count: usize) -> Result<()> {
    let mut connection = Connection::open(server.address).await?;
    let asked = product.begin("loop");
    for _ in 0..count {
        let reply = connection.exchange(&asked).await?;
        ensure!(reply.status == 202, "a loop was answered with {}", reply.status);
    }
    Ok(())
}

async fn slowest_ms(product: &Product, server: &Server) -> Result<f64> {
    let bearer = product.bearer();
    let asked = request("GET", "/v1/actions", &[("authorization", bearer)], b"");
    let mut slowest = Duration::ZERO;
    for _ in 0..ANSWERS {
        let begun = Instant::now();
        let reply = Connection::open(server.address).await?.exchange(&asked).await?;
        ensure!(reply.status == 200, "the list was answered with {}", reply.status);
        slowest = slowest.max(begun.elapsed());
    }
    Ok(slowest.as_secs_f64() * 1e3)
}
