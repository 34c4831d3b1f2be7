//! Names and datagrams through the gate, with guests that use `std::net`, and a DNS server that
//! says what the test wants.

use crate::kit::*;
use action_domain::{
    action::{EgressGrant, Grants},
    egress::{DenialReason, Egress, EgressPolicy, PolicyEntry},
    event::Fact,
    failure::{ErrorCode, Sent},
    services::ProtocolRuntime,
};
use action_testkit::dns::DnsServer;
use action_wasm::WasmRuntime;
use std::sync::Arc;
use tokio::net::UdpSocket;

fn egress_of(grants: &[(&str, u16)], private_networks: bool) -> Arc<Egress> {
    let egress = grants.iter().map(|(host, port)| EgressGrant { host: (*host).into(), ports: vec![*port] }).collect();
    let grants = Grants { egress, private_networks, ..Grants::default() };
    Arc::new(Egress::of_action(&serde_json::json!({}), &serde_json::json!({}), &grants))
}

/// A runtime that asks this server, under this policy.
pub(crate) fn asking(dns: &DnsServer, deny: &str) -> (tempfile::TempDir, WasmRuntime) {
    let data = tempfile::tempdir().unwrap();
    let mut config = config_in(data.path());
    let deny = if deny.is_empty() { Vec::new() } else { PolicyEntry::parse_list(deny).unwrap() };
    config.egress_policy = EgressPolicy { private_networks: true, deny, ..EgressPolicy::default() };
    let runtime = WasmRuntime::new(config).unwrap().asking(&[dns.address()]).unwrap();
    (data, runtime)
}

fn reason(facts: &[Fact]) -> DenialReason {
    let reason = facts.iter().find_map(|fact| match fact {
        Fact::EgressDenied { reason, .. } => Some(*reason),
        _ => None,
    });
    reason.unwrap_or_else(|| panic!("nothing was denied: {facts:?}"))
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    let dns = DnsServer::start().await;
    let (_data, runtime) = asking(&dns, "127.0.0.2");
    let (port, count) = server(ok("answer")).await;
    dns.says_in_turn("turns.example", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let digest = runtime.admit(guest("misbehave")).await.unwrap().digest;
    let url = format!("http://turns.example:{port}/");
    let attempt = async |runtime: &WasmRuntime| {
        let config = serde_json::json!({"mode": "get", "effect": "read", "url": url});
        let mut request = request(digest, config);
        // Each of another action, so that no connection is kept for the next.
        request.action =
            action_domain::id::ActionId::from_uuid(uuid::Uuid::from_u128(dns.asked("turns.example") as u128));
        request.egress = egress_of(&[("turns.example", port)], true);
        let journal = request.journal.clone();
        (runtime.run(request).await, facts(&journal))
    };
    let (first, _) = attempt(&runtime).await;
    assert!(first.result.is_ok(), "{:?}", first.result);
    assert_eq!(dns.asked("turns.example"), 1, "one question for one connection");
    let (second, facts) = attempt(&runtime).await;
    assert_eq!(code(&second), ErrorCode::EgressDenied);
    assert_eq!(reason(&facts), DenialReason::DeniedByOperator);
    assert_eq!(second.sent, Sent::NotSent);
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn only_granted_names_are_asked_for_and_each_question_counts() {
    let dns = DnsServer::start().await;
    let (_data, runtime) = asking(&dns, "");
    dns.says("a.granted.example", &["127.0.0.1"]);
    dns.says("inside.granted.example", &["10.0.0.1"]);
    let digest = runtime.admit(guest("wasi_sockets")).await.unwrap().digest;
    let names = ["a.granted.example", "inside.granted.example", "unknown.granted.example", "secret.evil.example"];
    let mut request = request(digest, serde_json::json!({"mode": "lookup", "address": "x.example:1", "names": names}));
    request.egress = egress_of(&[("*.granted.example", 443), ("x.example", 1)], false);
    let journal = request.journal.clone();
    let report = runtime.run(request).await;
    let output = String::from_utf8(report.result.unwrap().output.data.to_vec()).unwrap();
    assert!(!output.contains("127.0.0.1"), "{output}");
    let facts = facts(&journal);
    let asked: Vec<_> = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::RequestMade { method, host, error, .. } if method == "DNS" => Some((host.as_str(), error.is_some())),
            _ => None,
        })
        .collect();
    assert_eq!(
        asked,
        [("a.granted.example", false), ("inside.granted.example", false), ("unknown.granted.example", true)]
    );
    assert_eq!(report.receipt.requests, 3);
    assert!(!dns.names().iter().any(|name| name.contains("evil")), "{:?}", dns.names());
}

#[tokio::test]
async fn a_datagram_passes_the_same_gate() {
    let digest = admitted("wasi_sockets").await;
    let remote = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = remote.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = [0; 64];
        while let Ok((read, from)) = remote.recv_from(&mut buffer).await {
            remote.send_to(&buffer[..read], from).await.unwrap();
        }
    });
    for mode in ["udp", "udp-connected"] {
        let config = serde_json::json!({"mode": mode, "address": format!("127.0.0.1:{port}")});
        let mut granted = request(digest, config.clone());
        granted.egress = egress_of(&[("127.0.0.1", port)], true);
        let (report, facts) = run(granted).await;
        assert_eq!(report.result.as_ref().unwrap().output.data, "hello", "{facts:?}");
        assert_eq!(report.sent, Sent::MaybeSent);
        assert!(matches!(&facts[..], [Fact::RequestMade { method, .. }] if method == "UDP"), "{facts:?}");
        for (grants, private, wanted) in [
            (vec![("127.0.0.1", port - 1)], true, DenialReason::NotGranted),
            (vec![("127.0.0.1", port)], false, DenialReason::PrivateNotRequested),
        ] {
            let mut denied = request(digest, config.clone());
            denied.egress = egress_of(&grants, private);
            let (report, facts) = run(denied).await;
            assert_eq!(code(&report), ErrorCode::EgressDenied, "{mode}");
            assert_eq!((reason(&facts), report.sent), (wanted, Sent::NotSent), "{mode}");
        }
    }
}
