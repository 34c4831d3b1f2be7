//! What a runtime keeps of a component, in memory and on disk, and how that goes.

use crate::kit::*;
use action_domain::{
    digest::Digest,
    repositories::StoreUnavailable,
    services::{ComponentSource, ProtocolRuntime, RuntimeError},
};
use action_wasm::WasmRuntime;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use std::{path::Path, sync::Arc};

/// Gives the same component, whatever is asked for.
struct Swapped;

#[async_trait]
impl ComponentSource for Swapped {
    async fn component(&self, _digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        Ok(Some(guest("noop")))
    }
}

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

#[tokio::test]
async fn what_somebody_put_in_the_place_of_a_component_is_not_run() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config_in(data.path());
    config.components = Arc::new(Swapped);
    let runtime = WasmRuntime::new(config).unwrap();
    runtime.prepare(Digest::of(&guest("noop"))).await.unwrap();
    let other = runtime.prepare(Digest::of(&guest("misbehave"))).await.unwrap_err();
    assert!(matches!(&other, RuntimeError::Host(why) if why.contains("is something else")), "{other:?}");
    assert_eq!(files(data.path()), 1);
}
