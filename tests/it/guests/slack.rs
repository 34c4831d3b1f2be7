//! `slack` against a server that answers as Slack does.

use super::{
    scripted::{Reply, Server, json_of},
    world::World,
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// What Slack answers to a message for this channel.
fn answer(channel: &str) -> Reply {
    let word = |error: &str| Reply::json(200, &json!({"ok": false, "error": error}));
    match channel {
        "C0GONE000" => word("channel_not_found"),
        "C0BROKEN0" => word("fatal_error"),
        "C0BUSY000" => Reply::new(429, &[("retry-after", "3")], r#"{"ok":false,"error":"ratelimited"}"#),
        "C0DOWN000" => Reply::new(503, &[], "upstream"),
        "C0NOISE00" => Reply::new(200, &[], "\u{0}<html>"),
        "C0SILENT0" => Reply::Silence,
        channel => Reply::json(200, &json!({"ok": true, "channel": channel, "ts": "1732338480.000200"})),
    }
}

async fn slack() -> Server {
    Server::start(|request| {
        let authorized = request.headers().get("authorization").is_some_and(|value| value == "Bearer xoxb-right");
        match request.uri().path() {
            "/services/T0/B0/right" => Reply::new(200, &[], "ok"),
            "/services/T0/B0/gone" => Reply::new(404, &[], "no_service"),
            path if path.starts_with("/services/") => Reply::new(403, &[], "invalid_token"),
            _ if !authorized => Reply::json(200, &json!({"ok": false, "error": "invalid_auth"})),
            "/api/auth.test" => Reply::json(200, &json!({"ok": true, "team": "Acme", "user": "bot", "url": "u"})),
            "/api/chat.postMessage" => answer(json_of(request)["channel"].as_str().unwrap()),
            _ => Reply::new(404, &[], ""),
        }
    })
    .await
}

async fn world() -> Option<World> {
    let world = World::of_protocol("slack").await?;
    for (name, value) in [
        ("bot", "xoxb-right"),
        ("old-bot", "xoxb-wrong"),
        ("hook", "services/T0/B0/right"),
        ("gone", "services/T0/B0/gone"),
    ] {
        world.secret(name, value).await;
    }
    Some(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_posted_with_a_token_that_the_protocol_never_sees() {
    let Some(world) = world().await else { return };
    let slack = slack().await;
    let config = json!({"url": slack.url(""), "token": {"$secret": "bot"}, "channel": "C01234567"});
    world.action("ops", "slack", &config).await;
    let execution = world.execute("ops", &json!({"text": "Grüße 🚀", "thread_ts": "1.1"})).await;
    assert_eq!(execution["output"], json!({"channel": "C01234567", "ts": "1732338480.000200"}), "{execution}");
    let sent = json_of(&slack.requests()[0]);
    assert_eq!((&sent["text"], &sent["thread_ts"]), (&json!("Grüße 🚀"), &json!("1.1")));
    assert!(!execution.to_string().contains("xoxb-right"), "{execution}");
    let test = world.test_connection("slack", &config).await;
    assert_eq!(test["verdict"], "connected", "{test}");
    assert!(test["report"]["summary"].as_str().unwrap().contains("bot in Acme"), "{test}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_needs_its_path_to_be_granted() {
    let Some(world) = world().await else { return };
    let slack = slack().await;
    let config = |secret: &str| json!({"url": slack.url(""), "webhook_path": {"$secret": secret}});
    let granted = |secret: &str| json!({"private_networks": true, "reveal": [secret]});
    world.action_with("hook", "slack", &config("hook"), granted("hook")).await;
    let execution = world.execute("hook", &json!("hi")).await;
    assert_eq!(execution["status"], "succeeded", "{execution}");
    assert_eq!(json_of(&slack.requests()[0]), json!({"text": "hi"}));
    world.action_with("ungranted", "slack", &config("hook"), json!({"private_networks": true})).await;
    let execution = world.execute("ungranted", &json!("hi")).await;
    assert_eq!(execution["error"]["failure"]["kind"], "invalid_config", "{execution}");
    world.action_with("gone", "slack", &config("gone"), granted("gone")).await;
    let execution = world.execute("gone", &json!("hi")).await;
    assert_eq!(execution["error"]["failure"]["kind"], "rejected", "{execution}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_has_its_kind_and_advice() {
    let Some(world) = world().await else { return };
    let slack = slack().await;
    let config = |secret: &str, channel: &str| json!({"url": slack.url(""), "token": {"$secret": secret}, "channel": channel, "timeout_ms": 500});
    for (config, kind, advice) in [
        (config("old-bot", "C01234567"), "unauthenticated", json!("give_up")),
        (config("bot", "C0GONE000"), "rejected", json!("give_up")),
        (config("bot", "C0BUSY000"), "rate_limited", json!({"retry_after_ms": 3000})),
        (config("bot", "C0DOWN000"), "unavailable", json!("retry")),
        (config("bot", "C0NOISE00"), "bad_response", json!("give_up")),
    ] {
        let told = world.failure("slack", &config, &json!({"text": "x"})).await;
        assert_eq!(told, (kind.to_owned(), advice), "{config}");
    }
    let empty = world.failure("slack", &config("bot", "C01234567"), &json!({})).await;
    assert_eq!(empty.0, "invalid_input");
    let refused = json!({"url": "http://127.0.0.1:1", "token": {"$secret": "bot"}, "channel": "C01234567"});
    assert_eq!(world.failure("slack", &refused, &json!("x")).await.0, "unavailable");
    // Nobody knows whether these were posted, and nobody posts them again.
    for channel in ["C0SILENT0", "C0BROKEN0"] {
        world.action("doubtful", "slack", &config("bot", channel)).await;
        let answer = world.service.private.execute("doubtful", &json!({"text": "x"})).await;
        assert_eq!(answer.json(202)["status"], "in_doubt", "{channel}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_answer_was_lost_is_found_again() {
    let Some(world) = world().await else { return };
    let posted: Arc<std::sync::Mutex<Vec<Value>>> = Arc::default();
    let (kept, asked) = (posted.clone(), Arc::new(AtomicBool::new(false)));
    let looked = asked.clone();
    let slack = Server::start(move |request| match request.uri().path() {
        "/api/chat.postMessage" => {
            let mut message = json_of(request);
            message["ts"] = json!("5.5");
            kept.lock().unwrap().push(message);
            Reply::Hangup
        }
        "/api/conversations.history" => {
            asked.store(true, Ordering::SeqCst);
            assert!(request.uri().query().unwrap().contains("include_all_metadata=true"));
            Reply::json(200, &json!({"ok": true, "messages": *kept.lock().unwrap()}))
        }
        _ => Reply::new(404, &[], ""),
    })
    .await;
    let config = json!({"url": slack.url(""), "token": {"$secret": "bot"}, "channel": "C01234567"});
    world.action("lost", "slack", &config).await;
    let answer = world.service.private.execute("lost", &json!({"text": "once"})).await;
    let execution: Value = serde_json::from_slice(&answer.body).unwrap();
    let ended = world.service.private.ended(execution["id"].as_str().unwrap()).await;
    assert_eq!((&ended["status"], &ended["output"]["ts"]), (&json!("succeeded"), &json!("5.5")), "{ended}");
    assert!(looked.load(Ordering::SeqCst));
    assert_eq!(posted.lock().unwrap().len(), 1);
}
