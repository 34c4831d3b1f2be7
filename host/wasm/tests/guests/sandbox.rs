//! Limits, the gate and the record, each with a guest that tries them.

use crate::kit::*;
use action_domain::{
    egress::Egress,
    event::Fact,
    failure::{ErrorCode, Sent},
    limits::RESPONSE_BYTES_MAX,
    services::{ProtocolRuntime, RuntimeError, ValidateError},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

#[tokio::test]
async fn what_goes_in_comes_out_with_a_receipt() {
    let digest = admitted("misbehave").await;
    let (report, _) = run(request(digest, serde_json::json!({"mode": "echo", "effect": "keyed"}))).await;
    assert_eq!(report.result.unwrap().output.data, "hello");
    assert_eq!(report.sent, Sent::NotSent);
    assert_eq!(report.effect, Some(action_domain::failure::Effect::Keyed));
    let receipt = report.receipt;
    assert!(receipt.fuel > 0 && receipt.memory_bytes >= 65536 && receipt.guest_us > 0, "{receipt:?}");
    assert!(receipt.wall_us >= receipt.guest_us, "{receipt:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_limit_has_its_code() {
    let digest = admitted("misbehave").await;
    for (config, wanted, part) in [
        (serde_json::json!({"mode": "loop"}), ErrorCode::FuelExhausted, "1000000000"),
        (serde_json::json!({"mode": "memory-bomb"}), ErrorCode::MemoryExceeded, "134217728 bytes"),
        (serde_json::json!({"mode": "deep-recursion"}), ErrorCode::Trapped, "stack"),
        (serde_json::json!({"mode": "panic"}), ErrorCode::Trapped, "unreachable"),
        (serde_json::json!({"mode": "huge-output", "bytes": 9 << 20}), ErrorCode::OutputTooLarge, "8388608"),
        (serde_json::json!({"mode": "huge-output", "bytes": 40 << 20}), ErrorCode::OutputTooLarge, "8388608"),
        (serde_json::json!({"mode": "validate-trap"}), ErrorCode::Trapped, "validate-config trapped"),
        (serde_json::json!({"mode": "validate-loop"}), ErrorCode::FuelExhausted, "100000000"),
        (serde_json::json!({"mode": "validate-issues"}), ErrorCode::InvalidConfig, "/a~1b/0/~0c"),
        (serde_json::json!({"mode": "fail", "kind": "unauthenticated"}), ErrorCode::ProtocolFailed, "failed as asked"),
    ] {
        let (report, _) = run(request(digest, config.clone())).await;
        println!("{config}: {:?}", report.result.as_ref().err());
        assert_eq!(code(&report), wanted, "{config}: {}", message(&report));
        assert!(message(&report).contains(part), "{config}: {}", message(&report));
        assert_eq!(report.sent, Sent::NotSent, "{config}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_endless_loops_leave_room_for_others() {
    let digest = admitted("misbehave").await;
    let loops: Vec<_> = (0..100)
        .map(|_| {
            let mut looping = request(digest, serde_json::json!({"mode": "loop"}));
            looping.limits.fuel = 1_000_000_000_000;
            looping.limits.timeout_ms = 2000;
            tokio::spawn(run(looping))
        })
        .collect();
    let mut worst = Duration::ZERO;
    for _ in 0..10 {
        let started = Instant::now();
        // On the workers, like the loops: this test's own thread would only compete for a core.
        let (report, _) = tokio::spawn(run(request(digest, serde_json::json!({"mode": "echo"})))).await.unwrap();
        assert!(report.result.is_ok());
        worst = worst.max(started.elapsed());
    }
    println!("worst of ten beside a hundred loops: {worst:?}");
    assert!(worst < Duration::from_millis(500), "{worst:?}");
    for looping in loops {
        let (report, _) = looping.await.unwrap();
        assert_eq!(code(&report), ErrorCode::DeadlineExceeded);
        assert!(report.receipt.wall_us < 4_000_000, "{:?}", report.receipt);
    }
}

#[tokio::test]
async fn waiting_in_a_host_call_ends_too() {
    let digest = admitted("misbehave").await;
    let mut sleeping = request(digest, serde_json::json!({"mode": "sleep", "ms": 60_000}));
    sleeping.limits.timeout_ms = 200;
    let (report, _) = run(sleeping).await;
    assert_eq!(code(&report), ErrorCode::DeadlineExceeded);
    assert!(report.receipt.wall_us < 2_000_000 && report.receipt.guest_us < 100_000, "{:?}", report.receipt);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let mut waiting = request(digest, serde_json::json!({"mode": "slow-server", "url": url}));
    waiting.limits.timeout_ms = 300;
    let (report, facts) = run(waiting).await;
    assert_eq!(code(&report), ErrorCode::DeadlineExceeded);
    assert_eq!(report.sent, Sent::MaybeSent);
    assert!(report.receipt.bytes_out > 0, "{:?}", report.receipt);
    assert!(matches!(&facts[..], [Fact::RequestMade { status: None, error: Some(_), .. }]), "{facts:?}");
}

#[tokio::test]
async fn a_request_goes_out_and_its_connection_is_kept() {
    let digest = admitted("misbehave").await;
    let (port, connections) = server(ok("answer")).await;
    let config = serde_json::json!({"mode": "post", "url": format!("http://localhost:{port}/a?b=c")});
    for _ in 0..3 {
        let (report, facts) = run(request(digest, config.clone())).await;
        assert_eq!(report.result.as_ref().unwrap().output.data, "answer");
        assert_eq!(report.sent, Sent::Acknowledged);
        assert_eq!(report.receipt.requests, 1);
        assert!(report.receipt.bytes_out > 5 && report.receipt.bytes_in > 6);
        let [Fact::RequestMade { method, path: Some(path), status: Some(200), error: None, .. }] = &facts[..] else {
            panic!("{facts:?}")
        };
        assert_eq!((method.as_str(), path.as_str()), ("POST", "/a"));
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_does_no_harm() {
    let digest = admitted("misbehave").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (closed, mut is_closed) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        // Answers once, promises to keep the connection, and closes it.
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(&ok("once")).await;
            drop(stream);
            let _ = closed.send(()).await;
        }
    });
    let config = serde_json::json!({"mode": "post", "url": format!("http://127.0.0.1:{port}/")});
    for _ in 0..3 {
        let (report, _) = run(request(digest, config.clone())).await;
        assert_eq!(report.result.unwrap().output.data, "once");
        // The kept connection is closed by now, and the next request must not trust it.
        is_closed.recv().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_granted_is_denied_and_named() {
    let digest = admitted("misbehave").await;
    let config = serde_json::json!({"mode": "get", "url": "http://not-granted.example/"});
    let (report, facts) = run(request(digest, config)).await;
    assert_eq!(code(&report), ErrorCode::EgressDenied);
    assert!(message(&report).contains("no grant names it"), "{}", message(&report));
    assert!(report.result.unwrap_err().failure.is_some());
    assert!(matches!(&facts[..], [Fact::EgressDenied { .. }]), "{facts:?}");
    assert_eq!(report.sent, Sent::NotSent);

    // Granted by name, and it leads to a private address that the action does not ask for.
    let mut private = request(digest, serde_json::json!({"mode": "get", "url": "http://localhost:9/"}));
    private.egress = Arc::new(Egress { private_networks: false, ..(*private.egress).clone() });
    let (report, _) = run(private).await;
    assert_eq!(code(&report), ErrorCode::EgressDenied);
    assert!(message(&report).contains("private networks"), "{}", message(&report));
    assert_eq!(report.sent, Sent::NotSent);

    let mut validating = request(digest, serde_json::json!({"mode": "validate-network", "url": "http://localhost:9/"}));
    validating.egress = egress(&["localhost"]);
    let (report, _) = run(validating).await;
    assert_eq!(code(&report), ErrorCode::InvalidConfig);
    assert!(message(&report).contains("get no network"), "{}", message(&report));
}

#[tokio::test]
async fn a_denial_is_told_as_a_denial_and_not_as_a_request_too() {
    for (fixture, config) in [
        (admitted("misbehave").await, serde_json::json!({"mode": "get", "url": "http://localhost:9/"})),
        (admitted("misbehave").await, serde_json::json!({"mode": "tcp", "address": "localhost:9"})),
        (admitted("wasi_http").await, serde_json::json!({"url": "http://localhost:9/"})),
        (admitted("wasi_sockets").await, serde_json::json!({"address": "localhost:9"})),
    ] {
        // The name is granted, so the request was let through until its address was known.
        let mut private = request(fixture, config.clone());
        private.egress = Arc::new(Egress { private_networks: false, ..(*private.egress).clone() });
        let (report, facts) = run(private).await;
        assert_eq!(code(&report), ErrorCode::EgressDenied, "{config}");
        assert!(matches!(&facts[..], [Fact::EgressDenied { .. }]), "{config}: {facts:?}");
    }
    // What was tried and failed is a request.
    let port = closed_port().await;
    let config = serde_json::json!({"mode": "get", "url": format!("http://localhost:{port}/")});
    let (_, facts) = run(request(admitted("misbehave").await, config)).await;
    assert!(matches!(&facts[..], [Fact::RequestMade { error: Some(_), .. }]), "{facts:?}");
}

#[tokio::test]
async fn the_hundred_and_first_request_is_denied() {
    let digest = admitted("misbehave").await;
    let (port, _) = server(ok("x")).await;
    let url = format!("http://127.0.0.1:{port}/");
    let (report, facts) =
        run(request(digest, serde_json::json!({"mode": "http-flood", "url": url, "count": 150}))).await;
    let output = report.result.unwrap().output;
    let output: serde_json::Value = serde_json::from_slice(&output.data).unwrap();
    assert_eq!(output["answered"], 100);
    assert!(output["last_error"].as_str().unwrap().contains("more than 100 requests"), "{output}");
    assert!(facts.iter().any(|fact| matches!(fact, Fact::EgressDenied { .. })));
    assert_eq!(report.receipt.requests, 100);
}

#[tokio::test]
async fn a_response_over_the_limit_is_an_error_to_the_guest() {
    let digest = admitted("misbehave").await;
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", RESPONSE_BYTES_MAX + 1).into_bytes();
    answer.resize(answer.len() + RESPONSE_BYTES_MAX + 1, b'x');
    let (port, _) = server(answer).await;
    let (report, _) =
        run(request(digest, serde_json::json!({"mode": "get", "url": format!("http://127.0.0.1:{port}/")}))).await;
    assert_eq!(code(&report), ErrorCode::ProtocolFailed);
    assert_eq!(report.sent, Sent::Acknowledged);
    assert!(message(&report).contains(&RESPONSE_BYTES_MAX.to_string()), "{}", message(&report));
}

#[tokio::test]
async fn a_response_over_the_limit_is_an_error_through_wasi_http_too() {
    let digest = admitted("wasi_http").await;
    let body = vec![b'x'; RESPONSE_BYTES_MAX + 1];
    let length = format!("content-length: {}", body.len());
    let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    for (header, body) in [(length.as_str(), &body), ("transfer-encoding: chunked", &chunk)] {
        let answer = [format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n").as_bytes(), body].concat();
        let (port, _) = server(answer).await;
        let config = serde_json::json!({"url": format!("http://127.0.0.1:{port}/")});
        let (report, facts) = run(request(digest, config)).await;
        let told = format!("HTTP response body size exceeds limit: {RESPONSE_BYTES_MAX} bytes");
        assert!(message(&report).contains(&told), "{header}: {}", message(&report));
        assert_eq!(report.sent, Sent::Acknowledged);
        let [Fact::RequestMade { error: Some(error), .. }] = &facts[..] else { panic!("{facts:?}") };
        assert!(error.contains(&RESPONSE_BYTES_MAX.to_string()), "{error}");
    }
}

#[tokio::test]
async fn strange_timeouts_do_not_panic() {
    let digest = admitted("misbehave").await;
    let (port, _) = server(ok("x")).await;
    for ms in [0, u64::from(u32::MAX)] {
        let config = serde_json::json!({"mode": "get", "url": format!("http://127.0.0.1:{port}/"), "ms": ms});
        let (report, _) = run(request(digest, config)).await;
        assert_ne!(report.result.err().map(|error| error.code), Some(ErrorCode::HostError));
        let config = serde_json::json!({"mode": "tcp", "address": format!("127.0.0.1:{port}"), "ms": ms});
        let (report, _) = run(request(digest, config)).await;
        assert_ne!(report.result.err().map(|error| error.code), Some(ErrorCode::HostError));
    }
}

#[tokio::test]
async fn tcp_goes_out_and_is_in_doubt() {
    let digest = admitted("misbehave").await;
    let (port, _) = server(b"pong".to_vec()).await;
    let (report, facts) =
        run(request(digest, serde_json::json!({"mode": "tcp", "address": format!("127.0.0.1:{port}")}))).await;
    assert_eq!(report.result.unwrap().output.data, "pong");
    assert_eq!((report.receipt.bytes_out, report.receipt.bytes_in), (5, 4));
    assert_eq!(report.sent, Sent::MaybeSent);
    assert!(matches!(&facts[..], [Fact::RequestMade { error: None, bytes_out: 5, .. }]), "{facts:?}");
}

#[tokio::test]
async fn what_is_printed_is_logged() {
    let digest = admitted("misbehave").await;
    let (report, facts) = run(request(digest, serde_json::json!({"mode": "stdout", "text": "one"}))).await;
    println!("{facts:?}");
    assert!(report.result.is_ok());
    assert!(facts.iter().any(|fact| matches!(fact, Fact::MessageLogged { .. })));
    let (_, facts) = run(request(digest, serde_json::json!({"mode": "env"}))).await;
    assert!(facts.is_empty());
}

#[tokio::test]
async fn wasi_http_passes_the_same_gate() {
    let digest = admitted("wasi_http").await;
    let (port, _) = server(ok("answer")).await;
    let url = format!("http://localhost:{port}/");
    let (report, facts) = run(request(digest, serde_json::json!({"url": url}))).await;
    assert_eq!(report.result.as_ref().unwrap().output.data, "answer", "{facts:?}");
    assert_eq!(report.sent, Sent::Acknowledged);
    assert!(matches!(&facts[..], [Fact::RequestMade { status: Some(200), .. }]), "{facts:?}");
    assert!(report.receipt.bytes_in > 6);
    let (report, facts) = run(request(digest, serde_json::json!({"url": "http://not-granted.example/"}))).await;
    assert_eq!(code(&report), ErrorCode::EgressDenied);
    assert!(matches!(&facts[..], [Fact::EgressDenied { .. }]), "{facts:?}");
}

#[tokio::test]
async fn wasi_sockets_pass_the_same_gate() {
    let digest = admitted("wasi_sockets").await;
    let (port, _) = server(b"pong".to_vec()).await;
    for host in ["127.0.0.1", "localhost"] {
        let (report, facts) = run(request(digest, serde_json::json!({"address": format!("{host}:{port}")}))).await;
        assert_eq!(report.result.as_ref().unwrap().output.data, "pong", "{facts:?}");
        assert_eq!(report.sent, Sent::MaybeSent);
        assert!(facts.iter().any(|fact| matches!(fact, Fact::RequestMade { .. })), "{facts:?}");
    }
    for address in ["not-granted.example:80", "192.0.2.1:80"] {
        let (report, facts) = run(request(digest, serde_json::json!({"address": address}))).await;
        assert_eq!(code(&report), ErrorCode::EgressDenied, "{address}");
        assert!(matches!(&facts[..], [Fact::EgressDenied { .. }, ..]), "{facts:?}");
        assert_eq!(report.sent, Sent::NotSent);
    }
}

#[tokio::test]
async fn what_cannot_be_admitted_is_told_by_name() {
    for (name, wanted) in [
        ("forbidden_import", "unknown_import"),
        ("wrong_world", "missing_export"),
        ("loop_in_describe", "describe_fuel_exhausted"),
        ("trap_in_describe", "describe_trapped"),
    ] {
        let bytes = guest(name);
        let Err(RuntimeError::Refused(issues)) = runtime().admit(bytes).await else { panic!("{name}") };
        println!("{name}: {issues:?}");
        assert!(issues.iter().any(|issue| issue.code == wanted), "{name}: {issues:?}");
    }
}

#[tokio::test]
async fn a_config_is_validated_without_an_attempt() {
    let digest = admitted("misbehave").await;
    let validate = async |mode: &str| {
        let config = serde_json::json!({"mode": mode}).to_string();
        runtime().validate_config(digest, config.into()).await
    };
    assert_eq!(validate("validate-warnings").await.unwrap().warnings.len(), 1);
    let Err(ValidateError::Refused(issues)) = validate("validate-issues").await else { panic!() };
    assert_eq!(issues.len(), 3);
    let Err(ValidateError::Runtime(RuntimeError::Broken(error))) = validate("validate-loop").await else { panic!() };
    assert_eq!(error.code, ErrorCode::FuelExhausted);
}

#[tokio::test]
async fn a_second_start_finds_the_compiled_code() {
    let bytes = guest("noop");
    let data = tempfile::tempdir().unwrap();
    let digest = runtime_in(data.path()).admit(bytes.clone()).await.unwrap().digest;
    let again = runtime_in(data.path());
    let started = Instant::now();
    again.prepare(digest).await.unwrap();
    println!("prepared from disk in {:?}", started.elapsed());

    let file = std::fs::read_dir(data.path().join("cache")).unwrap().next().unwrap().unwrap().path();
    let mut content = std::fs::read(&file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(&file, &content).unwrap();
    // The component is nowhere else, so what is wrong on disk leaves nothing.
    assert!(matches!(runtime_in(data.path()).prepare(digest).await, Err(RuntimeError::NotFound(_))));
    runtime_in(data.path()).admit(bytes).await.unwrap();
    assert_ne!(std::fs::read(&file).unwrap(), content);
}
