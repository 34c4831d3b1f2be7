//! The two ways through the house, end to end.

use crate::kit::{Remote, Service, components, fixture};
use reqwest::Method;
use serde_json::{Value, json};

/// An action of the built-in `http` protocol that posts its input to `url`.
fn post_to(name: &str, url: &str) -> Value {
    json!({
        "name": name, "protocol": "http", "config": {"url": url, "method": "POST"},
        "grants": {"private_networks": true},
        "delivery": {"backoff": {"initial_ms": 10, "max_ms": 50}}
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_of_the_built_in_protocol_reaches_a_real_server_and_every_step_is_an_event() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    let protocols = api.get("/v1/protocols").await.json(200);
    // Nobody has named it yet.
    assert!(protocols["missing"].as_array().unwrap().iter().any(|protocol| protocol["name"] == "http"), "{protocols}");

    let tested = api
        .post(
            "/v1/protocols/http/0.1.0/test-connection",
            &json!({
                "config": {"url": remote.url("/json"), "method": "POST"}, "grants": {"private_networks": true}
            }),
        )
        .await
        .json(200);
    assert_eq!(tested["verdict"], "connected", "{tested}");
    let stages: Vec<&str> = tested["stages"].as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap()).collect();
    assert!(stages.contains(&"connect") && stages.contains(&"protocol"), "{tested}");

    let created = api.post("/v1/actions", &post_to("notify", &remote.url("/echo"))).await;
    let action = created.json(201);
    assert_eq!(created.header("etag"), "\"1\"");
    let request = api.request(Method::POST, "/v1/actions/notify/execute").header("x-correlation-id", "corr-1");
    let ended = api.send(request.json(&json!({"order": 4711}))).await;
    let execution = ended.json(200);
    assert_eq!(execution["status"], "succeeded", "{execution}");
    assert_eq!(execution["correlation_id"], "corr-1");
    assert_eq!(execution["action"], action["id"]);
    assert_eq!(execution["output"]["body"], json!({"order": 4711}), "{execution}");
    let receipt = &execution["receipt"];
    for counted in ["fuel", "memory_bytes", "wall_us", "guest_us", "requests", "bytes_out", "bytes_in"] {
        assert!(receipt[counted].as_u64().unwrap() > 0, "{counted} in {receipt}");
    }

    let id = execution["id"].as_str().unwrap();
    let events = api.events(id).await;
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["trigger_received", "attempt_started", "attempt_sending", "request_made", "action_executed"]);
    assert!(events.iter().all(|event| event["correlation_id"] == "corr-1" && event["execution"] == id));
    let positions: Vec<i64> = events.iter().map(|event| event["position"].as_i64().unwrap()).collect();
    assert!(positions.is_sorted());
    assert_eq!(events[4]["data"]["success"], true);

    let asked = remote.requests();
    let post = asked.iter().find(|request| request.method() == "POST").unwrap();
    assert_eq!(post.headers()["idempotency-key"], id);
    assert_eq!(post.headers()["host"], remote.address.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_to_wait_and_a_failing_remote_is_tried_again() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    remote.fail(2);
    api.post("/v1/actions", &post_to("flaky", &remote.url("/flaky"))).await.json(201);
    let request = api.request(Method::POST, "/v1/actions/flaky/execute").header("prefer", "respond-async");
    let answer = api.send(request.body("plain text")).await;
    let queued = answer.json(202);
    let id = queued["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/executions/{id}"));
    let execution = api.ended(id).await;
    assert_eq!((&execution["status"], &execution["attempts"]), (&json!("succeeded"), &json!(3)), "{execution}");
    let types = api.event_types(id).await;
    let of = |wanted: &str| types.iter().filter(|t| *t == wanted).count();
    assert_eq!(
        (of("execution_queued"), of("attempt_started"), of("attempt_failed"), of("action_executed")),
        (1, 3, 2, 1)
    );
    assert_eq!(types.last().unwrap(), "action_executed");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_limited() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    let mut action = post_to("hopeless", &remote.url("/status/503"));
    action["delivery"]["max_attempts"] = json!(3);
    api.post("/v1/actions", &action).await.json(201);
    let execution = api.execute("hopeless", &json!({})).await.json(200);
    assert_eq!((&execution["status"], &execution["attempts"]), (&json!("failed"), &json!(3)), "{execution}");
    assert_eq!(execution["error"]["code"], "protocol_failed");
    assert_eq!(remote.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_media_type_goes_in_and_comes_out() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("noop")).await.json(201);
    api.action("echo", "noop", json!({})).await.json(201);
    for (kind, body) in [
        ("application/json", br#"{"a":[1,2.50,null]}"#.to_vec()),
        ("application/octet-stream", (0..=255).collect::<Vec<u8>>()),
        ("text/plain", b"caf\xc3\xa9".to_vec()),
        ("application/json", format!("\"{}\"", "x".repeat(100_000)).into_bytes()),
        ("image/png", vec![7; 1_000_000]),
    ] {
        let request = api.request(Method::POST, "/v1/actions/echo/execute").header("content-type", kind);
        let execution = api.send(request.body(body.clone())).await.json(200);
        assert_eq!(execution["status"], "succeeded", "{execution}");
        let output = api.get(&format!("/v1/executions/{}/output", execution["id"].as_str().unwrap())).await;
        assert_eq!(output.body, body);
        assert_eq!(output.header("content-type"), kind);
    }
    let broken = api.request(Method::POST, "/v1/actions/echo/execute").header("content-type", "application/json");
    api.send(broken.body("{\"a\":")).await.problem(400, "malformed_json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_everything_and_ends_what_was_begun() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    api.upload(fixture("misbehave")).await.json(201);
    let config = json!({"mode": "post", "url": remote.url("/silence"), "effect": "idempotent"});
    api.action("hang", "misbehave", config).await.json(201);
    api.upload(fixture("noop")).await.json(201);
    api.action("echo", "noop", json!({})).await.json(201);
    let done = api.execute("echo", &json!({"kept": true})).await.json(200);
    let request = api.request(Method::POST, "/v1/actions/hang/execute").header("prefer", "respond-async");
    let hanging = api.send(request.json(&json!(1))).await.json(202)["id"].as_str().unwrap().to_owned();
    remote.asked(1).await;

    let service = Service::start_with(service.kill().await).await;
    let api = &service.private;
    let kept = api.get(&format!("/v1/executions/{}", done["id"].as_str().unwrap())).await.json(200);
    assert_eq!(kept, done);
    assert_eq!(api.get("/v1/actions/hang").await.json(200)["revision"], 1);
    // What was running is lost, said so, and tried again.
    remote.asked(2).await;
    let types = api.event_types(&hanging).await;
    assert!(types.contains(&"attempt_abandoned".to_owned()), "{types:?}");
    assert_eq!(types.iter().filter(|t| *t == "attempt_failed").count(), 1, "{types:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_listener_executes_and_shows_and_does_nothing_else() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("noop")).await.json(201);
    api.action("echo", "noop", json!({})).await.json(201);
    let execution = service.public.execute("echo", &json!(1)).await.json(200);
    let id = execution["id"].as_str().unwrap();
    service.public.get(&format!("/v1/executions/{id}")).await.json(200);
    for path in ["/v1/actions", "/v1/protocols", "/v1/events", "/openapi.json"] {
        service.public.get(path).await.problem(404, "route_not_found");
    }
    let anonymous = service.public.bare(Method::POST, "/v1/actions/echo/execute").json(&json!(1));
    service.public.send(anonymous).await.problem(401, "token_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_component_is_the_one_that_was_built() {
    let service = Service::start().await;
    let component = service.private.get("/v1/protocols/http/0.1.0/component").await;
    assert_eq!(component.header("content-type"), "application/wasm");
    assert_eq!(component.body, components::protocol("http"));
}
