//! `test-connection`: what the host tells of the way to the remote.

use crate::{
    authority::{Authority, NOW, TlsServer, operators},
    kit::*,
};
use action_domain::{
    digest::Digest,
    egress::Egress,
    limits::LimitsPolicy,
    services::{ConnectionTest, ProtocolRuntime, StageKind, TestRequest, Verdict},
};
use action_testkit::dns::DnsServer;
use std::sync::Arc;

fn test(component: Digest, config: serde_json::Value) -> TestRequest {
    TestRequest {
        component,
        config: config.to_string().into(),
        secrets: Arc::default(),
        test_methods: vec![],
        egress: egress(&["localhost"]),
        limits: LimitsPolicy::default().default,
    }
}

#[tokio::test]
async fn a_connection_test_tells_what_it_saw() {
    let digest = admitted("misbehave").await;
    let (port, _) = server(ok("x")).await;
    let url = format!("http://localhost:{port}/");
    let tested = runtime().test_connection(test(digest, serde_json::json!({"url": url}))).await.unwrap();
    assert_eq!(tested.verdict, Verdict::Connected);
    let kinds: Vec<_> = tested.stages.iter().map(|stage| stage.stage).collect();
    assert_eq!(kinds[0], StageKind::Grant);
    assert_eq!(kinds[1], StageKind::NameResolution);
    assert!(kinds.contains(&StageKind::Connect));
    assert_eq!(kinds.last(), Some(&StageKind::Protocol));

    let target = format!("localhost:{port}");
    assert!(tested.stages.iter().all(|stage| stage.target == target), "{:?}", tested.stages);
    assert_eq!(tested.stages[0].message, "granted by /grants/egress/0");
    assert!(tested.stages[2].message.starts_with("connected to 127.0.0.1"), "{:?}", tested.stages);

    let hollow = runtime().test_connection(test(digest, serde_json::json!({}))).await.unwrap();
    assert_eq!(hollow.verdict, Verdict::Hollow);

    let denied = serde_json::json!({"url": "http://elsewhere.example/"});
    let failed = runtime().test_connection(test(digest, denied)).await.unwrap();
    assert_eq!(failed.verdict, Verdict::Failed);
    assert!(!failed.stages[0].ok && failed.stages[0].hint.is_some());

    let digest = admitted("unsafe_test").await;
    let url = format!("http://localhost:{port}/");
    let tested = runtime().test_connection(test(digest, serde_json::json!({"url": url}))).await.unwrap();
    assert_eq!(tested.verdict, Verdict::Failed, "{:?}", tested.stages);
    assert!(tested.stages.iter().any(|stage| stage.message.contains("can change something")), "{:?}", tested.stages);
}

#[tokio::test]
async fn each_stage_is_told_once_for_each_target_however_often_it_is_passed() {
    let digest = admitted("misbehave").await;
    let (port, _) = server(ok("x")).await;
    let config = serde_json::json!({"mode": "test-flood", "url": format!("http://localhost:{port}/"), "count": 3});
    let flood = runtime().test_connection(test(digest, config)).await.unwrap();
    assert_eq!(kinds(&flood), [StageKind::Grant, StageKind::NameResolution, StageKind::Connect, StageKind::Protocol]);
    assert_eq!(flood.receipt.requests, 3);

    // Granted by name and denied by address: one grant, which says why not. A name that means this
    // host is not even looked up.
    let dns = DnsServer::start().await;
    dns.says("inside.example", &["127.0.0.1"]);
    let (_data, asking) = crate::egress::asking(&dns, "");
    asking.admit(guest("misbehave")).await.unwrap();
    for (name, stages) in [
        ("inside.example", &[StageKind::Grant, StageKind::NameResolution, StageKind::Protocol][..]),
        ("localhost", &[StageKind::Grant, StageKind::Protocol]),
    ] {
        let mut private = test(digest, serde_json::json!({"url": format!("http://{name}:{port}/")}));
        private.egress = Arc::new(Egress { private_networks: false, ..(*egress(&[name])).clone() });
        let denied = asking.test_connection(private).await.unwrap();
        assert_eq!(kinds(&denied), stages);
        let grant = &denied.stages[0];
        assert!(!grant.ok && grant.message.contains("does not ask for private networks"), "{grant:?}");
        assert_eq!(grant.hint.as_deref(), Some("set grants.private_networks to true"));
    }

    let port = closed_port().await;
    let closed = serde_json::json!({"url": format!("http://localhost:{port}/")});
    let failed = runtime().test_connection(test(digest, closed)).await.unwrap();
    assert_eq!(kinds(&failed), [StageKind::Grant, StageKind::NameResolution, StageKind::Connect, StageKind::Protocol]);
    assert!(failed.stages[2].message.contains("127.0.0.1"), "{:?}", failed.stages);

    let hollow = runtime().test_connection(test(digest, serde_json::json!({}))).await.unwrap();
    assert_eq!((kinds(&hollow), hollow.stages[0].target.as_str()), (vec![StageKind::Protocol], "nobody"));
}

#[tokio::test]
async fn a_handshake_is_a_stage_of_its_own() {
    let digest = admitted("misbehave").await;
    for (authority, ok, told) in
        [(operators(), true, "TLSv1.3"), (&Authority::new("a stranger"), false, "authority is not known")]
    {
        let server = TlsServer::answering(authority.server("localhost", NOW), crate::kit::ok("x")).await;
        let url = format!("https://localhost:{}/", server.port);
        let tested = runtime().test_connection(test(digest, serde_json::json!({"url": url}))).await.unwrap();
        let [_, _, connect, tls, protocol] = &tested.stages[..] else { panic!("{:?}", tested.stages) };
        assert!(connect.ok);
        assert_eq!((tls.stage, tls.ok, protocol.ok), (StageKind::Tls, ok, ok));
        assert!(tls.message.contains(told) && tls.hint.is_some() != ok, "{tls:?}");
        assert_eq!(tls.target, format!("localhost:{}", server.port));
    }
}

fn kinds(test: &ConnectionTest) -> Vec<StageKind> {
    test.stages.iter().map(|stage| stage.stage).collect()
}
