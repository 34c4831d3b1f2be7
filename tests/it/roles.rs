//! The service in parts: what one process keeps, another runs.

use crate::kit::{Remote, Service, fixture, service::Options};
use action_testkit::postgres::{Database, Server};
use reqwest::Method;
use serde_json::{Value, json};

async fn database() -> Database {
    tokio::task::spawn_blocking(|| Server::shared().database()).await.unwrap()
}

fn options(database: &Database, role: &'static str) -> Options {
    Options { role, ..Options::default() }.with("ACTION_SERVICE_DATABASE_URL", database.url.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_takes_a_worker_runs_and_the_caller_hears_of_it() {
    let (database, remote) = (database().await, Remote::start().await);
    let front = Service::start_with(options(&database, "api")).await;
    let api = &front.private;
    api.upload(fixture("misbehave")).await.json(201);
    api.action("ask", "http", json!({"url": remote.url("/echo"), "method": "POST"})).await.json(201);
    let kept = api.request(Method::POST, "/v1/actions/ask/execute").header("prefer", "respond-async").json(&json!(1));
    let kept = api.send(kept).await.json(202);
    assert_eq!((kept["status"].as_str(), remote.requests().len()), (Some("queued"), 0));

    let worker = Service::start_with(options(&database, "worker")).await;
    assert_eq!(api.ended(kept["id"].as_str().unwrap()).await["status"], "succeeded");
    assert_eq!(api.execute("ask", &json!(2)).await.json(200)["status"], "succeeded", "its caller waits elsewhere");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(worker.private.bare(Method::GET, path).send().await.unwrap().status(), 200);
    }
    for path in ["/v1/actions", "/v1/events", "/docs"] {
        assert_eq!(worker.private.request(Method::GET, path).send().await.unwrap().status(), 404);
    }

    let endless = json!({"name": "endless", "protocol": "misbehave", "config": {"mode": "loop"},
        "limits": {"fuel": 1_000_000_000_000_u64, "timeout_ms": 600_000}});
    api.post("/v1/actions", &endless).await.json(201);
    let call = api.request(Method::POST, "/v1/actions/endless/execute").header("prefer", "wait=1").json(&json!(1));
    let running: Value = api.send(call).await.json(202);
    let id = running["id"].as_str().unwrap();
    while api.get(&format!("/v1/executions/{id}")).await.json(200)["status"] != "running" {}
    let cancelled = api.post(&format!("/v1/executions/{id}/cancel"), &json!({})).await;
    assert!(cancelled.status.is_success(), "{cancelled:?}");
    assert_eq!(api.ended(id).await["status"], "cancelled");
    for part in [worker, front] {
        assert_eq!(part.stop().await.0.code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_leaves_the_rest_to_another() {
    let (database, remote) = (database().await, Remote::start().await);
    let front = Service::start_with(options(&database, "api")).await;
    let grace = |options: Options| options.with("ACTION_SERVICE_SHUTDOWN_GRACE_MS", "1");
    let first = Service::start_with(grace(options(&database, "worker"))).await;
    let api = &front.private;
    api.action("slow", "http", json!({"url": remote.url("/hold"), "method": "GET"})).await.json(201);
    let call = api.request(Method::POST, "/v1/actions/slow/execute").header("prefer", "respond-async").json(&json!(1));
    let call = api.send(call).await.json(202);
    remote.asked(1).await;
    let second = Service::start_with(options(&database, "worker")).await;
    assert_eq!(first.stop().await.0.code(), Some(0));
    remote.release(2);
    let ended = api.ended(call["id"].as_str().unwrap()).await;
    assert_eq!((ended["status"].as_str(), ended["attempts"].as_u64()), (Some("succeeded"), Some(2)));
    drop(second);
}
