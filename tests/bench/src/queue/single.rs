//! The queue of the one process on SQLite.
//!
//! It accepts and runs in one process.

use super::{Backend::Sqlite, CONNECTIONS, Level, Plan, Results, What, absolute, history, log, raw_sqlite};
use crate::{
    held,
    load::{Good, send, slice},
    product::Product,
    rounds::{limit_that_enqueues, plain},
    turns::in_turns,
};
use anyhow::{Context as _, Result};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

/// A database, and the service on it.
struct Single {
    level: Level,
    data: PathBuf,
    product: Product,
}

pub(super) async fn run(plan: &Plan<'_>, results: &mut Results) -> Result<()> {
    let folder = plan.folder()?;
    let silent = held::silent()?;
    let mut all = Vec::new();
    for (number, level) in plan.levels.iter().enumerate() {
        let data = absolute(&folder, &format!("service-{number}"))?;
        let product = Product::new(data.clone())?.with("ACTION_SERVICE_SHUTDOWN_GRACE_MS", 200);
        let single = Single { level: *level, data, product };
        single.prepare(plan, &silent).await.with_context(|| format!("{level:?}"))?;
        all.push(single);
    }
    for number in 0..results.rounds {
        for single in in_turns(number, all.iter_mut().collect()) {
            results.look_at_disk(folder.path())?;
            if single.level == Level::Empty {
                // What is compared is measured side by side.
                let file = |name| folder.path().join(format!("{name}-{number}.db"));
                results.add(Sqlite, Level::Empty, What::RawEnqueue, limit(&file("enqueue"), plan).await?);
                let (path, length) = (file("drain"), plan.length);
                let drain = tokio::task::spawn_blocking(move || raw_sqlite::drain(&path, length)).await??;
                results.add(Sqlite, Level::Empty, What::RawDrain(1), drain);
            }
            single.measure(plan, results).await.with_context(|| format!("{:?}", single.level))?;
        }
    }
    Ok(())
}

/// The limit program: the same rows, over the same HTTP.
async fn limit(db: &Path, plan: &Plan<'_>) -> Result<f64> {
    let limit = limit_that_enqueues(db).await?;
    let slice = slice(&limit, plain(), Good::Accepted, CONNECTIONS, plan.length).await?;
    limit.stop().await?;
    Ok(slice.rate)
}

impl Single {
    /// Makes the actions, and fills the database.
    async fn prepare(&self, plan: &Plan<'_>, silent: &TcpListener) -> Result<()> {
        let product = &self.product;
        let (server, _) = product.start().await?;
        plan.add_noop(product, &server).await?;
        held::set_up(product, &server, &plan.options.fixtures, silent).await?;
        send(&server, product.begin("noop"), Good::Accepted, 1, 10).await?;
        log::empty(product, &server).await?;
        server.stop().await?;
        match self.level {
            Level::Empty => Ok(()),
            Level::Stored(events) => {
                let file = self.data.join("action-service.db");
                tokio::task::spawn_blocking(move || history::sqlite(&file, events)).await?
            }
            Level::Waiting(executions) => {
                let server = held::start(product).await?;
                send(&server, product.begin("noop"), Good::Accepted, CONNECTIONS, executions).await?;
                server.stop().await
            }
        }
    }

    async fn measure(&self, plan: &Plan<'_>, results: &mut Results) -> Result<()> {
        let (product, level) = (&self.product, self.level);
        let server = held::start(product).await?;
        let enqueue = slice(&server, product.begin("noop"), Good::Accepted, CONNECTIONS, plan.length).await?;
        results.enqueued(Sqlite, level, enqueue);
        let position = log::end(product, &server).await?;
        server.stop().await?;

        let (server, _) = product.start().await?;
        let begun_us = log::now_us();
        log::until_empty(product, &server, plan.drain_max(level)).await?;
        results.add(Sqlite, level, What::Drain(1), log::drained(product, &server, begun_us, position).await?);
        if level == Level::Empty {
            let beside = slice(&server, product.begin("noop"), Good::Accepted, CONNECTIONS, plan.length).await?;
            results.add(Sqlite, level, What::EnqueueBeside, beside.rate);
            log::empty(product, &server).await?;
            let latencies = log::to_start_ms(product, &server).await?;
            results.add_all(Sqlite, What::ToStart, &latencies);
        }
        server.stop().await
    }
}
