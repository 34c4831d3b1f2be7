//! The gate: nothing is reached that was not granted, and a denial says what to change.

use crate::kit::{PATIENCE, Remote, Service, client::Client, fixture, service::Options};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

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

/// A server that counts who comes, and turns everybody away.
async fn doorkeeper() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = stream.shutdown().await;
        }
    });
    (address, count)
}

/// Asserts that an execution ended because the gate denied it, once, and before anything was made.
/// Gives the rule.
async fn denied(api: &Client, execution: &Value) -> String {
    assert_eq!(execution["error"]["code"], "egress_denied", "{execution}");
    let events = api.events(execution["id"].as_str().unwrap()).await;
    let denials: Vec<&Value> = events.iter().filter(|event| event["type"] == "egress_denied").collect();
    assert_eq!(denials.len(), 1, "{events:?}");
    assert!(!denials[0]["data"]["hint"].as_str().unwrap().is_empty(), "{events:?}");
    assert!(!events.iter().any(|event| event["type"] == "request_made"), "{events:?}");
    denials[0]["data"]["rule"].as_str().unwrap().to_owned()
}

/// Makes an action of `misbehave` and executes it once.
async fn execute(api: &Client, config: Value, grants: Value) -> Value {
    let (name, known) = ("gate", api.get("/v1/actions/gate").await.status.is_success());
    if known {
        assert!(api.delete("/v1/actions/gate").await.status.is_success());
    }
    let action = json!({
        "name": name, "protocol": "misbehave", "config": config, "grants": grants, "delivery": {"max_attempts": 1}
    });
    api.post("/v1/actions", &action).await.json(201);
    api.execute(name, &json!({})).await.json(200)
}

/// Ways to write 127.0.0.1 that the gate reads as it.
const PLAIN: [&str; 8] =
    ["127.0.0.1", "2130706433", "017700000001", "0177.0.0.1", "0x7f000001", "0X7F.0.0.0x1", "127.1", "127.0.0.1."];
/// Names of it, and addresses that lead to it or to this host another way.
const OTHERWISE: [&str; 11] = [
    "localhost",
    "localhost.",
    "LOCALHOST",
    "LocalHost.",
    "0.0.0.0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
];

#[tokio::test(flavor = "multi_thread")]
async fn only_granted_hosts_and_ports_in_every_form() {
    let (service, remote, (other, arrived)) = (Service::start().await, Remote::start().await, doorkeeper().await);
    let api = &service.private;
    api.upload(fixture("misbehave")).await.json(201);
    let (granted, port) = (remote.address.port(), other.port());
    // A host at the wrong port, and another host at the right one.
    let grants = json!({
        "private_networks": true,
        "egress": [{"host": "127.0.0.1", "ports": [granted]}, {"host": "192.0.2.1", "ports": [port]}]
    });
    for host in PLAIN.iter().chain(&OTHERWISE) {
        for config in [
            json!({"mode": "get", "effect": "read", "url": remote.url("/json"), "target": format!("http://{host}:{port}/")}),
            json!({"mode": "tcp", "address": remote.address.to_string(), "target": format!("{host}:{port}")}),
        ] {
            let execution = execute(api, config, grants.clone()).await;
            let rule = denied(api, &execution).await;
            assert!(rule.contains("no grant names it"), "{host}: {rule}");
        }
    }
    // What is granted is reached however its address is written, or the above would prove nothing;
    // what leads to it under another name is not.
    for (hosts, reached) in [(PLAIN.as_slice(), true), (&OTHERWISE, false)] {
        for host in hosts {
            let target = format!("HTTP://{host}:{granted}/json");
            let config = json!({"mode": "get", "effect": "read", "target": target});
            let execution = execute(api, config, grants.clone()).await;
            assert_eq!(execution["status"] == "succeeded", reached, "{host}: {execution}");
            if !reached {
                denied(api, &execution).await;
            }
        }
    }
    assert_eq!(remote.requests().len(), PLAIN.len());
    nobody_came(other, &arrived).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_host_on_loopback_is_private_in_every_form() {
    let (service, (other, arrived)) = (Service::start().await, doorkeeper().await);
    let api = &service.private;
    api.upload(fixture("misbehave")).await.json(201);
    for host in PLAIN.iter().chain(&OTHERWISE) {
        let url = format!("http://{host}:{}/", other.port());
        // The config grants the host; the action does not ask for private networks.
        let execution = execute(api, json!({"mode": "get", "effect": "read", "url": url}), json!({})).await;
        let rule = denied(api, &execution).await;
        assert!(rule.contains("does not ask for private networks"), "{host}: {rule}");
    }
    nobody_came(other, &arrived).await;
}

/// Connections are counted in their order, so once ours is, all before it were.
async fn nobody_came(address: SocketAddr, arrived: &AtomicUsize) {
    let mut ours = TcpStream::connect(address).await.unwrap();
    timeout(PATIENCE, ours.read(&mut [0])).await.expect("we are turned away").unwrap();
    assert_eq!(arrived.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_that_grants_nothing_and_a_port_that_is_none_are_refused() {
    let service = Service::start().await;
    let api = &service.private;
    let errors = api.upload(fixture("lying-descriptor")).await.problem(422, "component_refused");
    let place = "/config_schema/patternProperties/_url$/x-egress egress_grants_nothing";
    assert!(errors.iter().any(|error| error == place), "{errors:?}");
    api.upload(fixture("noop")).await.json(201);
    let grants = json!({"egress": [{"host": "127.0.0.1", "ports": [0]}]});
    let action = json!({"name": "zero", "protocol": "noop", "config": {}, "grants": grants});
    let errors = api.post("/v1/actions", &action).await.problem(422, "invalid_document");
    assert_eq!(errors, ["/grants/egress/0/ports/0 invalid_port"]);
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
