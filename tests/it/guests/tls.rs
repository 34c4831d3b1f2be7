//! The protocols that are written in Python and TypeScript, against servers of a private authority that want
//! to know who asks.

use super::{
    scripted::{Reply, Server},
    world::{World, is_built},
};
use crate::kit::{Authority, components::protocol_path};
use serde_json::{Value, json};

const FEED: &str = r#"{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn tls_takes_a_private_authority_and_a_client_certificate() {
    let shipped = ["feed", "github", "slack"];
    if !shipped.iter().all(|name| is_built(&protocol_path(name))) {
        return;
    }
    let (world, authority) = (World::start().await, Authority::new());
    let server = Server::start_as(Some(&authority), |request| match request.uri().path() {
        "/feed" => Reply::new(200, &[], FEED),
        "/repos/acme/rockets/issues" => Reply::json(200, &json!([])),
        _ => Reply::json(200, &json!({"ok": true, "channel": "C01234567", "ts": "1.2"})),
    })
    .await;
    let client = authority.identity("a client", &["client"]);
    world.secret("client-key", &client.key).await;
    world.secret("token", "some-token").await;
    let certificate = json!({"chain": client.certificate, "key": {"$secret": "client-key"}});
    let token = json!({"$secret": "token"});
    let list = json!({"url": server.url(""), "token": token, "repository": "acme/rockets", "operation": "list_issues"});
    for (name, config, input) in [
        ("feed", json!({"url": server.url("/feed")}), json!({})),
        ("github", list, json!({})),
        ("slack", json!({"url": server.url(""), "token": token, "channel": "C01234567"}), json!({"text": "x"})),
    ] {
        let with = |tls: Value| {
            let mut config = config.clone();
            config["tls"] = tls;
            config
        };
        let known = with(json!({"extra_roots": authority.pem(), "client_certificate": certificate}));
        world.action(name, name, &known).await;
        let execution = world.execute(name, &input).await;
        assert_eq!(execution["status"], "succeeded", "{execution}");
        let stranger = with(json!({"client_certificate": certificate}));
        assert_eq!(world.failure(name, &stranger, &input).await.0, "bad_response", "{name}");
        // It is not let in: the certificate went along, or the first would not have been either.
        let nobody = world.failure(name, &with(json!({"extra_roots": authority.pem()})), &input).await;
        assert_ne!(nobody.0, "internal", "{name}");
    }
    assert_eq!(server.requests().len(), shipped.len());
}
