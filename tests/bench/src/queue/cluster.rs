//! The queue of `api` and `worker` processes on Postgres, with and without NATS.
//!
//! Servers of its own are started for it, with their default settings and in temporary folders.

use super::{Backend, CONNECTIONS, Level, Plan, Results, What, absolute, history, log, raw_postgres::Raw};
use crate::{
    load::{Good, send, slice},
    process::Server,
    product::Product,
    turns::in_turns,
};
use action_testkit::{nats::NatsServer, postgres};
use anyhow::{Context as _, Result};
use std::path::PathBuf;

/// Worker processes that are measured where nothing waits, and where much does.
pub(super) const WORKERS: [usize; 3] = [1, 2, 4];
pub(super) const WORKERS_MUCH: [usize; 1] = [2];

/// A database, and what runs on it. The processes go before what they use.
struct Cluster {
    level: Level,
    api: Option<Server>,
    product: Product,
    folder: PathBuf,
    _broker: Option<NatsServer>,
    database: postgres::Database,
}

pub(super) async fn run(plan: &Plan<'_>, backend: Backend, results: &mut Results) -> Result<()> {
    let folder = plan.folder()?;
    let mut all = Vec::new();
    for (number, level) in plan.levels.iter().enumerate() {
        let mut cluster = Cluster::new(backend, *level, absolute(&folder, &number.to_string())?)?;
        cluster.prepare(plan).await.with_context(|| format!("{level:?}"))?;
        all.push(cluster);
    }
    // On the server where nothing is stored.
    let raw = Raw::new(&all[0].database.url).await.context("the bare tables")?;
    for number in 0..results.rounds {
        for cluster in in_turns(number, all.iter_mut().collect()) {
            results.look_at_disk(&std::env::temp_dir())?;
            cluster.measure(plan, backend, &raw, results).await.with_context(|| format!("{:?}", cluster.level))?;
        }
    }
    for api in all.iter_mut().filter_map(|cluster| cluster.api.take()) {
        api.stop().await?;
    }
    Ok(())
}

impl Cluster {
    fn new(backend: Backend, level: Level, folder: PathBuf) -> Result<Self> {
        // Four workers and an api have more connections than Postgres allows by default.
        let database = postgres::Server::private(&[("max_connections", "300")]).database();
        let broker = (backend == Backend::Nats).then(NatsServer::start);
        let mut product = Product::new(folder.clone())?
            .part("api", folder.join("api"))
            .with("ACTION_SERVICE_DATABASE_URL", &database.url);
        if let Some(broker) = &broker {
            product = product.with("ACTION_SERVICE_QUEUE_URL", broker.url());
        }
        std::fs::create_dir_all(&folder)?;
        Ok(Self { level, api: None, product, folder, _broker: broker, database })
    }

    /// Makes the action, and fills the database.
    async fn prepare(&mut self, plan: &Plan<'_>) -> Result<()> {
        let (api, _) = self.product.start().await?;
        plan.add_noop(&self.product, &api).await?;
        // Each worker has compiled it once before it is measured.
        for number in 0..WORKERS[WORKERS.len() - 1] {
            let worker = self.start_worker(number).await?;
            send(&api, self.product.begin("noop"), Good::Accepted, 1, 10).await?;
            log::empty(&self.product, &api).await?;
            worker.stop().await?;
        }
        self.api = match self.level {
            Level::Empty => Some(api),
            Level::Stored(events) => {
                api.stop().await?;
                history::postgres(&self.database.url, events).await?;
                Some(self.product.start().await?.0)
            }
            Level::Waiting(executions) => {
                send(&api, self.product.begin("noop"), Good::Accepted, CONNECTIONS, executions).await?;
                Some(api)
            }
        };
        history::settle(&self.database.admin_url).await
    }

    async fn measure(&self, plan: &Plan<'_>, backend: Backend, raw: &Raw, results: &mut Results) -> Result<()> {
        let (product, level) = (&self.product, self.level);
        let api = self.api.as_ref().context("it was prepared")?;
        let counts: &[usize] = if level == Level::Empty { &WORKERS } else { &WORKERS_MUCH };
        for count in counts {
            // What is compared is measured side by side.
            if level == Level::Empty {
                if *count == counts[0] {
                    results.add(backend, level, What::RawEnqueue, raw.enqueue(plan.length).await?);
                }
                results.add(backend, level, What::RawDrain(*count), raw.drain(*count, plan.length).await?);
            }
            let enqueue = slice(api, product.begin("noop"), Good::Accepted, CONNECTIONS, plan.length).await?;
            // In a round one figure of each kind.
            if *count == counts[0] {
                results.enqueued(backend, level, enqueue);
            }
            let position = log::end(product, api).await?;
            let workers = self.start_workers(*count).await?;
            let begun_us = log::now_us();
            log::until_empty(product, api, plan.drain_max(level)).await?;
            results.add(backend, level, What::Drain(*count), log::drained(product, api, begun_us, position).await?);
            if level == Level::Empty && *count == counts[0] {
                let beside = slice(api, product.begin("noop"), Good::Accepted, CONNECTIONS, plan.length).await?;
                results.add(backend, level, What::EnqueueBeside, beside.rate);
                log::empty(product, api).await?;
                let latencies = log::to_start_ms(product, api).await?;
                results.add_all(backend, What::ToStart, &latencies);
            }
            for worker in workers {
                worker.stop().await?;
            }
        }
        Ok(())
    }

    async fn start_workers(&self, count: usize) -> Result<Vec<Server>> {
        let mut workers = Vec::new();
        for number in 0..count {
            workers.push(self.start_worker(number).await?);
        }
        Ok(workers)
    }

    async fn start_worker(&self, number: usize) -> Result<Server> {
        let worker = self.product.part("worker", self.folder.join(format!("worker-{number}")));
        Ok(worker.start().await.context("a worker")?.0)
    }
}
