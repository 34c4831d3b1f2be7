//! How many units a second the writer carries. Not a test: run it in release mode on a quiet
//! machine, `cargo run --release -p action-store-sqlite --example commit_rate [CALLERS] [SECONDS] [FOLDER]`.
//!
//! Two loads, each from as many callers at once as `CALLERS` says: one that adds executions
//! with two events, and one that ends running executions with one event. Then both by turns, as
//! a synchronous call does it. On a machine that is not quiet the CPU time of the committing
//! thread says more than the rate: no more units than it has time for can be carried.

use action_domain::repositories::{Reader as _, Store};
use action_store_sqlite::SqliteStore;
use action_testkit::commit_rate::{Failure, measure};
use std::{sync::Arc, time::Duration};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let callers = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let folder = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(folder)?;
    let store = Arc::new(SqliteStore::open(&folder.path().join("rate.db")).await?);
    let stores: [Arc<dyn Store>; 1] = [store.clone()];
    measure(&stores, callers, Duration::from_secs(seconds)).await?;
    println!("{} events in the log", store.last_position().await?);
    store.close().await;
    Ok(())
}
