//! A component that misbehaves is contained, whatever language it is written in, and one that
//! behaves gives back what it was given.

use super::world::{World, is_built};
use crate::kit::{Remote, components::fixture_path, fixture};
use serde_json::{Value, json};

struct Guest {
    world: World,
    name: &'static str,
}

impl Guest {
    async fn start(name: &'static str) -> Option<Self> {
        if !is_built(&fixture_path(name)) {
            return None;
        }
        let world = World::start().await;
        let uploaded = world.service.private.upload(fixture(name)).await;
        assert!(uploaded.status.is_success(), "{}", String::from_utf8_lossy(&uploaded.body));
        Some(Self { world, name })
    }

    async fn run(&self, mode: &str, more: &Value, input: &Value) -> Value {
        let mut config = json!({"mode": mode});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.world.action("vice", self.name, &config).await;
        self.world.execute("vice", input).await
    }

    /// Runs each vice, and looks afterwards whether the service is as well as before.
    async fn is_contained(&self, vices: &[(&str, &str)]) {
        for (mode, code) in vices {
            let execution = self.run(mode, &json!({}), &json!({})).await;
            assert_eq!(execution["error"]["code"], *code, "{mode}: {execution}");
            let well = self.run("echo", &json!({}), &json!({"text": "Grüße 🚀", "n": [1, null]})).await;
            assert_eq!(well["output"], json!({"text": "Grüße 🚀", "n": [1, null]}), "after {mode}");
        }
        let defect = |execution: &Value| execution["error"]["failure"]["kind"] == "internal";
        let thrown =
            self.run(if self.name.starts_with("js") { "throw" } else { "raise" }, &json!({}), &json!({})).await;
        assert!(defect(&thrown), "{thrown}");
        let flood = self.run("log-flood", &json!({}), &json!({})).await;
        let events = self.world.service.private.events(flood["id"].as_str().unwrap()).await;
        let lines = events.iter().filter(|event| event["type"] == "message_logged").count();
        assert!((200..=257).contains(&lines), "{lines} lines of log are kept");
    }

    /// Instances share nothing, not even the state of a generator of random numbers.
    async fn draws_anew(&self) {
        let mut draws = Vec::new();
        for _ in 0..2 {
            draws.push(self.run("random", &json!({}), &json!({})).await["output"]["random"].clone());
        }
        assert!(draws[0].is_f64() && draws[0] != draws[1], "{draws:?}");
    }

    async fn reaches_what_is_granted_and_nothing_else(&self) {
        let remote = Remote::start().await;
        let got = self.run("get", &json!({"url": remote.url("/bytes/70000")}), &json!({})).await;
        assert_eq!(got["status"], "succeeded", "{got}");
        let path = format!("/v1/executions/{}/output", got["id"].as_str().unwrap());
        assert_eq!(self.world.service.private.get(&path).await.body.len(), 70_000);
        let config = json!({"mode": "get", "url": remote.url("/")});
        self.world.action_with("vice", self.name, &config, json!({})).await;
        let denied = self.world.execute("vice", &json!({})).await;
        assert_eq!(denied["error"]["code"], "egress_denied", "{denied}");
        assert_eq!(remote.requests().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_is_contained() {
    let Some(guest) = Guest::start("js-misbehave").await else { return };
    guest
        .is_contained(&[
            ("loop", "fuel_exhausted"),
            ("memory-bomb", "memory_exceeded"),
            ("deep-recursion", "trapped"),
            ("huge-output", "output_too_large"),
        ])
        .await;
    guest.draws_anew().await;
    guest.reaches_what_is_granted_and_nothing_else().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_is_contained() {
    let Some(guest) = Guest::start("python-misbehave").await else { return };
    guest
        .is_contained(&[
            ("loop", "fuel_exhausted"),
            ("memory-bomb", "memory_exceeded"),
            ("exit", "trapped"),
            ("huge-output", "output_too_large"),
            // The language contains these by itself.
            ("deep-recursion", "protocol_failed"),
            ("files", "protocol_failed"),
        ])
        .await;
    guest.draws_anew().await;
    guest.reaches_what_is_granted_and_nothing_else().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_is_contained() {
    let Some(guest) = Guest::start("c-misbehave").await else { return };
    guest
        .is_contained(&[
            ("loop", "fuel_exhausted"),
            ("memory-bomb", "memory_exceeded"),
            ("deep-recursion", "trapped"),
            ("huge-output", "output_too_large"),
            ("abort", "trapped"),
            ("wild-pointer", "trapped"),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_is_contained() {
    let Some(guest) = Guest::start("go-misbehave").await else { return };
    guest
        .is_contained(&[
            ("loop", "fuel_exhausted"),
            ("memory-bomb", "memory_exceeded"),
            ("deep-recursion", "trapped"),
            ("huge-output", "output_too_large"),
            ("exit", "trapped"),
            // The language and the SDK contain these by themselves.
            ("panic", "protocol_failed"),
            ("nil-pointer", "protocol_failed"),
            ("files", "protocol_failed"),
        ])
        .await;
    guest.draws_anew().await;
    guest.reaches_what_is_granted_and_nothing_else().await;
}

/// Go's heap grows, and its collector runs, between what the service writes into the same memory.
#[tokio::test(flavor = "multi_thread")]
async fn go_shares_its_memory_with_the_service() {
    let Some(guest) = Guest::start("go-misbehave").await else { return };
    let remote = Remote::start().await;
    for _ in 0..10 {
        let config = json!({"count": 300, "url": remote.url("/bytes/300000")});
        let made = guest.run("garbage", &config, &json!({})).await;
        assert_eq!((&made["status"], &made["output"]), (&json!("succeeded"), &json!(300)), "{made}");
    }
    // Goroutines that wait for clocks and for each other.
    let slept = guest.run("sleep", &json!({"count": 50}), &json!({})).await;
    assert_eq!(slept["output"], 50, "{slept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn go_goes_out_by_its_own_library() {
    let Some(guest) = Guest::start("go-net-http").await else { return };
    guest.reaches_what_is_granted_and_nothing_else().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let echo = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap()
    });
    let said = guest.run("tcp", &json!({"address": address}), &json!({"a": 1})).await;
    assert_eq!(said["status"], "succeeded", "{said}");
    // Nothing of an instance is open when its execution has ended.
    assert_eq!(echo.await.unwrap(), "{\"a\":1}\n".len() as u64);
}
