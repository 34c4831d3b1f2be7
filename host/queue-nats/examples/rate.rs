//! How many executions a second the broker carries: published in calls of a hundred by several
//! tasks, then pulled and done by as many. `cargo run --release -p action-queue-nats --example rate
//! -- nats://localhost 100000 4`, on an empty stream.

use action_domain::{id::ExecutionId, services::Broker as _};
use action_queue_nats::{NatsBroker, NatsOptions};
use std::{
    env,
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "nats://localhost".to_owned());
    let total: u64 = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let tasks: u64 = arguments.next().map_or(Ok(4), |text| text.parse())?;
    let broker = Arc::new(NatsBroker::new(&url, NatsOptions::default())?);
    let share = total / tasks;
    // Not those of the last run, which would be duplicates.
    let run = std::time::UNIX_EPOCH.elapsed()?.as_millis() as u64;
    measure("published", share, tasks, async |task| {
        let ids: Vec<_> = (0..share)
            .map(|count| {
                (ExecutionId::from_uuid(Uuid::from_u64_pair(run << 16 | 0x7000, 0b10 << 62 | task << 40 | count)), 1)
            })
            .collect();
        for due in ids.chunks(100) {
            broker.publish(due).await?;
        }
        Ok(())
    })
    .await?;
    measure("pulled and done", share, tasks, async |_| {
        let mut done = 0;
        while done < share {
            for message in broker.pull(100, Duration::from_secs(1)).await? {
                message.done().await?;
                done += 1;
            }
        }
        Ok(())
    })
    .await
}

/// Does `work` in several tasks of one thread and says how fast.
async fn measure(
    what: &str,
    share: u64,
    tasks: u64,
    work: impl AsyncFn(u64) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    futures_util::future::try_join_all((0..tasks).map(|task| work(task))).await?;
    let rate = (share * tasks) as f64 / start.elapsed().as_secs_f64();
    println!("{what}: {rate:.0}/s");
    Ok(())
}
