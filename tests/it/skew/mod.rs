//! Machines whose clocks are wrong: nobody takes over what another still runs, and the times in
//! the log are everybody's.

use crate::kit::{Remote, Service, service::Options};
use action_testkit::postgres::Server;
use reqwest::Method;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// Far more than a lease lasts.
const HOUR: i64 = 3600;

/// Builds the library that shows another time.
fn wrong_clock(folder: &Path) -> PathBuf {
    let library = folder.join("wrong.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/skew/wrong.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    assert!(built.unwrap().success());
    library
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_takes_no_attempt_from_a_worker_that_lives_and_gives_none_away() {
    let tools = TempDir::new().unwrap();
    let library = wrong_clock(tools.path());
    let database = tokio::task::spawn_blocking(|| Server::shared().database()).await.unwrap();
    let options = |role, seconds: i64| {
        Options { role, ..Options::default() }
            .with("ACTION_SERVICE_DATABASE_URL", database.url.clone())
            .with("LD_PRELOAD", library.clone())
            .with("WRONG_SECONDS", seconds.to_string())
    };
    let front = Service::start_with(options("api", 0)).await;
    let api = &front.private;
    // Whoever takes over looks for what to take over before it says that it is ready.
    for (of_the_one, of_the_other) in [(0, HOUR), (-HOUR, 0), (HOUR, -HOUR)] {
        let remote = Remote::start().await;
        let name = format!("hold{of_the_one}and{of_the_other}").replace('-', "behind");
        api.action(&name, "http", json!({"url": remote.url("/hold"), "method": "GET"})).await.json(201);
        let one = Service::start_with(options("worker", of_the_one)).await;
        let call = api.request(Method::POST, &format!("/v1/actions/{name}/execute"));
        let call = api.send(call.header("prefer", "respond-async").json(&json!(1))).await.json(202);
        remote.asked(1).await;
        let other = Service::start_with(options("worker", of_the_other)).await;
        remote.release(2);
        let ended = api.ended(call["id"].as_str().unwrap()).await;
        assert_eq!((ended["status"].as_str(), ended["attempts"].as_u64()), (Some("succeeded"), Some(1)), "{ended}");
        assert_eq!(remote.requests().len(), 1);
        let times = ["created_at", "started_at", "ended_at"].map(|time| ended[time].as_str().unwrap().to_owned());
        assert!(times.is_sorted(), "{times:?}");
        for worker in [one, other] {
            assert_eq!(worker.stop().await.0.code(), Some(0));
        }
    }
}
