//! The gate: nothing is reached that was not granted, and a denial says what to change.

use crate::kit::{Remote, Service, fixture, service::Options};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_need_the_actions_word_and_the_operators() {
    let remote = Remote::start().await;
    let url = remote.url("/json");
    let closed = Service::start_with(Options::default().with("ACTION_SERVICE_EGRESS_PRIVATE", "deny")).await;
    let open = Service::start().await;
    for (service, asks, allowed) in [(&closed, true, false), (&open, false, false), (&open, true, true)] {
        let api = &service.private;
        api.upload(fixture("misbehave")).await;
        let name = format!("a-{asks}");
        let action = json!({
            "name": name, "protocol": "misbehave", "config": {"mode": "get", "url": url, "effect": "read"},
            "grants": {"private_networks": asks}, "delivery": {"max_attempts": 1}
        });
        api.post("/v1/actions", &action).await.json(201);
        let execution = api.execute(&name, &json!({})).await.json(200);
        assert_eq!(execution["status"] == "succeeded", allowed, "{execution}");
        if !allowed {
            assert_eq!(execution["error"]["code"], "egress_denied", "{execution}");
            let events = api.events(execution["id"].as_str().unwrap()).await;
            let denial = events.iter().find(|event| event["type"] == "egress_denied").unwrap();
            assert!(denial["data"]["rule"].as_str().unwrap().contains("loopback"), "{denial}");
            assert!(!denial["data"]["hint"].as_str().unwrap().is_empty());
            assert!(!events.iter().any(|event| event["type"] == "request_made"), "nothing was made: {events:?}");
        }
    }
    assert_eq!(remote.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_granted_hosts_and_ports_in_every_form() {
    let (service, remote, other) = (Service::start().await, Remote::start().await, Remote::start().await);
    let api = &service.private;
    api.upload(fixture("misbehave")).await.json(201);
    // `target` is not annotated in the schema: it grants nothing.
    for (index, granted) in [remote.url("/"), format!("http://localhost:{}/", remote.address.port())].iter().enumerate()
    {
        let name = format!("a-{index}");
        let config =
            json!({"mode": "tcp", "url": granted, "target": other.url("/"), "address": remote.address.to_string()});
        let action = api.action(&name, "misbehave", config).await.json(201);
        let egress = api.get(&format!("/v1/actions/{}/egress", action["id"].as_str().unwrap())).await.json(200);
        assert!(egress.to_string().contains(&remote.address.port().to_string()), "{egress}");
        assert!(!egress.to_string().contains(&other.address.port().to_string()), "{egress}");
    }
    assert!(other.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_contacts_nobody_is_hollow_and_one_that_would_change_something_is_denied() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    api.upload(fixture("hollow")).await.json(201);
    api.upload(fixture("unsafe-test")).await.json(201);
    let hollow = api.post("/v1/protocols/hollow/0.1.0/test-connection", &json!({"config": {}})).await.json(200);
    assert_eq!(hollow["verdict"], "hollow", "{hollow}");
    let body = json!({"config": {"url": remote.url("/")}, "grants": {"private_networks": true}});
    let unsafe_test = api.post("/v1/protocols/unsafe-test/0.1.0/test-connection", &body).await.json(200);
    assert_eq!(unsafe_test["verdict"], "failed", "{unsafe_test}");
    assert!(remote.requests().is_empty());
    let events = api.get("/v1/events?type=connection_tested").await.json(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_at_which_stage_it_failed() {
    let service = Service::start().await;
    let body = json!({"config": {"url": "http://127.0.0.1:9/", "method": "GET"}, "grants": {"private_networks": true}});
    let refused = service.private.post("/v1/protocols/http/0.1.0/test-connection", &body).await.json(200);
    assert_eq!(refused["verdict"], "failed", "{refused}");
    let stages = refused["stages"].as_array().unwrap();
    let failed = stages.iter().find(|stage| stage["ok"] == false).unwrap();
    assert_eq!(failed["stage"], "connect", "{refused}");
    assert!(stages.iter().all(|stage| stage["target"] == "127.0.0.1:9"), "{refused}");
    let told: Vec<_> = stages.iter().map(|stage| &stage["stage"]).collect();
    assert_eq!(told, ["grant", "connect", "protocol"], "{refused}");
    assert!(failed["hint"].is_string(), "{refused}");
    assert!(failed["ms"].is_u64());
}
