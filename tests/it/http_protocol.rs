//! The `http` protocol against a real server: what it sends, and what it makes of answers.

use crate::kit::{Remote, Service};
use serde_json::{Value, json};

struct World {
    service: Service,
    remote: Remote,
}

impl World {
    async fn new() -> Self {
        Self { service: Service::start().await, remote: Remote::start().await }
    }

    /// An execution of `http` with this config, tried once.
    async fn run(&self, name: &str, config: Value, input: &Value) -> Value {
        let action = json!({
            "name": name, "protocol": "http", "config": config,
            "grants": {"private_networks": true}, "delivery": {"max_attempts": 1}
        });
        self.service.private.post("/v1/actions", &action).await.json(201);
        self.service.private.execute(name, input).await.json(200)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn url_query_headers_and_body_are_made_of_the_input() {
    let world = World::new().await;
    let config = json!({
        "url": world.remote.url("/orders/{{ order.id }}"), "method": "PUT",
        "query": {"q": "{{ order.name }}"},
        "headers": {"X-Order": "{{ order.id }}"},
        "auth": {"basic": {"username": "ada", "password": "pass"}},
        "body": {"json": {"items": "{{ order.items }}", "text": "n={{ order.id }}"}}
    });
    let input = json!({"order": {"id": "A 7/../x", "name": "a&b=c", "items": [1, 2]}});
    let execution = world.run("templated", config, &input).await;
    assert_eq!(execution["status"], "succeeded", "{execution}");
    let asked = &world.remote.requests()[0];
    assert_eq!(asked.method(), "PUT");
    assert_eq!(asked.uri().path(), "/orders/A%207%2F..%2Fx");
    assert_eq!(asked.uri().query(), Some("q=a%26b%3Dc"));
    assert_eq!(asked.headers()["x-order"], "A 7/../x");
    assert_eq!(asked.headers()["authorization"], "Basic YWRhOnBhc3M=");
    let body: Value = serde_json::from_slice(asked.body()).unwrap();
    assert_eq!(body, json!({"items": [1, 2], "text": "n=A 7/../x"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_filled_in_is_invalid_input_and_sends_nothing() {
    let world = World::new().await;
    let config = json!({"url": world.remote.url("/{{ missing }}"), "method": "GET"});
    let execution = world.run("missing", config, &json!({})).await;
    assert_eq!(execution["error"]["failure"]["kind"], "invalid_input", "{execution}");
    assert!(execution["error"]["message"].as_str().unwrap().contains("missing"), "{execution}");
    let config = json!({"url": world.remote.url("/"), "headers": {"X": "{{ x }}"}});
    let execution = world.run("injected", config, &json!({"x": "a\r\nEvil: 1"})).await;
    assert_eq!(execution["error"]["failure"]["kind"], "invalid_input", "{execution}");
    assert!(world.remote.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_become_failures_with_advice() {
    let world = World::new().await;
    for (status, kind, advice) in [
        (401, "unauthenticated", json!("give_up")),
        (404, "rejected", json!("give_up")),
        (500, "unavailable", json!("retry")),
        (503, "unavailable", json!("retry")),
    ] {
        let config = json!({"url": world.remote.url(&format!("/status/{status}")), "method": "GET"});
        let execution = world.run(&format!("s-{status}"), config, &json!({})).await;
        let failure = &execution["error"]["failure"];
        assert_eq!((&failure["kind"], &failure["advice"]), (&json!(kind), &advice), "{execution}");
    }
    let config = json!({"url": world.remote.url("/retry-after/120"), "method": "GET"});
    let execution = world.run("limited", config, &json!({})).await;
    assert_eq!(execution["error"]["failure"]["kind"], "rate_limited", "{execution}");
    assert_eq!(execution["error"]["failure"]["advice"], json!({"retry_after_ms": 120_000}), "{execution}");
    let config = json!({"url": world.remote.url("/status/404"), "method": "GET", "expect": [404]});
    assert_eq!(world.run("expected", config, &json!({})).await["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_only_to_granted_hosts() {
    let world = World::new().await;
    let other = Remote::start().await;
    let here = world.remote.url(&format!("/redirect?{}", world.remote.url("/json")));
    let execution = world.run("here", json!({"url": here, "method": "GET"}), &json!({})).await;
    assert_eq!(execution["output"]["body"]["path"], "/json", "{execution}");
    let away = world.remote.url(&format!("/redirect?{}", other.url("/json")));
    let execution = world.run("away", json!({"url": away, "method": "GET"}), &json!({})).await;
    assert_eq!(execution["status"], "failed", "{execution}");
    assert_eq!(execution["error"]["code"], "egress_denied", "{execution}");
    assert!(other.requests().is_empty());
    let config = json!({"url": away, "method": "GET", "redirect_urls": [other.url("/")]});
    assert_eq!(world.run("named", config, &json!({})).await["status"], "succeeded");
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_bodies_come_through_whole() {
    let world = World::new().await;
    let config = json!({"url": world.remote.url("/bytes/1000000"), "method": "GET", "output": "body"});
    let execution = world.run("binary", config, &json!({})).await;
    assert_eq!(execution["status"], "succeeded", "{execution}");
    let output =
        world.service.private.get(&format!("/v1/executions/{}/output", execution["id"].as_str().unwrap())).await;
    assert_eq!((output.body.len(), output.header("content-type")), (1_000_000, "application/octet-stream"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_goes_along() {
    let world = World::new().await;
    let config = json!({"url": world.remote.url("/"), "method": "POST"});
    world.run("traced", config, &json!({})).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let api = &world.service.private;
    let request = api.request(reqwest::Method::POST, "/v1/actions/traced/execute").header("traceparent", trace);
    api.send(request.json(&json!({}))).await.json(200);
    let sent = world.remote.requests()[1].headers()["traceparent"].to_str().unwrap().to_owned();
    assert!(sent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_in_a_config_has_its_place() {
    let world = World::new().await;
    let config = json!({"url": "https://{{ host }}/", "method": "GET", "expect": ["9xx"], "colour": 1});
    let answer = world.service.private.action("wrong", "http", config).await;
    let errors = answer.problem(422, "invalid_document");
    assert!(errors.iter().any(|error| error.starts_with("/config")), "{errors:?}");
    let config = json!({"url": "https://{{ host }}/", "method": "GET"});
    let answer = world.service.private.action("wrong", "http", config).await;
    let errors = answer.problem(422, "invalid_document");
    assert!(errors.iter().any(|error| error.starts_with("/config/url")), "{errors:?}");
}
