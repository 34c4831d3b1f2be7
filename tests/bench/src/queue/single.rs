//! The queue of the one process on SQLite.
//!
//! It accepts and runs in one process. So that accepting can be measured by itself, it is started
//! with room for one attempt, and that one calls somebody who never answers.

use super::{Backend::Sqlite, CONNECTIONS, Level, Plan, Results, What, absolute, history, in_turns, log, raw_sqlite};
use crate::{
    http::Connection,
    load::{Good, send, slice},
    process::Server,
    product::Product,
    rounds::myself,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The longest that an attempt may have: it ends with its process, when all has been enqueued.
const HOLD_MS: u64 = 900_000;
/// The attempt that takes the room has begun by then.
const HELD_WITHIN: Duration = Duration::from_secs(20);

/// A database, and the service on it.
struct Single {
    level: Level,
    data: PathBuf,
    product: Product,
}

pub(super) async fn run(plan: &Plan<'_>, results: &mut Results) -> Result<()> {
    let folder = plan.folder()?;
    // Connections are taken by the kernel, and nobody ever reads from them.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let mut all = Vec::new();
    for (number, level) in plan.levels.iter().enumerate() {
        let data = absolute(&folder, &format!("service-{number}"))?;
        let product = Product::new(data.clone())?.with("ACTION_SERVICE_SHUTDOWN_GRACE_MS", 200);
        let single = Single { level: *level, data, product };
        single.prepare(plan, &silent).await.with_context(|| format!("{level:?}"))?;
        all.push(single);
    }
    for number in 0..results.rounds {
        for single in in_turns(number, &mut all) {
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
    let mut command = myself()?;
    command.arg("limit").arg("--enqueue").arg("--db").arg(db);
    let limit = Server::start(command, "listening on http://").await.context("the limit program")?;
    let headers = [("content-type", "application/json")];
    let asked = crate::http::request("POST", "/execute", &headers, crate::product::INPUT);
    let slice = slice(&limit, asked, Good::Accepted, CONNECTIONS, plan.length).await?;
    limit.stop().await?;
    Ok(slice.rate)
}

impl Single {
    /// Makes the actions, and fills the database.
    async fn prepare(&self, plan: &Plan<'_>, silent: &TcpListener) -> Result<()> {
        let product = &self.product;
        let (server, _) = product.start().await?;
        plan.add_noop(product, &server).await?;
        product.upload(&server, &plan.options.fixtures, &["echo_http.wasm"]).await?;
        let hold = json!({
            "name": "hold", "protocol": "echo-http", "config": {"url": format!("http://{}/", silent.local_addr()?)},
            "grants": {"private_networks": true}, "limits": {"timeout_ms": HOLD_MS},
        });
        product.create(&server, &hold).await?;
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
                let server = self.start_held().await?;
                send(&server, product.begin("noop"), Good::Accepted, CONNECTIONS, executions).await?;
                server.stop().await
            }
        }
    }

    async fn measure(&self, plan: &Plan<'_>, results: &mut Results) -> Result<()> {
        let (product, level) = (&self.product, self.level);
        let server = self.start_held().await?;
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

    /// Starts it with room for one attempt, and has that taken.
    async fn start_held(&self) -> Result<Server> {
        let product = self.product.part("serve", self.data.clone()).with("ACTION_SERVICE_CONCURRENCY", 1);
        let (server, _) = product.start().await?;
        let there = async |status: &str| -> Result<bool> {
            let page = product.get(&server, &format!("/v1/executions?action=hold&status={status}&limit=1")).await?;
            Ok(page["items"].as_array().is_some_and(|items| !items.is_empty()))
        };
        let begun = Instant::now();
        while !there("running").await? {
            ensure!(begun.elapsed() < HELD_WITHIN, "the room for attempts cannot be taken");
            // What an earlier process gave back runs again.
            if !there("queued").await? && !there("waiting").await? {
                let reply = Connection::open(server.address).await?.exchange(&product.begin("hold")).await?;
                ensure!(reply.status == 202, "a trigger was answered with {}", reply.status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }
}
