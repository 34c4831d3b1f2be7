//! What a runtime keeps of a component, in memory and on disk, and how that goes.

use crate::kit::*;
use action_domain::services::{ProtocolRuntime, RuntimeError};
use serde_json::json;
use std::path::Path;

fn files(data: &Path) -> usize {
    std::fs::read_dir(data.join("cache")).unwrap().count()
}

#[tokio::test]
async fn what_is_forgotten_is_gone_from_memory_and_from_disk() {
    let data = tempfile::tempdir().unwrap();
    let runtime = runtime_in(data.path());
    let RuntimeError::Refused(_) = runtime.admit(guest("trap_in_describe")).await.unwrap_err() else {
        panic!("it is refused")
    };
    assert_eq!(files(data.path()), 0, "a refused component leaves nothing");
    let digest = runtime.admit(guest("noop")).await.unwrap().digest;
    assert_eq!(files(data.path()), 1);
    runtime.prepare(digest).await.unwrap();
    runtime.forget(digest).await;
    assert_eq!(files(data.path()), 0);
    // Its bytes are nowhere, so only what was kept could make it ready.
    let gone = runtime.prepare(digest).await.unwrap_err();
    assert!(matches!(gone, RuntimeError::NotFound(_)), "{gone:?}");
    runtime.forget(digest).await;
    // It may come back.
    assert_eq!(runtime.admit(guest("noop")).await.unwrap().digest, digest);
    assert_eq!(files(data.path()), 1);
    runtime.prepare(digest).await.unwrap();
}

#[tokio::test]
async fn an_attempt_that_runs_is_not_disturbed_when_its_component_is_forgotten() {
    let data = tempfile::tempdir().unwrap();
    let runtime = runtime_in(data.path());
    let digest = runtime.admit(guest("misbehave")).await.unwrap().digest;
    let mut attempt = runtime.run(request(digest, json!({"mode": "sleep", "ms": 50})));
    assert!(futures_util::poll!(&mut attempt).is_pending());
    runtime.forget(digest).await;
    let report = soon(attempt).await;
    assert!(report.result.is_ok(), "{report:?}");
}
