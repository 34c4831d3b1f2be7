//! `reconcile`: what a protocol finds out about an attempt in doubt, and what may go wrong then.

use crate::kit::*;
use action_domain::{
    event::Fact,
    failure::{Effect, ErrorCode, FailureKind, Sent},
    id::ExecutionId,
    receipt::Receipt,
    services::{AttemptRequest, ProtocolRuntime, ReconcileReport, Reconciliation, Sending, SendingRefused},
};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

async fn ask(request: AttemptRequest) -> (ReconcileReport, Vec<Fact>) {
    let journal = request.journal.clone();
    let report = soon(runtime().reconcile(request)).await;
    (report, facts(&journal))
}

async fn reconciling(config: Value) -> AttemptRequest {
    request(admitted("reconciling").await, config)
}

fn error(report: &ReconcileReport) -> (ErrorCode, &str) {
    let error = report.result.as_ref().unwrap_err();
    (error.code, &error.message)
}

/// A remote that keeps what is posted, under its idempotency key.
#[derive(Default)]
struct Remote {
    seen: Mutex<Vec<(String, String)>>,
}

impl Remote {
    async fn start() -> (String, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let remote = Arc::new(Self::default());
        let shared = remote.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(shared.clone().serve(stream));
            }
        });
        (url, remote)
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut text = String::new();
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
            if let Some(answer) = self.answer(&text) {
                stream.write_all(answer.as_bytes()).await.unwrap();
                text.clear();
            }
        }
    }

    /// The answer to a request, once the whole of it is there.
    fn answer(&self, request: &str) -> Option<String> {
        let (head, body) = request.split_once("\r\n\r\n")?;
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.into_iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        if header("content-length").is_some_and(|length| length != body.len().to_string()) {
            return None;
        }
        let key = header("idempotency-key").unwrap();
        let mut seen = self.seen.lock().unwrap();
        let (status, body) = if head.starts_with("POST") {
            seen.push((key, body.to_owned()));
            ("200 OK", format!("order {}", seen.len()))
        } else {
            match seen.iter().position(|(known, _)| *known == key) {
                Some(place) => ("200 OK", format!("order {}", place + 1)),
                None => ("404 Not Found", String::new()),
            }
        };
        Some(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }
}

#[tokio::test]
async fn an_attempt_in_doubt_is_found_at_the_remote_and_another_is_not() {
    let (url, remote) = Remote::start().await;
    let config = json!({"url": url, "execute": "trap"});
    let (report, _) = run(reconciling(config.clone()).await).await;
    assert_eq!(code(&report), ErrorCode::Trapped);
    assert_eq!((report.effect, report.sent), (Some(Effect::Unsafe), Sent::Acknowledged));

    let request = reconciling(config.clone()).await;
    let key = request.execution.to_string();
    let (report, facts) = ask(request).await;
    let Ok(Reconciliation::TookEffect(outcome)) = &report.result else { panic!("{report:?}") };
    assert_eq!(outcome.output.data, "order 1");
    assert!(
        matches!(&facts[..], [Fact::RequestMade { method, status: Some(200), .. }] if method == "GET"),
        "{facts:?}"
    );
    let Receipt { fuel, requests, bytes_out, bytes_in, wall_us, .. } = report.receipt;
    assert!(fuel > 0 && requests == 1 && bytes_out > 0 && bytes_in > 0 && wall_us > 0, "{:?}", report.receipt);

    let other = ExecutionId::from_uuid(uuid::Uuid::from_u128(1));
    let (report, facts) = ask(AttemptRequest { execution: other, ..reconciling(config).await }).await;
    assert!(matches!(report.result, Ok(Reconciliation::DidNot)), "{report:?}");
    assert!(matches!(&facts[..], [Fact::RequestMade { status: Some(404), .. }]), "{facts:?}");
    assert_eq!(*remote.seen.lock().unwrap(), [(key, "hello".to_owned())], "asking changes nothing there");
}

#[tokio::test]
async fn a_remote_that_cannot_tell_leaves_it_unknown_and_one_that_is_away_is_a_failure() {
    let (port, _) = server(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let (report, _) = ask(reconciling(json!({"url": format!("http://127.0.0.1:{port}/")})).await).await;
    assert!(matches!(report.result, Ok(Reconciliation::Unknown)), "{report:?}");

    let port = closed_port().await;
    let (report, facts) = ask(reconciling(json!({"url": format!("http://127.0.0.1:{port}/")})).await).await;
    assert_eq!(error(&report).0, ErrorCode::ProtocolFailed);
    let failure = report.result.unwrap_err().failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(matches!(&facts[..], [Fact::RequestMade { error: Some(_), .. }]), "{facts:?}");
}

#[tokio::test]
async fn each_answer_and_each_bad_end_is_told_apart() {
    let config = |answer: &str| json!({"url": "http://127.0.0.1:9/", "reconcile": answer});
    let (report, _) = ask(reconciling(config("took-effect")).await).await;
    assert!(matches!(report.result, Ok(Reconciliation::TookEffect(outcome)) if outcome.output.data == "done"));
    let (report, _) = ask(reconciling(config("did-not")).await).await;
    assert!(matches!(report.result, Ok(Reconciliation::DidNot)));
    let (report, _) = ask(reconciling(config("unknown")).await).await;
    assert!(matches!(report.result, Ok(Reconciliation::Unknown)));
    for (answer, wanted, part) in [
        ("fail", ErrorCode::ProtocolFailed, "failed as asked"),
        ("trap", ErrorCode::Trapped, "reconcile trapped: "),
        ("loop", ErrorCode::FuelExhausted, "reconcile used all its fuel (1000000000)"),
        ("huge-output", ErrorCode::OutputTooLarge, "over limits.output_bytes (8388608)"),
    ] {
        let (report, _) = ask(reconciling(config(answer)).await).await;
        let (code, message) = error(&report);
        assert_eq!(code, wanted, "{answer}: {message}");
        assert!(message.contains(part), "{answer}: {message}");
        assert!(report.receipt.fuel > 0, "{answer}");
    }
    // A config that the protocol would not accept does not parse here either.
    let (report, _) = ask(reconciling(json!({"url": 1})).await).await;
    assert_eq!(report.result.unwrap_err().failure.unwrap().kind, FailureKind::InvalidConfig);
}

#[tokio::test]
async fn a_deadline_ends_it_while_it_computes_and_while_it_waits() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    for config in [json!({"url": url, "reconcile": "loop"}), json!({"url": url})] {
        let mut slow = reconciling(config.clone()).await;
        slow.limits.fuel = u64::MAX / 2;
        slow.limits.timeout_ms = 200;
        let (report, _) = ask(slow).await;
        assert_eq!(error(&report), (ErrorCode::DeadlineExceeded, "reconcile was ended: its time of 200 ms was over"));
        assert!(report.receipt.wall_us < 2_000_000, "{config}: {:?}", report.receipt);
    }
}

#[tokio::test]
async fn what_is_not_granted_is_denied() {
    let (report, facts) = ask(reconciling(json!({"url": "http://not-granted.example/"})).await).await;
    let (code, message) = error(&report);
    assert_eq!(code, ErrorCode::EgressDenied);
    assert!(message.contains("no grant names it"), "{message}");
    assert!(matches!(&facts[..], [Fact::EgressDenied { .. }]), "{facts:?}");
}

/// Whoever asks it is wrong.
struct Never;

#[async_trait]
impl Sending for Never {
    async fn begins(&self) -> Result<(), SendingRefused> {
        Err(SendingRefused("nobody should have asked".into()))
    }
}

#[tokio::test]
async fn finding_out_needs_no_permission_to_send() {
    let (url, _) = Remote::start().await;
    let sending: Option<Arc<dyn Sending>> = Some(Arc::new(Never));
    let (report, _) = ask(AttemptRequest { sending, ..reconciling(json!({"url": url})).await }).await;
    assert!(matches!(report.result, Ok(Reconciliation::DidNot)), "{report:?}");
}

#[tokio::test]
async fn a_protocol_that_cannot_is_told_from_one_that_can_and_is_not_run() {
    for (fixture, can) in [("reconciling", true), ("misbehave", false), ("noop", false)] {
        assert_eq!(runtime().admit(guest(fixture)).await.unwrap().reconciles, can, "{fixture}");
    }
    let (report, facts) = ask(request(admitted("misbehave").await, json!({"mode": "stdout"}))).await;
    let told = "the protocol cannot reconcile: it does not export `reconciler`";
    assert_eq!(error(&report), (ErrorCode::HostError, told));
    assert_eq!(report.receipt, Receipt::default());
    assert!(facts.is_empty(), "{facts:?}");
}
