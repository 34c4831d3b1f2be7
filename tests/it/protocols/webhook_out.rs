//! `webhook-out` against an endpoint that verifies with the library of Standard Webhooks.

use super::{odd, world::World};
use crate::kit::Remote;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OLD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_verified_by_the_library_that_receivers_have() {
    let (world, remote) = (World::new("webhook-out").await, Remote::start().await);
    world.secret("hook", SECRET).await;
    world.secret("old-hook", OLD_SECRET).await;
    let config = json!({
        "url": remote.url("/echo"), "secret": {"$secret": "hook"}, "old_secret": {"$secret": "old-hook"},
        "headers": {"X-Tenant": "acme"},
    });
    let sent = world.run(config.clone(), &json!({"order": 7})).await;
    let output = World::output(&sent);
    assert_eq!((&output["webhook_id"], &output["status"]), (&sent["id"], &json!(200)));
    let request = remote.requests().remove(0);
    for secret in [SECRET, OLD_SECRET] {
        let receiver = Webhook::new(secret).unwrap();
        receiver.verify(request.body(), request.headers()).unwrap();
        assert!(receiver.verify(b"{\"order\":8}", request.headers()).is_err(), "another body");
    }
    let stranger = Webhook::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    assert!(stranger.verify(request.body(), request.headers()).is_err());
    assert_eq!(request.headers()["x-tenant"], "acme");
    world.tells_nowhere("C2FVsBQIhrscChlQIMV").await;

    let report = world.test_seeing(&[], &config).await;
    assert_eq!(report["verdict"], "connected", "{report}");
    world.secret("no-base64", "this is no base64!").await;
    let unsigned = json!({"url": remote.url("/echo"), "secret": {"$secret": "no-base64"}});
    let refused = world.run(unsigned.clone(), &json!(1)).await;
    let is_told = |error: &Value| {
        assert_eq!((&error["code"], &error["blame"]), (&json!("invalid_config"), &json!("action")), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("the secret `no-base64` is not base64 of a key"), "{message}");
        assert!(!message.contains("this is no base64"), "{message}");
    };
    is_told(&refused["error"]);
    let report = world.test_seeing(&[], &unsigned).await;
    assert_eq!(report["verdict"], "failed", "{report}");
    is_told(&report["error"]);
    assert_eq!(remote.requests().len(), 2, "one delivery and one test, and nothing unsigned");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_are_gone_refuse_or_are_away_are_told_apart() {
    let (world, remote) = (World::new("webhook-out").await, Remote::start().await);
    world.secret("hook", SECRET).await;
    let config = |url: String| json!({"url": url, "secret": {"$secret": "hook"}, "timeout_ms": 500});
    for (path, kind, advice) in [
        ("/status/410", "rejected", "give_up"),
        ("/status/404", "rejected", "retry"),
        ("/status/401", "unauthenticated", "retry"),
        ("/status/302", "rejected", "retry"),
        ("/status/503", "unavailable", "retry"),
    ] {
        let refused = world.run(config(remote.url(path)), &json!(1)).await;
        assert_eq!(World::failure(&refused), (kind, advice), "{path}");
    }
    let away = world.run(config(format!("http://{}/", odd::nobody())), &json!(1)).await;
    assert_eq!(World::failure(&away), ("unavailable", "retry"));
    let silent = world.run(config(format!("http://{}/", odd::silent().await)), &json!(1)).await;
    assert_eq!(World::failure(&silent), ("unavailable", "retry"), "the receiver knows a repeat by its id");
    let garbage = world.run(config(format!("http://{}/", odd::answers(b"nonsense\r\n").await)), &json!(1)).await;
    assert_eq!(World::failure(&garbage).0, "bad_response");
}
