//! Who has to agree before an unsafe attempt sends its first byte: asked once, and nothing leaves
//! without it, whichever way out a guest takes.

use crate::{
    authority::{NOW, Seen, TlsServer, operators},
    kit::*,
};
use action_domain::{
    event::Fact,
    failure::{Effect, ErrorCode, Sent},
    services::{AttemptRequest, ProtocolRuntime, Sending, SendingRefused},
};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::{
    future::pending,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
};

/// Counts how often it is asked, and says the same each time.
struct Counting {
    asked: AtomicU32,
    verdict: Result<(), SendingRefused>,
}

#[async_trait]
impl Sending for Counting {
    async fn begins(&self) -> Result<(), SendingRefused> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.verdict.clone()
    }
}

fn agreeing() -> Arc<Counting> {
    Arc::new(Counting { asked: AtomicU32::new(0), verdict: Ok(()) })
}

fn refusing() -> Arc<Counting> {
    let refusal = SendingRefused("the lease is lost".into());
    Arc::new(Counting { asked: AtomicU32::new(0), verdict: Err(refusal) })
}

impl Counting {
    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Never says anything, but that it was asked.
#[derive(Default)]
struct Silent(Notify);

#[async_trait]
impl Sending for Silent {
    async fn begins(&self) -> Result<(), SendingRefused> {
        self.0.notify_one();
        pending().await
    }
}

async fn asking(fixture: &str, config: Value, sending: Arc<dyn Sending>) -> AttemptRequest {
    AttemptRequest { sending: Some(sending), ..request(admitted(fixture).await, config) }
}

/// Every way out of a guest whose effect is unsafe.
fn ways_out(address: SocketAddr) -> [(&'static str, Value); 6] {
    let url = format!("http://{address}/");
    [
        ("misbehave", json!({"mode": "post", "url": url})),
        ("misbehave", json!({"mode": "http-flood", "url": url, "count": 3})),
        ("misbehave", json!({"mode": "tcp", "address": address})),
        ("misbehave", json!({"mode": "starttls", "address": address})),
        ("wasi_http", json!({"url": url})),
        ("wasi_sockets", json!({"address": address})),
    ]
}

/// Reads one connection after the other to its end, and gives what came over each.
async fn reader() -> (SocketAddr, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let _: std::io::Result<usize> = stream.read_to_end(&mut bytes).await;
            let _ = tell.send(bytes);
        }
    });
    (address, told)
}

/// What came over all connections that were made before this.
async fn everything(address: SocketAddr, told: &mut mpsc::UnboundedReceiver<Vec<u8>>) -> Vec<u8> {
    const LAST: &[u8] = b"this is the last connection";
    let mut last = TcpStream::connect(address).await.unwrap();
    last.write_all(LAST).await.unwrap();
    drop(last);
    let mut all = Vec::new();
    loop {
        let bytes = soon(told.recv()).await.unwrap();
        if bytes == LAST {
            return all;
        }
        all.extend(bytes);
    }
}

#[tokio::test]
async fn an_unsafe_attempt_asks_once_and_then_sends() {
    let (port, _) = server(ok("answer")).await;
    for (fixture, config) in ways_out(([127, 0, 0, 1], port).into()) {
        let sending = agreeing();
        let (report, _) = run(asking(fixture, config.clone(), sending.clone()).await).await;
        assert_eq!(report.effect, Some(Effect::Unsafe), "{config}");
        assert_ne!(report.sent, Sent::NotSent, "{config}: {report:?}");
        assert_eq!(sending.asked(), 1, "{config}");
    }
    let mut server = TlsServer::answering(operators().server("localhost", NOW), ok("answer")).await;
    let config = json!({"mode": "post", "url": format!("https://localhost:{}/", server.port)});
    let sending = agreeing();
    let (report, _) = run(asking("misbehave", config, sending.clone()).await).await;
    assert_eq!((report.sent, sending.asked()), (Sent::Acknowledged, 1));
    assert!(matches!(&server.seen()[..], [Seen::Handshake(_), Seen::Read(_)]));
}

/// What the record says of a request of which nothing left.
fn withheld(fact: &Fact) -> &str {
    match fact {
        Fact::RequestMade { error: Some(error), status: None, bytes_out: 0, .. } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_leaves_without_it_and_the_attempt_ends() {
    let (address, mut told) = reader().await;
    let refused = SendingRefused("the lease is lost".into());
    for (fixture, config) in ways_out(address) {
        let sending = refusing();
        let (report, facts) = run(asking(fixture, config.clone(), sending.clone()).await).await;
        assert_eq!(code(&report), ErrorCode::HostError, "{config}");
        assert_eq!(message(&report), refused.to_string(), "{config}");
        assert_eq!((report.sent, report.effect), (Sent::NotSent, Some(Effect::Unsafe)), "{config}");
        assert_eq!((report.receipt.bytes_out, sending.asked()), (0, 1), "{config}");
        // The gate stands before a socket's connection; a connection of the service's own is there
        // by then, and the flood may have begun its next one.
        let errors: Vec<_> = facts.iter().map(withheld).collect();
        assert!(fixture == "wasi_sockets" || errors[0] == refused.to_string(), "{config}: {facts:?}");
        assert_eq!(everything(address, &mut told).await, b"", "{config}");
    }
    // Shaking hands is no request: that much may be seen, and nothing over it.
    let mut server = TlsServer::answering(operators().server("localhost", NOW), ok("must not be")).await;
    for (fixture, config) in [
        ("misbehave", json!({"mode": "post", "url": format!("https://localhost:{}/", server.port)})),
        ("misbehave", json!({"mode": "tcp", "address": format!("localhost:{}", server.port), "tls": true})),
        ("wasi_http", json!({"url": format!("https://localhost:{}/", server.port)})),
    ] {
        let (report, _) = run(asking(fixture, config.clone(), refusing()).await).await;
        assert_eq!((code(&report), report.sent), (ErrorCode::HostError, Sent::NotSent), "{config}");
        assert!(!server.seen().iter().any(|seen| matches!(seen, Seen::Read(_))), "{config}");
    }
}

#[tokio::test]
async fn a_kept_connection_asks_too() {
    let (port, connections) = server(ok("answer")).await;
    let config = json!({"mode": "post", "url": format!("http://127.0.0.1:{port}/kept")});
    for _ in 0..2 {
        let sending = agreeing();
        let (report, _) = run(asking("misbehave", config.clone(), sending.clone()).await).await;
        assert_eq!((report.sent, sending.asked()), (Sent::Acknowledged, 1));
    }
    let (report, _) = run(asking("misbehave", config.clone(), refusing()).await).await;
    assert_eq!((code(&report), report.sent), (ErrorCode::HostError, Sent::NotSent));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn other_effects_and_whoever_sends_nothing_do_not_ask() {
    let (port, _) = server(ok("answer")).await;
    let url = format!("http://127.0.0.1:{port}/");
    for effect in ["read", "idempotent", "keyed"] {
        let sending = refusing();
        let config = json!({"mode": "post", "url": url, "effect": effect});
        let (report, _) = run(asking("misbehave", config, sending.clone()).await).await;
        assert_eq!(report.result.unwrap().output.data, "answer", "{effect}");
        assert_eq!(sending.asked(), 0, "{effect}");
    }
    let nobody = format!("http://127.0.0.1:{}/", closed_port().await);
    for (config, ended) in [
        (json!({"mode": "echo"}), None),
        (json!({"mode": "get", "url": nobody}), Some(ErrorCode::ProtocolFailed)),
        (json!({"mode": "get", "url": "http://not-granted.example/"}), Some(ErrorCode::EgressDenied)),
    ] {
        let sending = refusing();
        let (report, _) = run(asking("misbehave", config.clone(), sending.clone()).await).await;
        assert_eq!(report.result.err().map(|error| error.code), ended, "{config}");
        assert_eq!((report.sent, sending.asked()), (Sent::NotSent, 0), "{config}");
    }
}

#[tokio::test]
async fn an_attempt_that_waits_for_it_can_be_ended() {
    let (address, mut told) = reader().await;
    for (fixture, config) in ways_out(address) {
        let mut waiting = asking(fixture, config.clone(), Arc::new(Silent::default())).await;
        waiting.limits.timeout_ms = 200;
        let (report, _) = soon(run(waiting)).await;
        assert_eq!((code(&report), report.sent), (ErrorCode::DeadlineExceeded, Sent::NotSent), "{config}");

        let silent = Arc::new(Silent::default());
        let mut attempt = runtime().run(asking(fixture, config.clone(), silent.clone()).await);
        tokio::select! {
            () = soon(silent.0.notified()) => {}
            report = &mut attempt => panic!("{config}: {report:?}"),
        }
        drop(attempt);
        assert_eq!(everything(address, &mut told).await, b"", "{config}");
    }
}
