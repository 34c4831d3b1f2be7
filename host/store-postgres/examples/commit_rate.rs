//! How many units a second the writer carries. Not a test: run it in release mode on a quiet
//! machine, `cargo run --release -p action-store-postgres --example commit_rate [CALLERS] [SECONDS] [STORES] [URL]`.
//!
//! Without a URL it starts a Postgres of its own, which syncs as Postgres does. Two loads, each
//! from as many callers at once as `CALLERS` says: one that adds executions with two events, and
//! one that then ends them with one event, as a synchronous call does it. `STORES` processes (as
//! far as the database can see) share the work.

use action_domain::repositories::{Reader as _, Store};
use action_store_postgres::{PostgresOptions, PostgresStore};
use action_testkit::{
    commit_rate::{Failure, measure},
    postgres::Server,
};
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use std::{sync::Arc, time::Duration};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let callers = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let count: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let url = arguments.next();
    let own = url.is_none().then(|| Server::private(&[("shared_buffers", "256MB")]).database());
    let url = url.or_else(|| own.as_ref().map(|database| database.url.clone())).unwrap_or_default();
    let mut opened = Vec::new();
    for _ in 0..count.max(1) {
        opened.push(Arc::new(PostgresStore::open(&url, PostgresOptions::default()).await?));
    }
    let stores: Vec<Arc<dyn Store>> = opened.iter().map(|store| store.clone() as Arc<dyn Store>).collect();
    measure(&stores, callers, Duration::from_secs(seconds)).await?;
    let mut connection = url.parse::<PgConnectOptions>()?.connect().await?;
    let batches: i64 = sqlx::query_scalar("SELECT sum(batch)::bigint FROM writers").fetch_one(&mut connection).await?;
    println!("{} events in the log, {batches} commits", opened[0].last_position().await?);
    for store in opened {
        store.close().await;
    }
    Ok(())
}
