//! Other ways out: redirects, connections that are kept, datagrams, listening; and what an
//! operator makes of a denial.

use super::kit::{Doorkeeper, denied, execute, service};
use crate::kit::Remote;
use action_testkit::dns::DnsServer;
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
    net::{TcpListener, UdpSocket},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_checked_like_any_request() {
    let (service, remote, target) = (service(None, &[]).await, Remote::start().await, Doorkeeper::start().await);
    let api = &service.private;
    let port = target.port();
    for (attack, to, reason) in [
        ("to metadata", "http://169.254.169.254/latest/meta-data/".to_owned(), "not_granted"),
        ("to metadata as a number", "http://2852039166/".to_owned(), "not_granted"),
        ("to another port of the same host", format!("http://127.0.0.1:{port}/"), "not_granted"),
        ("to another host without a scheme", format!("//127.0.0.1:{port}/"), "not_granted"),
        ("to a name of this host", format!("http://localhost:{port}/"), "not_granted"),
        ("to TLS at the same host", format!("https://127.0.0.1:{port}/"), "not_granted"),
    ] {
        let url = remote.url(&format!("/redirect?{to}"));
        let config = json!({"url": url, "method": "GET"});
        let execution = execute(api, "http", &config, &json!({"private_networks": true})).await;
        assert_eq!(execution["error"]["code"], "egress_denied", "{attack}: {execution}");
        let events = api.events(execution["id"].as_str().unwrap()).await;
        let made: Vec<&Value> = events.iter().filter(|event| event["type"] == "request_made").collect();
        assert_eq!(made.len(), 1, "{attack}: only the first was made: {events:?}");
        assert_eq!(made[0]["data"]["status"], 302, "{attack}");
        let denial = events.iter().find(|event| event["type"] == "egress_denied").unwrap();
        assert_eq!(denial["data"]["reason"], reason, "{attack}: {denial}");
    }
    // A redirect whose place is granted leads to an address all the same.
    let url = remote.url(&format!("/redirect?http://10.0.0.1:{port}/"));
    let config = json!({"url": url, "method": "GET", "redirect_urls": [format!("http://10.0.0.1:{port}/")]});
    let grants = json!({"private_networks": false});
    let execution = execute(api, "http", &config, &grants).await;
    assert_eq!(execution["error"]["code"], "egress_denied", "{execution}");
    target.saw_nobody().await;
}

/// A server that keeps connections open and counts them.
async fn keeper() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut buffer = [0; 8192];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            });
        }
    });
    (address, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_serves_nobody_who_could_not_have_made_it() {
    let dns = DnsServer::start().await;
    let (service, (address, count)) = (service(Some(&dns), &[]).await, keeper().await);
    let api = &service.private;
    dns.says("one.example", &["127.0.0.1"]);
    dns.says("two.example", &["127.0.0.1"]);
    let port = address.port();
    let private = json!({"private_networks": true});
    let make = async |name: &str, host: &str, grants: &Value| {
        let config = json!({"mode": "get", "effect": "read", "target": format!("http://{host}:{port}/")});
        let mut grants = grants.clone();
        grants["egress"] = json!([{"host": host, "ports": [port]}]);
        let action = json!({"name": name, "protocol": "misbehave", "config": config, "grants": grants,
            "delivery": {"max_attempts": 1}});
        api.put(&format!("/v1/actions/{name}"), &action).await;
        api.execute(name, &json!(1)).await.json(200)
    };
    assert_eq!(make("first", "one.example", &private).await["status"], "succeeded");
    assert_eq!(make("first", "one.example", &private).await["status"], "succeeded");
    assert_eq!(count.load(Ordering::SeqCst), 1, "its own connection is kept for it");

    let other = make("second", "one.example", &json!({})).await;
    assert_eq!(other["error"]["code"], "egress_denied", "another action without the power: {other}");
    assert_eq!(make("third", "one.example", &private).await["status"], "succeeded");
    assert_eq!(count.load(Ordering::SeqCst), 2, "another action with the same power has its own");
    assert_eq!(make("first", "two.example", &private).await["status"], "succeeded");
    assert_eq!(count.load(Ordering::SeqCst), 3, "another name at the same address has its own");

    let narrowed = make("first", "two.example", &json!({"private_networks": false})).await;
    assert_eq!(narrowed["error"]["code"], "egress_denied", "the power was taken away: {narrowed}");
    let config = json!({"mode": "get", "effect": "read", "target": format!("http://two.example:{port}/")});
    let ungranted = execute(api, "misbehave", &config, &private).await;
    assert_eq!(ungranted["error"]["code"], "egress_denied", "{ungranted}");
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_goes_where_a_connection_may_and_nowhere_else() {
    let service = service(None, &[]).await;
    let api = &service.private;
    let (granted, forbidden) =
        (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let (good, bad) = (granted.local_addr().unwrap().to_string(), forbidden.local_addr().unwrap().to_string());
    let private = json!({"private_networks": true});
    for (attack, config, grants, reason) in [
        (
            "to a port that is not granted",
            json!({"mode": "udp", "address": good, "target": bad}),
            &private,
            "not_granted",
        ),
        ("connected first", json!({"mode": "udp-connected", "address": good, "target": bad}), &private, "not_granted"),
        ("to a private address", json!({"mode": "udp", "address": bad}), &json!({}), "private_not_requested"),
        (
            "to a name server inside",
            json!({"mode": "udp", "address": "10.0.0.53:53"}),
            &json!({}),
            "private_not_requested",
        ),
        ("to metadata", json!({"mode": "udp", "address": "169.254.169.254:80"}), &json!({}), "private_not_requested"),
        ("in IPv6 to this host", json!({"mode": "udp", "address": "[::1]:53"}), &json!({}), "private_not_requested"),
    ] {
        denied(api, attack, "wasi-sockets", config, grants.clone(), reason).await;
    }
    // Behind many that may go the first that may not is stopped; those before it are one entry.
    let config = json!({"mode": "udp-many", "address": good, "target": bad, "count": 300});
    let execution = execute(api, "wasi-sockets", &config, &private).await;
    assert_eq!(execution["error"]["code"], "egress_denied", "{execution}");
    let events = api.events(execution["id"].as_str().unwrap()).await;
    let made: Vec<&Value> = events.iter().filter(|event| event["type"] == "request_made").collect();
    assert_eq!(made.len(), 1, "{events:?}");
    assert_eq!(
        (&made[0]["data"]["method"], &made[0]["data"]["port"]),
        (&json!("UDP"), &json!(granted.local_addr().unwrap().port()))
    );
    let mut buffer = [0; 64];
    assert_eq!(granted.recv_from(&mut buffer).await.unwrap().0, 7, "what may go arrives");
    assert!(forbidden.try_recv_from(&mut buffer).is_err(), "and nothing else does");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_not_heard_and_nobody_is_listened_to() {
    let service = service(None, &[]).await;
    let api = &service.private;
    let (granted, stranger) =
        (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = granted.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut buffer = [0; 64];
        let (_, guest) = granted.recv_from(&mut buffer).await.unwrap();
        // On loopback datagrams arrive in their order.
        stranger.send_to(b"from a stranger", guest).await.unwrap();
        granted.send_to(b"from a friend", guest).await.unwrap();
    });
    let config = json!({"mode": "udp", "address": address});
    let execution = execute(api, "wasi-sockets", &config, &json!({"private_networks": true})).await;
    assert_eq!(execution["status"], "succeeded", "{execution}");
    let output = api.get(&format!("/v1/executions/{}/output", execution["id"].as_str().unwrap())).await;
    assert_eq!(output.body, "from a friend");
    for (attack, config) in [
        ("a port for datagrams", json!({"mode": "udp-bind", "address": "127.0.0.1:1", "target": "0.0.0.0:4711"})),
        ("an address for datagrams", json!({"mode": "udp-bind", "address": "127.0.0.1:1", "target": "127.0.0.1:0"})),
        ("a port to listen at", json!({"mode": "tcp-listen", "address": "127.0.0.1:1", "target": "0.0.0.0:4711"})),
        ("any port to listen at", json!({"mode": "tcp-listen", "address": "127.0.0.1:1", "target": "0.0.0.0:0"})),
    ] {
        let execution = execute(api, "wasi-sockets", &config, &json!({"private_networks": true})).await;
        assert_eq!(execution["error"]["code"], "protocol_failed", "{attack}: {execution}");
        let message = execution["error"]["message"].as_str().unwrap();
        assert!(message.contains("PermissionDenied"), "{attack}: {execution}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_denied_is_explained_proposed_and_then_granted() {
    let (service, remote) = (service(None, &[]).await, Remote::start().await);
    let api = &service.private;
    let place = json!({"host": "127.0.0.1", "ports": [remote.address.port()]});
    let config = json!({"mode": "get", "effect": "read", "target": remote.url("/json")});
    let action = json!({"name": "watched", "protocol": "misbehave", "config": config, "delivery": {"max_attempts": 1}});
    api.post("/v1/actions", &action).await.json(201);
    for _ in 0..3 {
        let execution = api.execute("watched", &json!(1)).await.json(200);
        assert_eq!(execution["error"]["code"], "egress_denied", "{execution}");
    }
    let path = format!("/v1/actions/watched/egress?url={}", remote.url("/json"));
    let answer = api.get(&path).await.json(200)["answer"].take();
    assert_eq!(
        (&answer["allowed"], &answer["forbidden"]["reason"]),
        (&json!(false), &json!("not_granted")),
        "{answer}"
    );

    let proposal = api.get("/v1/actions/watched/egress/proposal").await.json(200);
    assert_eq!((&proposal["executions"], &proposal["denials"]), (&json!(3), &json!(3)), "{proposal}");
    assert_eq!(proposal["wanted"][0]["outlook"], "proposed", "{proposal}");
    assert_eq!(proposal["grants"]["egress"], json!([place]), "{proposal}");
    assert_eq!(proposal["grants"]["private_networks"], true, "a loopback address needs it too: {proposal}");
    assert!(remote.requests().is_empty(), "nothing was let through to find out");

    let patched = api.patch("/v1/actions/watched", &json!({"grants": proposal["grants"]})).await.json(200);
    assert_eq!(patched["changes"]["egress_added"][0]["from"], "/grants/egress/0", "{patched}");
    assert_eq!(patched["changes"]["private_networks"], json!({"from": false, "to": true}), "{patched}");
    let updated = api.get("/v1/events?type=action_updated").await.json(200)["items"][0].take();
    assert_eq!(updated["data"]["changes"], patched["changes"], "{updated}");
    assert_eq!(api.execute("watched", &json!(1)).await.json(200)["status"], "succeeded");
    assert_eq!(remote.requests().len(), 1);
    let answer = api.get(&path).await.json(200)["answer"].take();
    assert_eq!((&answer["allowed"], &answer["by"]), (&json!(true), &json!("/grants/egress/0")), "{answer}");
    let proposal = api.get("/v1/actions/watched/egress/proposal").await.json(200);
    assert_eq!(proposal["wanted"][0]["outlook"], "granted_by_now", "{proposal}");
    assert_eq!(proposal["changes"], false, "{proposal}");
}
