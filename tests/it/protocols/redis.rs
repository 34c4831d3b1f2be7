//! `redis` against `redis-server`.

use super::{
    kept::{Kept, free_address},
    odd,
    world::World,
};
use crate::kit::Authority;
use serde_json::{Value, json};
use std::{fs, net::SocketAddr};
use tempfile::TempDir;

const PASSWORD: &str = "pa55 w0rd \"of redis\"";

/// A server on two ports: one in the clear, one with TLS for those who show a certificate.
struct Redis {
    plain: SocketAddr,
    tls: SocketAddr,
    authority: Authority,
    _folder: TempDir,
    _process: Kept,
}

impl Redis {
    async fn start() -> Self {
        loop {
            let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
            let (plain, tls) = (free_address(), free_address());
            let files = authority.write(folder.path(), &authority.identity("redis", &["127.0.0.1", "redis.test"]));
            let [ca, certificate, key] = files.map(|path| path.display().to_string());
            let config = folder.path().join("redis.conf");
            let lines = format!(
                "bind 127.0.0.1\nport {}\ntls-port {}\ntls-ca-cert-file {ca}\ntls-cert-file {certificate}\n\
                 tls-key-file {key}\ntls-auth-clients yes\ndir {}\nsave \"\"\nappendonly no\nmaxmemory 64mb\n\
                 requirepass {}\nuser service on >{} ~* &* +@all -flushall\n",
                plain.port(),
                tls.port(),
                folder.path().display(),
                serde_json::to_string(PASSWORD).unwrap(),
                "of-the-service",
            );
            fs::write(&config, lines).unwrap();
            if let Some(process) = Kept::start("redis-server", [&config], "Ready to accept connections").await {
                return Self { plain, tls, authority, _folder: folder, _process: process };
            }
        }
    }

    /// A config without its commands.
    fn config(&self, commands: Value) -> Value {
        json!({
            "address": self.plain.to_string(), "security": "none", "password": {"$secret": "redis-password"},
            "commands": commands,
        })
    }
}

async fn world() -> World {
    let world = World::new("redis").await;
    world.secret("redis-password", PASSWORD).await;
    world
}

const SEES: &[&str] = &["redis-password"];

#[tokio::test(flavor = "multi_thread")]
async fn commands_transactions_and_streams_do_what_they_say() {
    let (world, redis) = (world().await, Redis::start().await);
    let input = json!({"id": "7 \r\n*", "tags": ["a", "b"], "order": {"n": 1}});
    let commands = json!([
        ["SET", "order:{{ id }}", {"json": "{{ order }}"}],
        ["GET", "order:{{ id }}"],
        ["RPUSH", "tags", "{{ tags }}"],
        ["LRANGE", "tags", 0, -1],
        ["SET", "bytes", {"base64": "/wA="}],
        ["GET", "bytes"],
        ["GET", "nothing"],
        ["HSET", "h", "a", 1, "b", 2.5],
        ["HGETALL", "h"],
        ["EXISTS", "h", "gone"],
    ]);
    let execution = world.run_seeing(SEES, redis.config(commands), &input).await;
    let replies = &World::output(&execution)["replies"];
    let expected = json!([
        "OK", "{\"n\":1}", 2, ["a", "b"], "OK", {"base64": "/wA="}, null, 2, {"a": "1", "b": "2.5"}, 1
    ]);
    assert_eq!(*replies, expected);

    let mut config = redis.config(json!([["INCR", "count"], ["INCR", "count"], ["GET", "count"]]));
    config["transaction"] = true.into();
    let execution = world.run_seeing(SEES, config, &input).await;
    assert_eq!(World::output(&execution)["replies"], json!([1, 2, "2"]));
    let mut config = redis.config(json!([["INCR", "count"], ["NOSUCHCOMMAND"]]));
    config["transaction"] = true.into();
    let execution = world.run_seeing(SEES, config, &input).await;
    assert_eq!(World::failure(&execution), ("rejected", "give_up"));
    let execution = world.run_seeing(SEES, redis.config(json!([["GET", "count"]])), &input).await;
    assert_eq!(World::output(&execution)["replies"], json!(["2"]), "nothing of the refused one was done");

    let append = redis.config(json!([
        ["XGROUP", "CREATE", "orders", "billing", "$", "MKSTREAM"],
        ["XADD", "orders", "*", "id", "{{ id }}", "order", {"json": "{{ order }}"}],
    ]));
    let execution = world.run_seeing(SEES, append, &input).await;
    let id = World::output(&execution)["replies"][1].clone();
    let fields = json!({"id": "7 \r\n*", "order": "{\"n\":1}"});
    let read = json!([
        ["XRANGE", "orders", "-", "+"],
        ["XREADGROUP", "GROUP", "billing", "w", "COUNT", 10, "STREAMS", "orders", ">"],
        ["XREADGROUP", "GROUP", "billing", "w", "COUNT", 10, "BLOCK", 1, "STREAMS", "orders", ">"],
        ["XACK", "orders", "billing", "{{ ids }}"],
    ]);
    let execution = world.run_seeing(SEES, redis.config(read), &json!({"ids": [id]})).await;
    let entry = json!({"id": id, "fields": fields});
    assert_eq!(World::output(&execution)["replies"], json!([[entry], {"orders": [entry]}, {}, 1]));
    world.tells_nowhere("pa55 w0rd").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_takes_a_private_authority_and_a_client_certificate() {
    let (world, redis) = (world().await, Redis::start().await);
    let client = redis.authority.identity("a client", &["client"]);
    world.secret("client-key", &client.key).await;
    let config = |tls: Value| {
        json!({
            "address": redis.tls.to_string(), "password": {"$secret": "redis-password"}, "tls": tls,
            "commands": [["ECHO", "over TLS"]],
        })
    };
    let certificate = json!({"chain": client.certificate, "key": {"$secret": "client-key"}});
    let known = json!({"extra_roots": redis.authority.pem(), "client_certificate": certificate});
    let execution = world.run_seeing(SEES, config(known.clone()), &json!({})).await;
    assert_eq!(World::output(&execution)["replies"], json!(["over TLS"]));

    let stranger = json!({"client_certificate": certificate});
    let execution = world.run_seeing(SEES, config(stranger), &json!({})).await;
    assert_eq!(World::failure(&execution), ("bad_response", "give_up"));
    assert!(execution["error"]["message"].as_str().unwrap().contains("authority is not known"), "{execution}");
    let unnamed = json!({"extra_roots": redis.authority.pem()});
    let execution = world.run_seeing(SEES, config(unnamed), &json!({})).await;
    assert_eq!(World::failure(&execution), ("bad_response", "give_up"));
    let other_name = json!({
        "extra_roots": redis.authority.pem(), "client_certificate": certificate, "server_name": "other.test"
    });
    let execution = world.run_seeing(SEES, config(other_name), &json!({})).await;
    assert_eq!(World::failure(&execution), ("bad_response", "give_up"));

    let report = world.test_seeing(SEES, &config(known)).await;
    assert_eq!(report["verdict"], "connected", "{report}");
    let summary = report["report"]["summary"].as_str().unwrap();
    assert!(
        summary.contains("redis 7.") && summary.contains("master") && summary.contains("as user default"),
        "{report}"
    );
    let stages: Vec<&str> = report["stages"].as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap()).collect();
    assert!(stages.contains(&"tls"), "{report}");
    world.tells_nowhere("PRIVATE KEY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_and_what_is_not_allowed_is_told_apart() {
    let (world, redis) = (world().await, Redis::start().await);
    let command = json!([["FLUSHALL"]]);
    // The action has to let the protocol see the password.
    let execution = world.run(redis.config(command.clone()), &json!({})).await;
    assert_eq!(World::failure(&execution), ("invalid_config", "give_up"));
    let message = execution["error"]["message"].as_str().unwrap();
    assert!(message.contains("/password") && message.contains("grants.reveal"), "{message}");

    world.secret("wrong", "not the password").await;
    let mut config = redis.config(command.clone());
    config["password"] = json!({"$secret": "wrong"});
    let execution = world.run_seeing(&["wrong"], config.clone(), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unauthenticated", "give_up"));
    let report = world.test_seeing(&["wrong"], &config).await;
    assert_eq!(
        (&report["verdict"], &report["error"]["failure"]["kind"]),
        (&json!("failed"), &json!("unauthenticated"))
    );

    let mut config = redis.config(command.clone());
    config.as_object_mut().unwrap().remove("password");
    let execution = world.run(config, &json!({})).await;
    assert_eq!(World::failure(&execution), ("unauthenticated", "give_up"));

    world.secret("of-service", "of-the-service").await;
    let mut config = redis.config(command);
    config["username"] = "service".into();
    config["password"] = json!({"$secret": "of-service"});
    let execution = world.run_seeing(&["of-service"], config.clone(), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unauthenticated", "give_up"), "it may do all but this");
    config["commands"] = json!([["SET", "k", "v"], ["LPUSH", "k", "v"]]);
    let execution = world.run_seeing(&["of-service"], config.clone(), &json!({})).await;
    assert_eq!(World::failure(&execution), ("rejected", "give_up"));
    let details = &execution["error"]["failure"]["details"];
    assert_eq!(*details, json!({"redis_error": "WRONGTYPE", "command": 1, "replies": ["OK"]}), "{execution}");
    config["database"] = 99.into();
    let execution = world.run_seeing(&["of-service"], config, &json!({})).await;
    assert_eq!(World::failure(&execution), ("invalid_config", "give_up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn remotes_that_are_away_slow_or_no_redis_are_told_apart() {
    let world = world().await;
    let config = |address: String, command: &str| json!({"address": address, "security": "none", "commands": [[command, "k"]], "timeout_ms": 300});
    let execution = world.run(config(odd::nobody(), "INCR"), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unavailable", "retry"));
    // Nothing but the greeting was sent, so that even INCR may be tried again.
    let execution = world.run(config(odd::silent().await, "INCR"), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unavailable", "retry"));
    for garbage in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x28\n", b"$99999999999999\r\n"]
    {
        let execution = world.run(config(odd::says(garbage).await, "GET"), &json!({})).await;
        assert_eq!(World::failure(&execution).0, "bad_response", "{execution}");
    }
    let execution =
        world.run(json!({"address": odd::says(b"nonsense").await, "commands": [["GET", "k"]]}), &json!({})).await;
    assert_eq!(World::failure(&execution), ("bad_response", "give_up"), "no TLS there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_in_doubt_only_where_a_repeat_would_act_twice() {
    let (world, redis) = (world().await, Redis::start().await);
    let through = odd::losing_the_answer_to(b"count", redis.plain).await;
    for (command, status, advice) in
        [("INCR", "in_doubt", "in_doubt"), ("GET", "failed", "retry"), ("DEL", "failed", "retry")]
    {
        let mut config = redis.config(json!([[command, "count"]]));
        config["address"] = through.clone().into();
        let execution = world.run_seeing(SEES, config, &json!({})).await;
        assert_eq!((World::failure(&execution), &execution["status"]), (("unavailable", advice), &json!(status)));
    }
    let mut slow = redis.config(json!([["BLPOP", "empty", 0]]));
    slow["timeout_ms"] = 300.into();
    let execution = world.run_seeing(SEES, slow, &json!({})).await;
    assert_eq!(World::failure(&execution), ("unavailable", "in_doubt"));
    let input = json!({});
    let execution =
        world.run_seeing(SEES, redis.config(json!([["EVAL", "return string.rep('x', 9000000)", 0]])), &input).await;
    assert_eq!(World::failure(&execution), ("bad_response", "give_up"));
    assert!(execution["error"]["message"].as_str().unwrap().contains("8388608"), "{execution}");
}
