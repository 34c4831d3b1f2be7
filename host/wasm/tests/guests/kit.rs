//! What the tests of guests stand on: a runtime, requests to it, and servers to reach.

use crate::authority::operators;
use action_domain::{
    action::{EgressGrant, Grants},
    digest::Digest,
    egress::{Egress, EgressPolicy},
    event::Fact,
    failure::ErrorCode,
    id::{ActionId, ExecutionId},
    limits::LimitsPolicy,
    payload::Payload,
    repositories::StoreUnavailable,
    secret::{AttemptSecrets, Held},
    services::{AttemptReport, AttemptRequest, Clock, ComponentSource, GuestTrigger, Journal, ProtocolRuntime},
    time::Timestamp,
};
use action_wasm::{Compiler, RuntimeConfig, WasmRuntime};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A clock that stands still.
pub(crate) struct Stopped;

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

pub(crate) fn config_in(data: &Path) -> RuntimeConfig {
    RuntimeConfig {
        cache_dir: data.join("cache"),
        cache_key_file: data.join("cache-key"),
        compiler: Compiler::InProcess,
        concurrency: 128,
        egress_policy: EgressPolicy { private_networks: true, ..EgressPolicy::default() },
        trusted_keys: Vec::new(),
        clock: Arc::new(Stopped),
        components: Arc::new(Nothing),
    }
}

/// Trusts the operator's authority (see [`crate::authority`]).
pub(crate) fn runtime_in(data: &Path) -> WasmRuntime {
    WasmRuntime::new(config_in(data)).unwrap().trusting(&operators().pem()).unwrap()
}

/// One for all tests: a component is compiled once.
pub(crate) fn runtime() -> &'static WasmRuntime {
    static RUNTIME: OnceLock<(tempfile::TempDir, WasmRuntime)> = OnceLock::new();
    let make = || {
        let data = tempfile::tempdir().unwrap();
        let runtime = runtime_in(data.path());
        (data, runtime)
    };
    &RUNTIME.get_or_init(make).1
}

pub(crate) fn guest(name: &str) -> Bytes {
    let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/target/wasm32-wasip2/release");
    let bytes = std::fs::read(built.join(format!("{name}.wasm")));
    bytes.unwrap_or_else(|_| panic!("the fixture {name} is not built; `make guests` builds it")).into()
}

pub(crate) async fn admitted(name: &str) -> Digest {
    runtime().admit(guest(name)).await.unwrap().digest
}

pub(crate) fn egress(hosts: &[&str]) -> Arc<Egress> {
    let egress = hosts.iter().map(|host| EgressGrant { host: (*host).into(), ports: vec![] }).collect();
    let grants = Grants { egress, private_networks: true, ..Grants::default() };
    Arc::new(Egress::of_action(&serde_json::json!({}), &serde_json::json!({}), &grants))
}

/// By the `url` of a config alone, also where that leads into this machine.
pub(crate) fn egress_of(config: &serde_json::Value) -> Arc<Egress> {
    let schema = serde_json::json!({"properties": {"url": {"x-egress": "http"}}});
    Arc::new(Egress::of_action(&schema, config, &Grants { private_networks: true, ..Grants::default() }))
}

pub(crate) fn request(component: Digest, config: serde_json::Value) -> AttemptRequest {
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
        secrets: Arc::default(),
        input: Payload { content_type: "text/plain".into(), data: Bytes::from_static(b"hello") },
        egress: egress(&["127.0.0.1", "localhost"]),
        limits: LimitsPolicy::default().default,
        journal: Arc::new(Journal::new()),
        sending: None,
        capturing: None,
        plan: None,
    }
}

/// The handle of the one secret of [`holding`].
pub(crate) const HANDLE: &str = "sec_0123456789abcdef0123456789abcdef";

/// One secret, which the guest may see or not.
pub(crate) fn holding(value: &str, reveal: bool) -> Arc<AttemptSecrets> {
    let value = Some(Arc::new(value.as_bytes().to_vec().into()));
    Arc::new(AttemptSecrets::new(vec![Held { handle: HANDLE.into(), name: "token".parse().unwrap(), value, reveal }]))
}

pub(crate) async fn run(request: AttemptRequest) -> (AttemptReport, Vec<Fact>) {
    let journal = request.journal.clone();
    let report = runtime().run(request).await;
    (report, facts(&journal))
}

pub(crate) fn facts(journal: &Journal) -> Vec<Fact> {
    journal.finish().into_iter().map(|entry| entry.fact).collect()
}

/// Waits for what has to come soon.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), what).await.expect("in time")
}

pub(crate) fn code(report: &AttemptReport) -> ErrorCode {
    report.result.as_ref().unwrap_err().code
}

pub(crate) fn message(report: &AttemptReport) -> &str {
    &report.result.as_ref().unwrap_err().message
}

/// Answers every request on every connection with `head` and `body`; counts connections.
pub(crate) async fn server(answer: Vec<u8>) -> (u16, Arc<std::sync::atomic::AtomicU32>) {
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

/// A port at which nobody listens.
pub(crate) async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
