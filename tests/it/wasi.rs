//! Components that use WASI itself pass the same gate.

use crate::kit::{Remote, Service, fixture};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn wasi_http_and_wasi_sockets_reach_granted_hosts() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    let http = api.run("wasi-http", json!({"url": remote.url("/json")}), &json!({})).await;
    assert_eq!(http["status"], "succeeded", "{http}");
    let host = &remote.requests()[0];
    assert_eq!(host.headers()["host"], remote.address.to_string());
    let request = "GET /json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    api.upload(fixture("wasi-sockets")).await.json(201);
    api.action("sockets", "wasi-sockets", json!({"address": remote.address.to_string()})).await.json(201);
    let sent = api.request(reqwest::Method::POST, "/v1/actions/sockets/execute").header("content-type", "text/plain");
    let sockets = api.send(sent.body(request)).await.json(200);
    assert_eq!(sockets["status"], "succeeded", "{sockets}");
    assert_eq!(remote.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn and_nothing_else() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    for (protocol, config) in [
        ("wasi-http", json!({"url": remote.url("/json")})),
        ("wasi-sockets", json!({"address": remote.address.to_string()})),
    ] {
        api.upload(fixture(protocol)).await.json(201);
        // Named by the config, but private networks are not asked for.
        let action = json!({"name": protocol, "protocol": protocol, "config": config, "delivery": {"max_attempts": 1}});
        api.post("/v1/actions", &action).await.json(201);
        let execution = api.execute(protocol, &json!({})).await.json(200);
        assert_eq!(execution["status"], "failed", "{execution}");
        assert_eq!(execution["error"]["code"], "egress_denied", "{execution}");
    }
    assert!(remote.requests().is_empty());
}
