//! Ends that come from outside of the guest: the caller gives up, the host has a defect; and the
//! one exit that a guest has beside its answer.

use crate::kit::*;
use action_domain::{
    failure::{ErrorCode, Sent},
    limits::CONTINUOUS_MAX,
    services::{Clock, ProtocolRuntime},
    time::Timestamp,
};
use action_wasm::{RuntimeConfig, WasmRuntime};
use serde_json::json;
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{io::AsyncReadExt, net::TcpListener};

/// A runtime with one place.
fn narrow(change: impl FnOnce(&mut RuntimeConfig)) -> (tempfile::TempDir, WasmRuntime) {
    let data = tempfile::tempdir().unwrap();
    let mut config = RuntimeConfig { concurrency: 1, ..config_in(data.path()) };
    change(&mut config);
    (data, WasmRuntime::new(config).unwrap())
}

#[tokio::test]
async fn dropping_an_attempt_closes_its_connection_and_gives_its_place_back() {
    let (_data, runtime) = narrow(|_| ());
    for (fixture, config) in [
        ("misbehave", json!({"mode": "slow-server", "url": "http://ADDRESS/"})),
        ("misbehave", json!({"mode": "post", "url": "https://ADDRESS/"})),
        ("misbehave", json!({"mode": "tcp", "address": "ADDRESS"})),
        ("wasi_http", json!({"url": "http://ADDRESS/"})),
        ("wasi_sockets", json!({"address": "ADDRESS"})),
    ] {
        let digest = digest_of(&runtime, fixture).await;
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let config = config.to_string().replace("ADDRESS", &address);
        let waiting = request(digest, serde_json::from_str(&config).unwrap());
        let journal = waiting.journal.clone();
        let mut attempt = runtime.run(waiting);
        let reached = async {
            let (mut peer, _) = silent.accept().await.unwrap();
            assert!(peer.read(&mut [0; 4096]).await.unwrap() > 0);
            peer
        };
        let mut peer = tokio::select! {
            peer = soon(reached) => peer,
            report = &mut attempt => panic!("{config}: {report:?}"),
        };
        drop(attempt);
        let end = soon(async {
            let mut rest = Vec::new();
            peer.read_to_end(&mut rest).await
        });
        // Closed in order, or reset: either way the remote knows.
        let _: std::io::Result<usize> = end.await;
        let recorded = facts(&journal);
        assert_eq!(recorded.len(), 1, "{config}: {recorded:?}");
        let again = runtime.run(request(digest_of(&runtime, "misbehave").await, json!({"mode": "echo"})));
        assert_eq!(soon(again).await.result.unwrap().output.data, "hello", "{config}");
    }
}

async fn digest_of(runtime: &WasmRuntime, fixture: &str) -> action_domain::digest::Digest {
    runtime.admit(guest(fixture)).await.unwrap().digest
}

#[tokio::test]
async fn dropping_an_attempt_that_computes_stops_it_and_gives_its_place_back() {
    let (_data, runtime) = narrow(|_| ());
    let digest = digest_of(&runtime, "misbehave").await;
    let mut looping = request(digest, json!({"mode": "loop"}));
    looping.limits.fuel = u64::MAX / 2;
    looping.limits.timeout_ms = 900_000;
    let journal = Arc::downgrade(&looping.journal);
    {
        let mut attempt = pin!(runtime.run(looping));
        // It yields, or this would not come back.
        for _ in 0..100 {
            assert!(futures_util::poll!(&mut attempt).is_pending());
        }
        // One place is for attempts, the others are for those that run on and on.
        let mut others = Vec::new();
        for _ in 0..CONTINUOUS_MAX {
            let mut looping = request(digest, json!({"mode": "loop"}));
            looping.limits.fuel = u64::MAX / 2;
            let mut other = Box::pin(runtime.run(looping));
            assert!(futures_util::poll!(&mut other).is_pending());
            others.push(other);
        }
        let mut last = pin!(runtime.run(request(digest, json!({"mode": "echo"}))));
        assert!(futures_util::poll!(&mut last).is_pending(), "every place is taken");
    }
    // It may be at the end of its slice in the slow lane; then nothing of it is left.
    soon(async {
        while journal.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let report = soon(runtime.run(request(digest, json!({"mode": "echo"})))).await;
    assert_eq!(report.result.unwrap().output.data, "hello");
}

/// A defect of the host: the clock breaks while a guest's log line asks for the time.
struct BreaksOnce(AtomicU32);

impl Clock for BreaksOnce {
    fn now(&self) -> Timestamp {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) != 0, "the clock broke");
        Timestamp::from_micros(0)
    }
}

#[tokio::test]
async fn a_panic_of_the_host_ends_the_attempt_and_nothing_else() {
    let (port, _) = server(ok("answer")).await;
    let url = format!("http://127.0.0.1:{port}/");
    for (fixture, config) in [
        ("misbehave", json!({"mode": "log-long-line", "bytes": 10})),
        ("misbehave", json!({"mode": "stdout", "count": 1})),
        ("misbehave", json!({"mode": "get", "url": url})),
        ("wasi_http", json!({"url": url})),
    ] {
        let (_data, runtime) = narrow(|config| config.clock = Arc::new(BreaksOnce(AtomicU32::new(0))));
        let digest = digest_of(&runtime, fixture).await;
        let report = runtime.run(request(digest, config.clone())).await;
        let error = report.result.unwrap_err();
        assert_eq!(error.code, ErrorCode::HostError, "{config}: {}", error.message);
        assert_eq!(error.message, "a defect of the service ended execute; its log has more", "{config}");
        // The one place is free again, and so is the instance's slot in the pool.
        let again = soon(runtime.run(request(digest, config.clone()))).await;
        assert!(again.result.is_ok(), "{config}: {again:?}");
    }
}

#[tokio::test]
async fn a_guest_that_exits_is_told_that_it_has_to_answer() {
    let digest = admitted("misbehave").await;
    let (report, _) = run(request(digest, json!({"mode": "exit"}))).await;
    assert_eq!(code(&report), ErrorCode::Trapped);
    let told = "execute called exit (with failure) and gave no answer; a protocol returns its failure";
    assert_eq!(message(&report), told);
    assert_eq!(report.sent, Sent::NotSent);
}
