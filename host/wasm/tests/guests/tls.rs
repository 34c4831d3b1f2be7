//! TLS that the host does for guests: whom it trusts, what it refuses, and what it says then.

use crate::{
    authority::{Authority, NOW, Seen, TlsServer, operators},
    kit::*,
};
use action_domain::services::AttemptRequest;
use action_domain::{
    egress::DenialReason,
    event::Fact,
    failure::{Advice, ErrorCode, FailureKind, Sent},
};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpListener};

fn url(host: &str, server: &TlsServer) -> String {
    format!("https://{host}:{}/", server.port)
}

#[tokio::test]
async fn https_goes_out_with_an_authority_of_the_configs_own() {
    let digest = admitted("misbehave").await;
    let authority = Authority::new("the config's");
    for (name, host, server_name) in [
        ("localhost", "localhost", None),
        ("127.0.0.1", "127.0.0.1", None),
        ("db.internal", "localhost", Some("db.internal")),
    ] {
        let mut server = TlsServer::answering(authority.server(name, NOW), ok("answer")).await;
        let config =
            json!({"mode": "post", "url": url(host, &server), "ca": authority.pem(), "server_name": server_name});
        let (report, facts) = run(request(digest, config)).await;
        assert_eq!(report.result.as_ref().unwrap().output.data, "answer", "{name}");
        assert_eq!(report.sent, Sent::Acknowledged);
        assert!(matches!(&facts[..], [Fact::RequestMade { status: Some(200), error: None, .. }]), "{facts:?}");
        let seen = server.seen();
        assert_eq!(seen[0], Seen::Handshake(None), "{name}");
        assert!(matches!(&seen[1], Seen::Read(head) if head.starts_with("POST / HTTP/1.1")), "{seen:?}");
    }
}

#[tokio::test]
async fn a_connection_of_its_own_has_tls_too_and_counts_what_the_guest_sent() {
    let digest = admitted("misbehave").await;
    let authority = Authority::new("the config's");
    let server = TlsServer::answering(authority.server("localhost", NOW), b"pong".to_vec()).await;
    let address = format!("localhost:{}", server.port);
    let config = json!({"mode": "tcp", "address": address, "tls": true, "ca": authority.pem()});
    let (report, facts) = run(request(digest, config)).await;
    assert_eq!(report.result.as_ref().unwrap().output.data, "pong");
    assert_eq!((report.receipt.bytes_out, report.receipt.bytes_in), (5, 4));
    assert!(matches!(&facts[..], [Fact::RequestMade { error: None, bytes_out: 5, .. }]), "{facts:?}");
}

#[tokio::test]
async fn an_authority_of_the_operators_is_trusted_without_options_and_the_connection_is_kept() {
    let digest = admitted("misbehave").await;
    let mut server = operators().server("localhost", NOW);
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut server = TlsServer::answering(server, ok("answer")).await;
    for _ in 0..3 {
        let (report, _) = run(request(digest, json!({"mode": "post", "url": url("localhost", &server)}))).await;
        assert_eq!(report.result.as_ref().unwrap().output.data, "answer");
    }
    let seen = server.seen();
    assert_eq!(seen[0], Seen::Handshake(Some("http/1.1".to_owned())));
    assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Handshake(_))).count(), 1, "{seen:?}");
}

/// Servers that nobody should talk to, and what has to be said of each.
async fn bad_servers(authority: &Authority) -> Vec<(&'static str, TlsServer, [&'static str; 2])> {
    let mut bad = Vec::new();
    for (case, config, told) in [
        ("unknown", Authority::new("a stranger").server("localhost", NOW), ["authority is not known", "extra-roots"]),
        ("namesake", Authority::new(authority.name()).server("localhost", NOW), ["another key", "extra-roots"]),
        ("name", authority.server("other.example", NOW), ["is for other.example, not for localhost", "server-name"]),
        ("expired", authority.server("localhost", 2019..=2020), ["expired at 2020-01-01", "renew it"]),
        ("early", authority.server("localhost", 2080..=2090), ["valid only from 2080-01-01", "clock"]),
        ("authority", authority.server_with_own_certificate(), ["not accepted", "CA:TRUE"]),
    ] {
        bad.push((case, TlsServer::answering(config, ok("must not be")).await, told));
    }
    bad
}

#[tokio::test]
async fn a_bad_certificate_is_refused_and_the_refusal_says_what_to_do() {
    let digest = admitted("misbehave").await;
    let authority = Authority::new("the config's");
    for (case, mut server, told) in bad_servers(&authority).await {
        for config in [
            json!({"mode": "post", "url": url("localhost", &server), "ca": authority.pem()}),
            json!({"mode": "tcp", "address": format!("localhost:{}", server.port), "tls": true, "ca": authority.pem()}),
        ] {
            let (report, facts) = run(request(digest, config)).await;
            let error = report.result.unwrap_err();
            println!("{case}: {}", error.message);
            assert_eq!(error.code, ErrorCode::ProtocolFailed, "{case}");
            let failure = error.failure.unwrap();
            assert_eq!((failure.kind, failure.advice), (FailureKind::BadResponse, Advice::GiveUp), "{case}");
            assert!(error.message.starts_with("tls-failed: "), "{case}: {}", error.message);
            assert!(told.iter().all(|part| error.message.contains(part)), "{case}: {}", error.message);
            assert_eq!(report.sent, Sent::NotSent, "{case}");
            let [Fact::RequestMade { error: Some(recorded), bytes_out: 0, .. }] = &facts[..] else {
                panic!("{case}: {facts:?}")
            };
            assert!(told.iter().all(|part| recorded.contains(part)), "{case}: {recorded}");
        }
        assert!(!server.seen().iter().any(|seen| matches!(seen, Seen::Read(_))), "{case}");
    }
}

#[tokio::test]
async fn a_remote_that_does_not_speak_tls_is_named_as_such() {
    let digest = admitted("misbehave").await;
    let (port, _) = server(ok("plain")).await;
    let (report, _) = run(request(digest, json!({"mode": "get", "url": format!("https://localhost:{port}/")}))).await;
    assert!(message(&report).contains("is not TLS; is it the right port"), "{}", message(&report));
    assert_eq!(report.sent, Sent::NotSent);
}

#[tokio::test]
async fn a_remote_that_goes_away_during_the_handshake_may_be_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _: std::io::Result<usize> = stream.read(&mut [0; 4096]).await;
        }
    });
    let misbehave = admitted("misbehave").await;
    for config in [
        json!({"mode": "get", "url": format!("https://localhost:{port}/")}),
        json!({"mode": "tcp", "address": format!("localhost:{port}"), "tls": true}),
    ] {
        let (report, _) = run(request(misbehave, config)).await;
        let error = report.result.unwrap_err();
        assert!(error.message.starts_with("connect-failed: the remote closed the connection"), "{}", error.message);
        assert!(error.message.contains("does it speak TLS"), "{}", error.message);
        assert_eq!(error.failure.unwrap().advice, Advice::Retry);
        assert_eq!(report.sent, Sent::NotSent);
    }
    let wasi_http = admitted("wasi_http").await;
    let (report, _) = run(request(wasi_http, json!({"url": format!("https://localhost:{port}/")}))).await;
    assert!(message(&report).contains("ConnectionTerminated"), "{}", message(&report));
}

#[tokio::test]
async fn roots_that_are_none_are_the_configs_fault_and_nothing_is_sent() {
    let digest = admitted("misbehave").await;
    let server = TlsServer::answering(Authority::new("the config's").server("localhost", NOW), ok("must not be")).await;
    let (report, _) =
        run(request(digest, json!({"mode": "get", "url": url("localhost", &server), "ca": "no certificate"}))).await;
    assert!(message(&report).contains("extra-roots: no certificate in it"), "{}", message(&report));
    assert_eq!(report.sent, Sent::NotSent);
}

#[tokio::test]
async fn wasi_http_does_tls_for_an_authority_of_the_operators() {
    let digest = admitted("wasi_http").await;
    let mut server = TlsServer::answering(operators().server("localhost", NOW), ok("answer")).await;
    let (report, facts) = run(request(digest, json!({"url": url("localhost", &server)}))).await;
    assert_eq!(report.result.as_ref().unwrap().output.data, "answer", "{facts:?}");
    assert_eq!(report.sent, Sent::Acknowledged);
    assert!(matches!(&facts[..], [Fact::RequestMade { status: Some(200), error: None, .. }]), "{facts:?}");
    assert!(matches!(server.seen()[0], Seen::Handshake(_)));
}

#[tokio::test]
async fn wasi_http_refuses_a_bad_certificate_and_the_record_says_what_to_do() {
    let digest = admitted("wasi_http").await;
    for (case, mut server, told) in bad_servers(operators()).await {
        let (report, facts) = run(request(digest, json!({"url": url("localhost", &server)}))).await;
        assert!(message(&report).contains("TlsCertificateError"), "{case}: {}", message(&report));
        assert_eq!(report.sent, Sent::NotSent, "{case}");
        let [Fact::RequestMade { error: Some(recorded), .. }] = &facts[..] else { panic!("{case}: {facts:?}") };
        assert!(told.iter().all(|part| recorded.contains(part)), "{case}: {recorded}");
        assert!(!server.seen().iter().any(|seen| matches!(seen, Seen::Read(_))), "{case}");
    }
    let (port, _) = server(ok("plain")).await;
    let (report, _) = run(request(digest, json!({"url": format!("https://localhost:{port}/")}))).await;
    assert!(message(&report).contains("TlsProtocolError"), "{}", message(&report));
}

#[tokio::test]
async fn a_connection_is_upgraded_and_the_alpn_protocol_is_told() {
    let digest = admitted("misbehave").await;
    let authority = Authority::new("the config's");
    let mut config = authority.server("localhost", NOW);
    config.alpn_protocols = vec![b"imap".to_vec(), b"smtp".to_vec()];
    let mut server = TlsServer::upgrading(config, b"GO ", b" pong".to_vec()).await;
    let address = format!("localhost:{}", server.port);
    let starttls = |more: serde_json::Value| {
        let mut config = json!({"mode": "starttls", "address": address, "ca": authority.pem()});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run(request(digest, config))
    };
    let (report, facts) = starttls(json!({"alpn": ["pop3", "smtp"]})).await;
    assert_eq!(report.result.as_ref().unwrap().output.data, "GO [smtp] pong");
    assert_eq!(report.sent, Sent::MaybeSent);
    let Fact::RequestMade { bytes_out, bytes_in, error: None, .. } = &facts[0] else { panic!("{facts:?}") };
    assert_eq!((*bytes_out, *bytes_in), (14, 8), "both before and after the upgrade, without TLS's own");
    let wanted = [Seen::Clear("STARTTLS\n".into()), Seen::Handshake(Some("smtp".into())), Seen::Read("hello".into())];
    assert_eq!(server.seen(), wanted);

    let (report, _) = starttls(json!({})).await;
    assert_eq!(report.result.unwrap().output.data, "GO  pong");
    server.seen();

    for (more, told) in [
        (json!({"alpn": ["pop3"]}), "none of the ALPN protocols"),
        (json!({"server_name": "other.example"}), "is for localhost, not for other.example"),
        (json!({"ca": null}), "authority is not known"),
    ] {
        let (report, facts) = starttls(more).await;
        assert!(message(&report).starts_with("tls-failed: "), "{}", message(&report));
        assert!(message(&report).contains(told), "{}", message(&report));
        assert!(matches!(&facts[..], [Fact::RequestMade { error: Some(_), .. }]), "{facts:?}");
        assert_eq!(server.seen(), [Seen::Clear("STARTTLS\n".into())], "nothing follows a failed upgrade");
    }
}

#[tokio::test]
async fn a_remote_that_wants_a_client_certificate_is_told_as_tls_and_not_as_silence() {
    let authority = operators();
    let config = authority.server_for_known_clients("localhost");
    let server = TlsServer::answering(config, ok("must not be")).await;
    let digest = admitted("misbehave").await;
    for config in [
        json!({"mode": "post", "url": url("localhost", &server)}),
        json!({"mode": "tcp", "address": format!("localhost:{}", server.port), "tls": true}),
    ] {
        let (report, facts) = run(request(digest, config)).await;
        assert!(message(&report).starts_with("tls-failed: "), "{}", message(&report));
        assert!(message(&report).contains("CertificateRequired; does the remote want"), "{}", message(&report));
        assert!(matches!(&facts[..], [Fact::RequestMade { error: Some(_), .. }]), "{facts:?}");
    }
    let wasi_http = admitted("wasi_http").await;
    let (report, _) = run(request(wasi_http, json!({"url": url("localhost", &server)}))).await;
    assert!(message(&report).contains("TlsAlertReceived"), "{}", message(&report));
}

#[tokio::test]
async fn a_client_certificate_is_shown_with_the_key_of_a_secret() {
    let digest = admitted("misbehave").await;
    let authority = operators();
    let (chain, key) = authority.client();
    for (held, refusal) in [
        (Some(key.as_str()), None),
        (Some("not a key at all"), Some("no private key in PEM")),
        (Some(authority.client().1.as_str()), Some("client-identity")),
        (None, Some("no handle of a secret")),
    ] {
        let server = TlsServer::answering(authority.server_for_known_clients("localhost"), ok("answer")).await;
        for config in [
            json!({"mode": "post", "url": url("localhost", &server), "client_key": HANDLE, "client_chain": chain}),
            json!({"mode": "tcp", "address": format!("localhost:{}", server.port), "tls": true,
                "client_key": HANDLE, "client_chain": chain}),
        ] {
            let mut request = request(digest, config);
            if let Some(value) = held {
                request.secrets = holding(value, false);
            }
            let (report, facts) = run(request).await;
            match refusal {
                None => assert!(report.result.is_ok(), "{report:?}"),
                Some(refusal) => {
                    assert!(message(&report).starts_with("tls-failed: "), "{}", message(&report));
                    assert!(message(&report).contains(refusal), "{}", message(&report));
                    assert_eq!(report.sent, Sent::NotSent);
                }
            }
            assert!(!format!("{report:?}{facts:?}").contains("PRIVATE KEY"), "{facts:?}");
        }
    }
}

#[tokio::test]
async fn a_request_offers_http_1_1_and_nothing_else() {
    let digest = admitted("misbehave").await;
    let mut config = operators().server("localhost", NOW);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let server = TlsServer::answering(config, ok("must not be")).await;
    let url = url("localhost", &server);
    let (report, _) = run(request(digest, json!({"mode": "get", "url": url}))).await;
    assert!(message(&report).contains("none of the ALPN protocols"), "{}", message(&report));
    let (report, _) = run(request(digest, json!({"mode": "get", "url": url, "alpn": ["h2"]}))).await;
    assert!(message(&report).contains("can only be `http/1.1`"), "{}", message(&report));
}

/// An attempt of `secretive`, which sends a secret by what its config says, and takes whom TLS is to believe from
/// its input.
fn sending(component: action_domain::digest::Digest, config: Value, input: &Value) -> AttemptRequest {
    let mut config = config;
    config["mode"] = "send".into();
    config["secret"] = HANDLE.into();
    let mut request = request(component, config.clone());
    request.egress = egress_of(&config);
    request.secrets = holding("open sesame", false);
    request.input.data = input.to_string().into();
    request
}

#[tokio::test]
async fn a_secret_of_an_https_action_is_not_sent_in_clear() {
    let digest = admitted("secretive").await;
    let (port, connections) = server(ok("plain")).await;
    let plain = format!("http://localhost:{port}");
    let config = json!({"url": format!("https://localhost:{port}/"), "target": plain});
    let (report, facts) = run(sending(digest, config, &Value::Null)).await;
    assert_eq!(code(&report), ErrorCode::EgressDenied);
    assert_eq!(report.sent, Sent::NotSent);
    let [Fact::EgressDenied { reason: DenialReason::HttpsOnly, hint, .. }] = &facts[..] else { panic!("{facts:?}") };
    assert!(hint.contains("write http:// into the config"), "{hint}");
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 0);
    let (report, _) = run(sending(digest, json!({"url": plain}), &Value::Null)).await;
    assert!(report.result.is_ok(), "who says http means it: {:?}", report.result);
}

#[tokio::test]
async fn a_secret_goes_to_nobody_for_whom_only_the_protocol_vouches() {
    let digest = admitted("secretive").await;
    let authority = Authority::new("somebody's");
    let mut server = TlsServer::answering(authority.server("db.internal", NOW), ok("answer")).await;
    let url = url("localhost", &server);
    let pem = authority.pem();
    let made_up = json!({"server_name": "db.internal", "extra_roots": pem});
    for (tls, missing) in [
        (json!({}), "`server-name`"),
        (json!({"ca": pem}), "`server-name`"),
        (json!({"name": "db.internal"}), "`extra-roots`"),
        (json!({"name": "db.internal", "ca": Authority::new("somebody else's").pem()}), "`extra-roots`"),
    ] {
        let (report, facts) = run(sending(digest, json!({"url": url, "tls": tls}), &made_up)).await;
        assert_eq!(code(&report), ErrorCode::EgressDenied, "{tls}");
        let [Fact::EgressDenied { rule, .. }] = &facts[..] else { panic!("{facts:?}") };
        assert!(rule.contains(missing), "{rule}");
        assert!(server.seen().is_empty(), "nobody was asked: {tls}");
    }
    // The action says so: then that is who is meant.
    let config = json!({"url": url, "tls": {"name": "db.internal", "ca": pem}});
    let (report, _) = run(sending(digest, config, &made_up)).await;
    assert!(report.result.is_ok(), "{:?}", report.result);
    let seen = server.seen();
    assert!(matches!(&seen[1], Seen::Read(head) if head.contains("x-secret: key open sesame")), "{seen:?}");
    // Where no secret goes with it, a protocol may believe whom it likes.
    let mut bare = sending(digest, json!({"url": url}), &made_up);
    bare.secrets = std::sync::Arc::default();
    let (report, _) = run(bare).await;
    assert!(report.result.is_ok(), "{:?}", report.result);
}
