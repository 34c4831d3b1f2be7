//! `mqtt` against `mosquitto`.

use super::{
    kept::{Kept, free_address},
    odd,
    world::World,
};
use crate::kit::{Authority, PATIENCE, Service, service::Options};
use action_testkit::postgres::Server;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, net::SocketAddr, process::Command};
use tempfile::TempDir;

const PASSWORD: &str = "pa55w0rd of mqtt";
const SEES: &[&str] = &["mqtt-password"];

/// A broker on two ports: one in the clear, one with TLS for those who show a certificate. It takes a
/// password, and keeps what comes for those who are away.
struct Broker {
    plain: SocketAddr,
    tls: SocketAddr,
    authority: Authority,
    _folder: TempDir,
    _process: Kept,
}

impl Broker {
    async fn start() -> Self {
        loop {
            let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
            let (plain, tls) = (free_address(), free_address());
            let files = authority.write(folder.path(), &authority.identity("mqtt", &["127.0.0.1", "mqtt.test"]));
            let [ca, certificate, key] = files.map(|path| path.display().to_string());
            let passwords = folder.path().join("passwords");
            let made = Command::new("mosquitto_passwd")
                .arg("-b")
                .arg("-c")
                .arg(&passwords)
                .args(["service", PASSWORD])
                .status();
            assert!(made.unwrap().success());
            let config = folder.path().join("mosquitto.conf");
            let lines = format!(
                "user root\nper_listener_settings false\nallow_anonymous false\npassword_file {}\n\
                 max_queued_messages 0\nmax_inflight_messages 100\nlog_dest stderr\n\
                 listener {} 127.0.0.1\nlistener {} 127.0.0.1\ncafile {ca}\ncertfile {certificate}\nkeyfile {key}\n\
                 require_certificate true\n",
                passwords.display(),
                plain.port(),
                tls.port(),
            );
            fs::write(&config, lines).unwrap();
            let arguments = [std::path::Path::new("-c"), config.as_path()];
            if let Some(process) = Kept::start("mosquitto", arguments, "running").await {
                return Self { plain, tls, authority, _folder: folder, _process: process };
            }
        }
    }

    /// A config without its work.
    fn config(&self, members: Value) -> Value {
        let mut config = json!({
            "address": self.plain.to_string(), "security": "none",
            "username": "service", "password": {"$secret": "mqtt-password"}, "timeout_ms": 10_000,
        });
        config.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        config
    }
}

async fn world() -> World {
    let world = World::new("mqtt").await;
    world.secret("mqtt-password", PASSWORD).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_comes_to_whoever_subscribed() {
    let (world, broker) = (world().await, Broker::start().await);
    // The session is there from here on, and the broker keeps what comes for it.
    let subscribe = broker.config(json!({
        "client_id": "reader", "subscribe": {"topics": ["orders/+", "alarms/#"], "kind": "order", "idle_ms": 500}
    }));
    let first = world.run_seeing(SEES, subscribe.clone(), &json!(null)).await;
    assert_eq!(World::output(&first), &json!({"messages": 0}));

    let publish = broker.config(json!({"publish": {"topic": "orders/{{ id }}", "payload": "{{ . }}"}}));
    for id in 0..3 {
        let sent = world.run_seeing(SEES, publish.clone(), &json!({"id": id})).await;
        assert_eq!(World::output(&sent)["acknowledged"], true);
    }
    let bytes = broker.config(json!({"publish": {"topic": "alarms/a/b", "payload": "fire", "qos": 0}}));
    assert_eq!(World::output(&world.run_seeing(SEES, bytes, &json!(null)).await)["acknowledged"], false);

    let read = world.run_seeing(SEES, subscribe.clone(), &json!(null)).await;
    assert_eq!(World::output(&read)["messages"], 3, "a message of qos 0 is not kept");
    let items = world.service.private.get("/v1/items?kind=order").await.json(200);
    let topics: Vec<&str> = items["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["content"]["json"]["topic"].as_str().unwrap())
        .collect();
    assert_eq!(topics, ["orders/0", "orders/1", "orders/2"]);
    assert_eq!(items["items"][2]["content"]["json"]["json"], json!({"id": 2}));
    let again = world.run_seeing(SEES, subscribe, &json!(null)).await;
    assert_eq!(World::output(&again)["messages"], 0, "what was acknowledged does not come again");
    world.tells_nowhere(PASSWORD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_takes_a_private_authority_and_a_client_certificate() {
    let (world, broker) = (world().await, Broker::start().await);
    let client = broker.authority.identity("a client", &["client"]);
    world.secret("client-key", &client.key).await;
    let certificate = json!({"chain": client.certificate, "key": {"$secret": "client-key"}});
    let config = |tls: Value| {
        json!({
            "address": broker.tls.to_string(), "username": "service", "password": {"$secret": "mqtt-password"},
            "tls": tls, "publish": {"topic": "a"},
        })
    };
    let known = config(json!({"extra_roots": broker.authority.pem(), "client_certificate": certificate}));
    let sent = world.run_seeing(SEES, known.clone(), &json!({"over": "TLS"})).await;
    assert_eq!(World::output(&sent)["acknowledged"], true);
    let report = world.test_seeing(SEES, &known).await;
    assert_eq!(report["verdict"], "connected", "{report}");
    let stranger = config(json!({"client_certificate": certificate}));
    let refused = world.run_seeing(SEES, stranger, &json!(null)).await;
    assert_eq!(World::failure(&refused), ("bad_response", "give_up"));
    world.tells_nowhere("PRIVATE KEY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_and_what_is_no_broker_is_told_apart() {
    let (world, broker) = (world().await, Broker::start().await);
    let work = json!({"publish": {"topic": "a"}});
    let hidden = world.run(broker.config(work.clone()), &json!(null)).await;
    assert_eq!(World::failure(&hidden), ("invalid_config", "give_up"), "the action has to let it see the password");
    world.secret("wrong", "not the password").await;
    let mut config = broker.config(work.clone());
    config["password"] = json!({"$secret": "wrong"});
    let refused = world.run_seeing(&["wrong"], config.clone(), &json!(null)).await;
    assert_eq!(World::failure(&refused), ("unauthenticated", "give_up"));
    let report = world.test_seeing(&["wrong"], &config).await;
    assert_eq!(report["error"]["failure"]["kind"], "unauthenticated", "{report}");

    let config =
        |address: String| json!({"address": address, "security": "none", "timeout_ms": 300, "publish": {"topic": "a"}});
    let away = world.run(config(odd::nobody()), &json!(null)).await;
    assert_eq!(World::failure(&away), ("unavailable", "retry"));
    let silent = world.run(config(odd::silent().await), &json!(null)).await;
    assert_eq!(World::failure(&silent), ("unavailable", "retry"), "nothing was published yet");
    for garbage in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x28", b"\x20\xff\xff\xff\xff"]
    {
        let odd = world.run(config(odd::says(garbage).await), &json!(null)).await;
        assert_eq!(World::failure(&odd).0, "bad_response", "{odd}");
    }
    let through = odd::losing_the_answer_to(b"doubtful", broker.plain).await;
    let mut lost = broker.config(json!({"publish": {"topic": "doubtful"}}));
    lost["address"] = through.into();
    let lost = world.run_seeing(SEES, lost, &json!(null)).await;
    assert_eq!((World::failure(&lost), &lost["status"]), (("unavailable", "in_doubt"), &json!("in_doubt")));
}

/// One subscriber in the whole system, moved and killed while messages come: each is captured once.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_is_moved_and_killed_loses_nothing_and_doubles_nothing() {
    const MESSAGES: usize = 120;
    let broker = Broker::start().await;
    let database = tokio::task::spawn_blocking(|| Server::shared().database()).await.unwrap();
    let options = |role| {
        Options { role, ..Options::default() }
            .with("ACTION_SERVICE_DATABASE_URL", database.url.clone())
            .with("ACTION_SERVICE_LEASE_SECONDS", "3")
            .with("ACTION_SERVICE_SECRET_KEY", "ab".repeat(32))
    };
    let front = Service::start_with(options("api")).await;
    let api = &front.private;
    api.put("/v1/secrets/mqtt-password", &json!({"value": PASSWORD})).await.json(201);
    let grants = json!({"private_networks": true, "reveal": ["mqtt-password"]});
    let subscribe = json!({
        "name": "subscriber", "protocol": "mqtt", "grants": grants, "triggers": [{"type": "continuous", "initial_ms": 10}],
        "config": broker.config(json!({"client_id": "subscriber", "subscribe": {"topics": ["load/#"]}})),
    });
    let publish = json!({
        "name": "publisher", "protocol": "mqtt", "grants": grants, "delivery": {"on_doubt": "retry", "max_attempts": 20},
        "config": broker.config(json!({"publish": {"topic": "load/{{ n }}", "payload": "{{ n }}"}})),
    });
    let mut workers = vec![Service::start_with(options("worker")).await, Service::start_with(options("worker")).await];
    api.post("/v1/actions", &subscribe).await.json(201);
    api.post("/v1/actions", &publish).await.json(201);
    // Its session has to be there before anything is published.
    let there = async {
        loop {
            let running = api.get("/v1/executions?action=subscriber&status=running").await.json(200);
            let Some(id) = running["items"][0]["id"].as_str() else { continue };
            if api.event_types(id).await.iter().any(|of| of == "attempt_started") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, there).await.unwrap();
    let ready = json!({"n": "ready"});
    api.execute("publisher", &ready).await.json(200);
    let captured = async || {
        let page = api.get("/v1/items?action=subscriber&limit=500").await.json(200);
        page["items"].as_array().unwrap().clone()
    };
    // What was published before the session was there is lost, as MQTT has it: so it is sent until it comes.
    while captured().await.is_empty() {
        api.execute("publisher", &ready).await.json(200);
    }
    for n in 0..MESSAGES {
        if n % 30 == 15 {
            let gone = workers.remove(0);
            if n % 60 == 15 {
                drop(gone.kill().await);
            } else {
                gone.stop().await;
            }
            workers.push(Service::start_with(options("worker")).await);
        }
        let call = api.request(reqwest::Method::POST, "/v1/actions/publisher/execute");
        api.send(call.header("prefer", "respond-async").json(&json!({"n": n}))).await.json(202);
    }
    let numbers = async || -> Vec<u64> {
        captured().await.iter().filter_map(|item| item["content"]["json"]["json"].as_u64()).collect()
    };
    // A publisher that was killed says its message again: how many items there will be, nobody knows before.
    let all = async { while numbers().await.iter().collect::<BTreeSet<_>>().len() < MESSAGES {} };
    let none_is_lost = tokio::time::timeout(PATIENCE, all).await;
    let numbers = numbers().await;
    assert!(none_is_lost.is_ok(), "each of {MESSAGES} comes in the end: {numbers:?}");
    // The publisher may have said one twice (its effect is such, and the action says so): those are two messages.
    let told = api.get("/v1/executions?action=publisher&limit=500").await.json(200);
    let attempts: u64 = told["items"].as_array().unwrap().iter().map(|run| run["attempts"].as_u64().unwrap()).sum();
    assert!(numbers.len() as u64 <= attempts, "{} captured, {attempts} attempts", numbers.len());
}
