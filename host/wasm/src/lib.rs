//! The sandbox: runs protocols, which are WebAssembly components, and is the only crate that
//! knows wasmtime.
//!
//! [`WasmRuntime`] is the domain's `ProtocolRuntime`. A component's way through it: its type is
//! looked at (`inspect`), it is compiled in a child process (`compile`), kept on disk under a
//! seal (`cache`) and in memory, linked (`prepared`). Each call gets a fresh instance (`invoke`)
//! within its limits (`limiter`, fuel, time), whose only way out is the gate (`capability`). One that
//! computes for long goes on behind all others (`lanes`).
//! How it ended becomes one of the stable error codes (`outcome`).

mod admit;
mod attempt;
mod bindings;
mod cache;
mod capability;
mod compile;
mod connection_test;
mod engine;
mod inspect;
mod invoke;
mod lanes;
mod limiter;
mod native;
mod outcome;
mod output;
mod panic;
mod prepared;
mod reconcile;
mod signature;
mod state;
mod transform;

pub use compile::{Compiler, compile_child_main};

use crate::{
    cache::Cache,
    capability::{
        gate::Outside,
        pool::Pool,
        resolver::{Servers, System},
        tls::Trust,
    },
    compile::Workshop,
    lanes::Lanes,
};
use action_domain::{
    audit::PublicKey,
    digest::Digest,
    egress::EgressPolicy,
    failure::{ErrorCode, ExecutionError, Issue},
    limits::{COMPILED_BYTES_MAX, CONTINUOUS_MAX},
    payload::Payload,
    services::{
        Accepted, Admitted, AttemptReport, AttemptRequest, Clock, ComponentSource, ConnectionTest, ProtocolRuntime,
        ReconcileReport, RuntimeError, TestRequest, TransformError, TransformRequest, ValidateError,
    },
    transform::Mistake,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::sync::Semaphore;
use wasmtime::Engine;

/// What a runtime is made of.
pub struct RuntimeConfig {
    /// The folder for compiled code; this node's own.
    pub cache_dir: PathBuf,
    /// The file with the key that seals it, made where there is none. Outside of the folder.
    pub cache_key_file: PathBuf,
    /// Where compilation happens.
    pub compiler: Compiler,
    /// Attempts at once; further ones wait.
    pub concurrency: u32,
    /// The operator's word on what may be reached.
    pub egress_policy: EgressPolicy,
    /// Uploads have to be signed with one of these. None: anybody's are let in.
    pub trusted_keys: Vec<PublicKey>,
    /// Tells the time for the journal.
    pub clock: Arc<dyn Clock>,
    /// Where components come from that are not compiled here yet.
    pub components: Arc<dyn ComponentSource>,
}

/// Why a runtime could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly runtime cannot start: {0}")]
pub struct StartError(String);

/// Runs components with wasmtime.
pub struct WasmRuntime {
    engine: Engine,
    components: prepared::Store,
    pool: Arc<Pool>,
    outside: Outside,
    trusted_keys: Vec<PublicKey>,
    clock: Arc<dyn Clock>,
    attempts: Arc<Semaphore>,
    aside: Arc<Semaphore>,
    transforms: Arc<Semaphore>,
    lanes: Lanes,
    concurrency: u32,
}

/// Looks at a component as admission does before anything of it is compiled: who signed it, where
/// anybody is trusted, and what it is. Gives what it imports.
///
/// # Errors
/// Everything that is wrong with it.
pub fn inspect_component(component: &[u8], trusted: &[PublicKey]) -> Result<Vec<String>, Vec<Issue>> {
    admit::look_at(component, trusted).map(|inspected| inspected.imports)
}

impl WasmRuntime {
    /// Reserves the pool of instances and opens the cache.
    ///
    /// # Errors
    /// If the pool cannot be reserved. A cache that cannot be used costs time only, and is
    /// reported in the log.
    pub fn new(config: RuntimeConfig) -> Result<Self, StartError> {
        let cannot = |error: wasmtime::Error| StartError(format!("{error:#}"));
        let concurrency = engine::concurrency(config.concurrency);
        let engine = engine::running(concurrency).map_err(cannot)?;
        let linker = state::linker(&engine).map_err(cannot)?;
        let compatibility = engine::compatibility(&engine);
        let disk = Cache::open(&config.cache_dir, &config.cache_key_file, compatibility, COMPILED_BYTES_MAX)
            .inspect_err(|error| tracing::warn!(%error, "no compile cache: components are compiled at each start"))
            .ok();
        let workshop = Workshop::new(config.compiler, engine.clone());
        Ok(Self {
            components: prepared::Store::new(engine.clone(), linker, disk, workshop, config.components),
            engine,
            pool: Arc::default(),
            outside: Outside {
                policy: Arc::new(config.egress_policy),
                resolver: Arc::new(System),
                trust: Arc::default(),
            },
            trusted_keys: config.trusted_keys,
            clock: config.clock,
            // What is kept running has places of its own.
            attempts: Arc::new(Semaphore::new(concurrency as usize + CONTINUOUS_MAX)),
            aside: Arc::new(Semaphore::new(engine::ASIDE_INSTANCES as usize)),
            transforms: Arc::new(Semaphore::new(engine::TRANSFORM_INSTANCES as usize)),
            lanes: Lanes::default(),
            concurrency,
        })
    }

    /// Trusts these authorities (PEM) beside the well-known ones, for whatever a component does.
    ///
    /// # Errors
    /// If it is not PEM, or holds no certificate.
    pub fn trusting(mut self, roots: &str) -> Result<Self, StartError> {
        let trust = Trust::and(roots).map_err(|error| StartError(format!("the authorities to trust: {error}")))?;
        self.outside.trust = Arc::new(trust);
        Ok(self)
    }

    /// Asks these DNS servers for the addresses of names, instead of the system.
    ///
    /// # Errors
    /// If they cannot be asked at all.
    pub fn asking(mut self, servers: &[SocketAddr]) -> Result<Self, StartError> {
        let servers = Servers::new(servers).map_err(|error| StartError(format!("the DNS servers: {error}")))?;
        self.outside.resolver = Arc::new(servers);
        Ok(self)
    }

    /// Attempts at once: as many as were asked for, or as this machine can hold.
    pub fn concurrency(&self) -> u32 {
        self.concurrency
    }

    fn shutting_down() -> ExecutionError {
        ExecutionError::new(ErrorCode::HostError, "the service is shutting down")
    }

    fn broken(error: &wasmtime::Error) -> ExecutionError {
        let cause = error.root_cause();
        tracing::error!(%cause, "an instance could not be made");
        ExecutionError::new(ErrorCode::HostError, format!("an instance could not be made: {cause}"))
    }
}

#[async_trait]
impl ProtocolRuntime for WasmRuntime {
    async fn admit(&self, component: Bytes) -> Result<Admitted, RuntimeError> {
        self.admit_component(component, &self.trusted_keys, admit::Then::Used).await
    }

    async fn admit_builtin(&self, component: Bytes) -> Result<Admitted, RuntimeError> {
        self.admit_component(component, &[], admit::Then::Perhaps).await
    }

    async fn prepare(&self, component: Digest) -> Result<(), RuntimeError> {
        self.components.get(component).await.map(drop)
    }

    async fn forget(&self, component: Digest) {
        self.components.forget(component).await;
    }

    async fn validate_config(&self, component: Digest, config: Arc<str>) -> Result<Accepted, ValidateError> {
        self.validate(component, &config, Arc::default()).await
    }

    async fn test_connection(&self, request: TestRequest) -> Result<ConnectionTest, RuntimeError> {
        self.test(request).await
    }

    async fn run(&self, request: AttemptRequest) -> AttemptReport {
        self.attempt(request).await
    }

    async fn check_expression(
        &self,
        transform: Digest,
        expression: Arc<str>,
        variables: &[&str],
    ) -> Result<Vec<Mistake>, RuntimeError> {
        self.check(transform, &expression, variables).await
    }

    async fn transform(&self, request: TransformRequest) -> Result<Payload, TransformError> {
        self.apply(request).await
    }

    async fn reconcile(&self, request: AttemptRequest) -> ReconcileReport {
        self.ask_reconciler(request).await
    }
}
