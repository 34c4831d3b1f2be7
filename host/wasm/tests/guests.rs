//! The sandbox with real guests: those of `tests/fixtures`, where they are built; `make test`
//! builds them. Without them these tests say so and pass, so that `cargo test` works alone.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use action_domain::{
    action::{EgressGrant, Grants},
    digest::Digest,
    egress::{Egress, EgressPolicy},
    event::Fact,
    failure::{ErrorCode, Sent},
    id::{ActionId, ExecutionId},
    limits::{LimitsPolicy, RESPONSE_BYTES_MAX},
    payload::Payload,
    repositories::StoreUnavailable,
    services::{
        AttemptReport, AttemptRequest, Clock, ComponentSource, GuestTrigger, Journal, ProtocolRuntime, RuntimeError,
        StageKind, TestRequest, ValidateError, Verdict,
    },
    time::Timestamp,
};
use action_wasm::{Compiler, RuntimeConfig, WasmRuntime};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }
}

struct Nothing;

#[async_trait]
impl ComponentSource for Nothing {
    async fn component(&self, _digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        Ok(None)
    }
}

fn runtime_in(data: &Path) -> WasmRuntime {
    WasmRuntime::new(RuntimeConfig {
        cache_dir: data.join("cache"),
        cache_key_file: data.join("cache-key"),
        compiler: Compiler::InProcess,
        concurrency: 128,
        egress_policy: EgressPolicy { private_networks: true },
        clock: Arc::new(Stopped),
        components: Arc::new(Nothing),
    })
    .unwrap()
}

/// One for all tests: a component is compiled once.
fn runtime() -> &'static WasmRuntime {
    static RUNTIME: OnceLock<(tempfile::TempDir, WasmRuntime)> = OnceLock::new();
    let make = || {
        let data = tempfile::tempdir().unwrap();
        let runtime = runtime_in(data.path());
        (data, runtime)
    };
    &RUNTIME.get_or_init(make).1
}

fn guest(name: &str) -> Option<Bytes> {
    let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/target/wasm32-wasip2/release");
    let bytes = std::fs::read(built.join(format!("{name}.wasm")));
    if bytes.is_err() {
        eprintln!("skipped: the fixture {name} is not built");
    }
    bytes.ok().map(Bytes::from)
}

async fn admitted(name: &str) -> Option<Digest> {
    Some(runtime().admit(guest(name)?).await.unwrap().digest)
}

fn egress(hosts: &[&str]) -> Arc<Egress> {
    let egress = hosts.iter().map(|host| EgressGrant { host: (*host).into(), ports: vec![] }).collect();
    let grants = Grants { egress, private_networks: true, ..Grants::default() };
    Arc::new(Egress::of_action(&serde_json::json!({}), &serde_json::json!({}), &grants))
}

fn request(component: Digest, config: serde_json::Value) -> AttemptRequest {
    AttemptRequest {
        component,
        action: ActionId::from_uuid(uuid::Uuid::nil()),
        execution: ExecutionId::from_uuid(uuid::Uuid::nil()),
        correlation_id: "c".into(),
        attempt: 1,
        deadline: Timestamp::from_micros(0),
        traceparent: None,
        trigger: GuestTrigger::Call,
        config: config.to_string().into(),
        input: Payload { content_type: "text/plain".into(), data: Bytes::from_static(b"hello") },
        egress: egress(&["127.0.0.1", "localhost"]),
        limits: LimitsPolicy::default().default,
        journal: Arc::new(Journal::new()),
    }
}

async fn run(request: AttemptRequest) -> (AttemptReport, Vec<Fact>) {
    let journal = request.journal.clone();
    let report = runtime().run(request).await;
    (report, journal.drain().into_iter().map(|entry| entry.fact).collect())
}

fn code(report: &AttemptReport) -> ErrorCode {
    report.result.as_ref().unwrap_err().code
}

fn message(report: &AttemptReport) -> &str {
    &report.result.as_ref().unwrap_err().message
}

/// Answers every request on every connection with `head` and `body`; counts connections.
async fn server(answer: Vec<u8>) -> (u16, Arc<std::sync::atomic::AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let (answer, counter) = (Arc::new(answer), count.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::spawn(serve(stream, answer.clone()));
        }
    });
    (port, count)
}

async fn serve(mut stream: TcpStream, answer: Arc<Vec<u8>>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 || stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

macro_rules! fixture {
    ($name:literal) => {
        match admitted($name).await {
            Some(digest) => digest,
            None => panic!("the fixture {} is not built; `make guests` builds it", $name),
        }
    };
}

#[tokio::test]
async fn what_goes_in_comes_out_with_a_receipt() {
    let digest = fixture!("misbehave");
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
    let digest = fixture!("misbehave");
    for (config, wanted, part) in [
        (serde_json::json!({"mode": "loop"}), ErrorCode::FuelExhausted, "1000000000"),
        (serde_json::json!({"mode": "memory-bomb"}), ErrorCode::MemoryExceeded, "134217728 bytes"),
        (serde_json::json!({"mode": "deep-recursion"}), ErrorCode::Trapped, "stack"),
        (serde_json::json!({"mode": "panic"}), ErrorCode::Trapped, "unreachable"),
        (serde_json::json!({"mode": "exit"}), ErrorCode::Trapped, "exit code"),
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
    let digest = fixture!("misbehave");
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
    let digest = fixture!("misbehave");
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
    let digest = fixture!("misbehave");
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
    let digest = fixture!("misbehave");
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
    let digest = fixture!("misbehave");
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

    let mut validating = request(digest, serde_json::json!({"mode": "validate-network", "url": "http://localhost:9/"}));
    validating.egress = egress(&["localhost"]);
    let (report, _) = run(validating).await;
    assert_eq!(code(&report), ErrorCode::InvalidConfig);
    assert!(message(&report).contains("get no network"), "{}", message(&report));
}

#[tokio::test]
async fn the_hundred_and_first_request_is_denied() {
    let digest = fixture!("misbehave");
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
    let digest = fixture!("misbehave");
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", RESPONSE_BYTES_MAX + 1).into_bytes();
    answer.resize(answer.len() + RESPONSE_BYTES_MAX + 1, b'x');
    let (port, _) = server(answer).await;
    let (report, _) =
        run(request(digest, serde_json::json!({"mode": "get", "url": format!("http://127.0.0.1:{port}/")}))).await;
    assert_eq!(code(&report), ErrorCode::ProtocolFailed);
    assert_eq!(report.sent, Sent::Acknowledged);
    println!("{}", message(&report));
}

#[tokio::test]
async fn strange_timeouts_do_not_panic() {
    let digest = fixture!("misbehave");
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
    let digest = fixture!("misbehave");
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
    let digest = fixture!("misbehave");
    let (report, facts) = run(request(digest, serde_json::json!({"mode": "stdout", "text": "one"}))).await;
    println!("{facts:?}");
    assert!(report.result.is_ok());
    assert!(facts.iter().any(|fact| matches!(fact, Fact::MessageLogged { .. })));
    let (_, facts) = run(request(digest, serde_json::json!({"mode": "env"}))).await;
    assert!(facts.is_empty());
}

#[tokio::test]
async fn wasi_http_passes_the_same_gate() {
    let digest = fixture!("wasi_http");
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
    let digest = fixture!("wasi_sockets");
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

fn test(component: Digest, config: serde_json::Value) -> TestRequest {
    TestRequest {
        component,
        config: config.to_string().into(),
        test_methods: vec![],
        egress: egress(&["localhost"]),
        limits: LimitsPolicy::default().default,
    }
}

#[tokio::test]
async fn a_connection_test_tells_what_it_saw() {
    let digest = fixture!("misbehave");
    let (port, _) = server(ok("x")).await;
    let url = format!("http://localhost:{port}/");
    let tested = runtime().test_connection(test(digest, serde_json::json!({"url": url}))).await.unwrap();
    assert_eq!(tested.verdict, Verdict::Connected);
    let kinds: Vec<_> = tested.stages.iter().map(|stage| stage.stage).collect();
    assert_eq!(kinds[0], StageKind::Grant);
    assert_eq!(kinds[1], StageKind::NameResolution);
    assert!(kinds.contains(&StageKind::Connect));
    assert_eq!(kinds.last(), Some(&StageKind::Protocol));

    let hollow = runtime().test_connection(test(digest, serde_json::json!({}))).await.unwrap();
    assert_eq!(hollow.verdict, Verdict::Hollow);

    let denied = serde_json::json!({"url": "http://elsewhere.example/"});
    let failed = runtime().test_connection(test(digest, denied)).await.unwrap();
    assert_eq!(failed.verdict, Verdict::Failed);
    assert!(!failed.stages[0].ok && failed.stages[0].hint.is_some());

    let digest = fixture!("unsafe_test");
    let url = format!("http://localhost:{port}/");
    let tested = runtime().test_connection(test(digest, serde_json::json!({"url": url}))).await.unwrap();
    assert_eq!(tested.verdict, Verdict::Failed, "{:?}", tested.stages);
    assert!(tested.stages.iter().any(|stage| stage.message.contains("can change something")), "{:?}", tested.stages);
}

#[tokio::test]
async fn what_cannot_be_admitted_is_told_by_name() {
    for (name, wanted) in [
        ("forbidden_import", "unknown_import"),
        ("wrong_world", "missing_export"),
        ("loop_in_describe", "describe_fuel_exhausted"),
        ("trap_in_describe", "describe_trapped"),
    ] {
        let Some(bytes) = guest(name) else { return };
        let Err(RuntimeError::Refused(issues)) = runtime().admit(bytes).await else { panic!("{name}") };
        println!("{name}: {issues:?}");
        assert!(issues.iter().any(|issue| issue.code == wanted), "{name}: {issues:?}");
    }
}

#[tokio::test]
async fn a_config_is_validated_without_an_attempt() {
    let digest = fixture!("misbehave");
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
    let Some(bytes) = guest("noop") else { return };
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
