//! The conformance suite on Postgres, and the same random work on Postgres and in memory.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

use action_store_memory::MemoryStore;
use action_store_postgres::{PostgresOptions, PostgresStore};
use action_testkit::{conformance::Subject, differential, postgres::Server};
use std::sync::Arc;

async fn make() -> Subject {
    let database = Server::shared().database();
    let store = PostgresStore::open(&database.url, PostgresOptions::default()).await.unwrap();
    Subject { store: Arc::new(store), keep: Box::new(database) }
}

action_testkit::conformance_suite!(make);

/// `DIFFERENTIAL_SEED` repeats a run that failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_work_leaves_the_same_as_in_memory() {
    let given = std::env::var("DIFFERENTIAL_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos() as u16;
    let seeds = given.map_or_else(|| vec![1, 2, now], |seed| vec![seed]);
    for seed in seeds {
        println!("DIFFERENTIAL_SEED={seed}");
        let postgres = make().await;
        differential::run(Arc::new(MemoryStore::new()), Arc::clone(&postgres.store), seed, 400).await;
    }
}
