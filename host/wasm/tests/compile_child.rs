//! The compiling child, for real: this binary starts itself, as the service does.

#![expect(clippy::unwrap_used, reason = "a test without a harness: its standard output is the child's")]

use action_domain::{
    digest::Digest,
    egress::EgressPolicy,
    repositories::StoreUnavailable,
    services::{Clock, ComponentSource, ProtocolRuntime, RuntimeError},
    time::Timestamp,
};
use action_wasm::{Compiler, RuntimeConfig, WasmRuntime, compile_child_main};
use async_trait::async_trait;
use bytes::Bytes;
use std::{process::ExitCode, sync::Arc, time::Instant};

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

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("compile") {
        return compile_child_main();
    }
    tokio::runtime::Runtime::new().unwrap().block_on(check());
    ExitCode::SUCCESS
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn check() {
    let built =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/target/wasm32-wasip2/release/misbehave.wasm");
    let Ok(component) = std::fs::read(built).map(Bytes::from) else {
        println!("skipped: the fixture misbehave is not built");
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let runtime = WasmRuntime::new(RuntimeConfig {
        cache_dir: data.path().join("cache"),
        cache_key_file: data.path().join("cache-key"),
        compiler: Compiler::Child { program: std::env::current_exe().unwrap(), args: vec!["compile".into()] },
        concurrency: 64,
        egress_policy: EgressPolicy::default(),
        clock: Arc::new(Stopped),
        components: Arc::new(Nothing),
    })
    .unwrap();
    println!("resident when idle: {} KiB", resident_kib());
    let started = Instant::now();
    let admitted = runtime.admit(component.clone()).await.unwrap();
    assert_eq!(admitted.descriptor.name, "misbehave");
    assert!(!admitted.imports.is_empty());
    println!("admitted by way of the child in {:?}", started.elapsed());
    assert_eq!(runtime.admit(component).await.unwrap().digest, admitted.digest);

    let refused = runtime.admit(Bytes::from_static(b"\0asm\x01\0\0\0")).await;
    assert!(matches!(refused, Err(RuntimeError::Refused(_))), "{refused:?}");
    println!("ok");
}
