//! The operator's word is above every action's, whoever grants what.

use super::kit::{Doorkeeper, denied, execute, service};
use crate::kit::{
    Remote, Service, caches, fixture,
    service::{Options, binary},
};
use action_testkit::{
    dns::DnsServer,
    postgres::{Database, Server},
};
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::process::Command;

/// Grants of everything that an action can grant.
fn everything(hosts: &[&str]) -> Value {
    let egress: Vec<Value> = hosts.iter().map(|host| json!({"host": host})).collect();
    json!({"private_networks": true, "egress": egress})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_denies_no_grant_lets_through() {
    let dns = DnsServer::start().await;
    let deny = "evil.example, *.bad.example, 127.0.0.2, 10.0.0.0/8, 127.0.0.1:9, [::1]:9";
    let (service, remote) = (service(Some(&dns), &[("ACTION_SERVICE_EGRESS_DENY", deny)]).await, Remote::start().await);
    let api = &service.private;
    for name in ["evil.example", "a.bad.example", "fine.example"] {
        dns.says(name, &["127.0.0.1"]);
    }
    dns.says("ten.example", &["10.1.2.3"]);
    dns.says("ten-mapped.example", &["::ffff:10.1.2.3"]);
    dns.says("ten-behind-nat64.example", &["64:ff9b::a01:203"]);
    let port = remote.address.port();
    let grants = everything(&[
        "evil.example",
        "*.bad.example",
        "ten.example",
        "ten-mapped.example",
        "ten-behind-nat64.example",
        "fine.example",
        "10.9.9.9",
        "127.0.0.1",
        "127.0.0.2",
        "::ffff:127.0.0.2",
        "::1",
    ]);
    for (attack, target, entry) in [
        ("a denied name", format!("evil.example:{port}"), "evil.example"),
        ("a denied name in capitals", format!("EVIL.Example.:{port}"), "evil.example"),
        ("a name below a denied one", format!("a.bad.example:{port}"), "*.bad.example"),
        ("a denied address", format!("127.0.0.2:{port}"), "127.0.0.2"),
        ("a denied address as a number", format!("2130706434:{port}"), "127.0.0.2"),
        ("a denied address, mapped", format!("[::ffff:127.0.0.2]:{port}"), "127.0.0.2"),
        ("an address of a denied network", format!("10.9.9.9:{port}"), "10.0.0.0/8"),
        ("a name that leads to a denied network", format!("ten.example:{port}"), "10.0.0.0/8"),
        ("a name that leads there, mapped", format!("ten-mapped.example:{port}"), "10.0.0.0/8"),
        ("a name that leads there behind NAT64", format!("ten-behind-nat64.example:{port}"), "10.0.0.0/8"),
        ("a denied port", "127.0.0.1:9".to_owned(), "127.0.0.1:9"),
        ("a denied port in IPv6", "[::1]:9".to_owned(), "[::1]:9"),
    ] {
        for (protocol, config) in [
            ("misbehave", json!({"mode": "get", "effect": "read", "target": format!("http://{target}/json")})),
            ("misbehave", json!({"mode": "tcp", "target": target})),
            ("wasi-http", json!({"url": "http://fine.example/", "target": format!("http://{target}/json")})),
        ] {
            let denial = denied(api, attack, protocol, config, grants.clone(), "denied_by_operator").await;
            let rule = denial["rule"].as_str().unwrap();
            assert!(rule.ends_with(&format!("ACTION_SERVICE_EGRESS_DENY has `{entry}`")), "{attack}: {denial}");
            assert!(denial["hint"].as_str().unwrap().contains("only the operator"), "{attack}: {denial}");
        }
    }
    let fine = json!({"mode": "get", "effect": "read", "target": format!("http://fine.example:{port}/json")});
    assert_eq!(execute(api, "misbehave", &fine, &grants).await["status"], "succeeded", "or nothing was shown");
    let names = dns.names();
    assert!(!names.iter().any(|name| name.contains("evil") || name.contains("bad")), "not looked up: {names:?}");
    let explained = api.get("/v1/actions/attack/egress").await.json(200);
    let evil = explained["rules"].as_array().unwrap().iter().find(|rule| rule["host"] == "evil.example").unwrap();
    assert_eq!(evil["forbidden"]["reason"], "denied_by_operator", "{explained}");
    assert_eq!(explained["operator"]["deny"].as_array().unwrap().len(), 6, "{explained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_operator_allows_some_nothing_else_is_reached() {
    let (dns, remote) = (DnsServer::start().await, Remote::start().await);
    let port = remote.address.port();
    let allow = format!("*.allowed.example:{port}, 127.0.0.3/32");
    let settings =
        [("ACTION_SERVICE_EGRESS_ALLOW", allow.as_str()), ("ACTION_SERVICE_EGRESS_DENY", "no.allowed.example")];
    let service = service(Some(&dns), &settings).await;
    let (api, inside) = (&service.private, Doorkeeper::at(&format!("127.0.0.2:{port}")).await);
    for name in ["a.allowed.example", "allowed.example", "no.allowed.example", "other.example"] {
        dns.says(name, &["127.0.0.1"]);
    }
    dns.says("by-address.example", &["127.0.0.3"]);
    let grants = everything(&[
        "*.allowed.example",
        "allowed.example",
        "other.example",
        "by-address.example",
        "127.0.0.1",
        "127.0.0.2",
    ]);
    for (attack, target, reason) in [
        ("a name that is not on the list", format!("other.example:{port}"), "not_allowed_by_operator"),
        ("the name above the list's", format!("allowed.example:{port}"), "not_allowed_by_operator"),
        ("an allowed name at another port", "a.allowed.example:9".to_owned(), "not_allowed_by_operator"),
        ("the same address by itself", format!("127.0.0.1:{port}"), "not_allowed_by_operator"),
        ("another address", format!("127.0.0.2:{port}"), "not_allowed_by_operator"),
        ("allowed and denied", format!("no.allowed.example:{port}"), "denied_by_operator"),
    ] {
        for (protocol, config) in [
            ("misbehave", json!({"mode": "get", "effect": "read", "target": format!("http://{target}/json")})),
            ("wasi-http", json!({"url": "http://a.allowed.example/", "target": format!("http://{target}/json")})),
        ] {
            denied(api, attack, protocol, config, grants.clone(), reason).await;
        }
    }
    let fine = json!({"mode": "get", "effect": "read", "target": format!("http://a.allowed.example:{port}/json")});
    assert_eq!(execute(api, "misbehave", &fine, &grants).await["status"], "succeeded");
    // Allowed by its address: it gets through the gate, and nobody listens there.
    let allowed = json!({"mode": "get", "effect": "read", "target": format!("http://by-address.example:{port}/json")});
    let execution = execute(api, "misbehave", &allowed, &grants).await;
    assert_eq!(execution["error"]["code"], "protocol_failed", "{execution}");
    let answer = api.get(&format!("/v1/actions/attack/egress?host=a.allowed.example&port={port}")).await.json(200);
    assert_eq!(answer["answer"]["operator"], format!("*.allowed.example:{port}"), "{answer}");
    inside.saw_nobody().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_makes_no_sense_stops_the_start_and_is_named() {
    for (name, value, part) in [
        ("ACTION_SERVICE_EGRESS_DENY", "10.0.0.0/8,http://metadata/", "`http://metadata/`"),
        ("ACTION_SERVICE_EGRESS_DENY", "10.0.0.1/8", "`10.0.0.1/8`"),
        ("ACTION_SERVICE_EGRESS_ALLOW", "*.example.com,,a.example", "nothing between two commas"),
        ("ACTION_SERVICE_EGRESS_ALLOW", "*.com", "`*.com`"),
        ("ACTION_SERVICE_EGRESS_PRIVATE", "yes", "`yes`"),
        ("ACTION_SERVICE_DNS_SERVERS", "dns.example", "`dns.example`"),
    ] {
        for role in ["serve", "api", "worker"] {
            let folder = tempfile::tempdir().unwrap();
            let mut command = Command::new(binary());
            command.arg(role).env("ACTION_SERVICE_DATA_DIR", folder.path()).env(name, value).stdin(Stdio::null());
            let output = command.output().await.unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{role} {name}={value}");
            assert!(told.contains(name) && told.contains(part), "{role} {name}={value}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_and_a_single_run_keep_to_the_policy_too() {
    let remote = Remote::start().await;
    let database: Database = tokio::task::spawn_blocking(|| Server::shared().database()).await.unwrap();
    let options = |role| {
        let options = Options { role, ..Options::default() };
        options.with("ACTION_SERVICE_DATABASE_URL", database.url.clone())
    };
    let front = Service::start_with(options("api")).await;
    // The api process knows of no policy: it is the worker that connects.
    let worker = Service::start_with(options("worker").with("ACTION_SERVICE_EGRESS_DENY", "127.0.0.0/8")).await;
    let api = &front.private;
    api.upload(fixture("misbehave")).await.json(201);
    let config = json!({"mode": "get", "effect": "read", "url": remote.url("/json")});
    denied(api, "through a worker", "misbehave", config, json!({"private_networks": true}), "denied_by_operator").await;
    drop(worker);

    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("misbehave.wasm");
    std::fs::write(&component, fixture("misbehave")).unwrap();
    let config = json!({"mode": "get", "effect": "read", "url": remote.url("/json")}).to_string();
    let mut command = Command::new(binary());
    command.arg("run").arg(&component).args(["--config", &config, "--allow-private"]);
    command.env("ACTION_SERVICE_EGRESS_DENY", "127.0.0.0/8").env("XDG_CACHE_HOME", caches()).stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && told.contains("ACTION_SERVICE_EGRESS_DENY"), "{told}");
    assert!(remote.requests().is_empty());
}
