//! The component that is checked, in the service's own sandbox: what the rules call it through.

use super::{
    cases::Armed,
    peer::{Identity, Manner, Peer},
};
use crate::{
    compose::COMPILE_COMPONENT,
    system::{SystemClock, SystemRandom},
};
use action_domain::{
    digest::Digest,
    egress::EgressPolicy,
    id::{ActionId, ExecutionId},
    limits::{Limits, LimitsPolicy},
    payload::Payload,
    protocol::Descriptor,
    repositories::StoreUnavailable,
    secret::{HANDLE_PREFIX, reference},
    services::{
        Accepted, Admitted, AttemptReport, AttemptRequest, Clock as _, ComponentSource, ConnectionTest, Entry,
        GuestTrigger, Journal, ProtocolRuntime as _, Random as _, RawDescriptor, ReconcileReport, RuntimeError,
        TestRequest, ValidateError,
    },
};
use action_engine::Form;
use action_wasm::{Compiler, RuntimeConfig, WasmRuntime};
use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Attempts at once. The rules call one after the other, but for cancellation.
const CONCURRENCY: u32 = 4;
/// Hosts that a config may name, and that are told apart.
const PEERS: usize = 4;

/// Where components are run, and the peers that they are let to.
pub(super) struct Bench {
    runtime: WasmRuntime,
    clock: Arc<SystemClock>,
    random: SystemRandom,
    bytes: Bytes,
    pub(super) digest: Digest,
    pub(super) peers: Vec<Peer>,
    /// Where nobody listens.
    pub(super) nobody: SocketAddr,
    /// Where redirects lead; on another address, where the machine has one.
    pub(super) elsewhere: Peer,
}

/// The bytes of the one component that there is.
struct One(Digest, Bytes);

#[async_trait]
impl ComponentSource for One {
    async fn component(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        Ok((*digest == self.0).then(|| self.1.clone()))
    }
}

impl Bench {
    /// With everything that has to be written in `folder`.
    pub(super) async fn set_up(bytes: Bytes, folder: &Path) -> anyhow::Result<Self> {
        let digest = Digest::of(&bytes);
        let identity = Identity::new()?;
        let mut peers = Vec::new();
        for _ in 0..PEERS {
            peers.push(Peer::start("127.0.0.1", &identity).await.context("a peer on loopback")?);
        }
        let elsewhere = match Peer::start("127.0.0.2", &identity).await {
            Ok(peer) => peer,
            Err(_) => Peer::start("127.0.0.1", &identity).await.context("a peer on loopback")?,
        };
        // Free again when this is over, and hardly taken by anybody until the check is done.
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr())?;
        let program = std::env::current_exe().context("this program's own file cannot be found")?;
        let clock = Arc::new(SystemClock);
        let runtime = WasmRuntime::new(RuntimeConfig {
            cache_dir: folder.join("compiled"),
            cache_key_file: folder.join("compiled.key"),
            // With the limits of the service, which a component that compiles for ever runs into.
            compiler: Compiler::Child { program, args: vec![COMPILE_COMPONENT.into()] },
            concurrency: CONCURRENCY,
            egress_policy: EgressPolicy { private_networks: true, ..EgressPolicy::default() },
            trusted_keys: Vec::new(),
            clock: clock.clone(),
            components: Arc::new(One(digest, bytes.clone())),
        })?
        .trusting(&identity.certificate)?;
        let random = SystemRandom::new(clock.clone());
        Ok(Self { runtime, clock, random, bytes, digest, peers, nobody, elsewhere })
    }

    /// Admits it as the service does, and says how long that took.
    pub(super) async fn admit(&self) -> (Result<Admitted, RuntimeError>, Duration) {
        let started = Instant::now();
        let admitted = self.runtime.admit(self.bytes.clone()).await;
        (admitted, started.elapsed())
    }

    /// From now on all peers behave like this, and what they saw is forgotten.
    pub(super) fn begin(&self, manner: &Manner) {
        self.peers.iter().for_each(|peer| peer.begin(manner.clone()));
        self.elsewhere.begin(Manner::Answers);
    }

    /// How large it is.
    pub(super) fn component_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// What it says of itself, in a fresh instance.
    pub(super) async fn describe(&self) -> (Result<RawDescriptor, RuntimeError>, Vec<Entry>) {
        let journal = Arc::new(Journal::new());
        let described = self.runtime.describe_watched(self.digest, journal.clone()).await;
        (described, journal.finish())
    }

    /// Random bytes as hexadecimal digits: canaries and handles.
    pub(super) fn digits(&self) -> String {
        self.random.uuid().simple().to_string()
    }
}

/// A component that says properly what it is.
pub(super) struct Subject {
    pub(super) bench: Bench,
    pub(super) descriptor: Descriptor,
    pub(super) imports: Vec<String>,
    pub(super) reconciles: bool,
    pub(super) form: Form,
    pub(super) output_form: Option<Form>,
    /// The input of executions, where somebody gave one.
    pub(super) input: Option<Payload>,
}

/// An attempt, and what it did. Nothing is taken out of either.
pub(super) struct Ran {
    pub(super) report: AttemptReport,
    pub(super) entries: Vec<Entry>,
}

impl Subject {
    /// Whether it imports any way to the outside.
    pub(super) fn has_a_way_out(&self) -> bool {
        let ways = ["julee:action/outbound@", "wasi:http/outgoing-handler@", "wasi:sockets/"];
        self.imports.iter().any(|import| ways.iter().any(|way| import.starts_with(way)))
    }

    /// A config as `validate-config` sees it: with a text in the place of each secret.
    pub(super) fn disguised(&self, config: &Value) -> Value {
        reference::replaced(config, &mut |_| format!("{HANDLE_PREFIX}{}", self.bench.digits()))
    }

    /// `validate-config`, with a text in the place of each secret, and what it tried to reach.
    pub(super) async fn validate(&self, config: &Value) -> (Result<Accepted, ValidateError>, Vec<Entry>) {
        let journal = Arc::new(Journal::new());
        let config = config.to_string();
        let accepted = self.bench.runtime.validate_watched(self.bench.digest, &config, journal.clone()).await;
        (accepted, journal.finish())
    }

    /// An attempt with this input, within the service's own limits and this time.
    pub(super) async fn execute_with(&self, armed: &Armed, input: Payload, timeout: Duration) -> Ran {
        let journal = Arc::new(Journal::new());
        let request = self.request(armed, input, timeout, journal.clone());
        let report = self.bench.runtime.run(request).await;
        Ran { report, entries: journal.finish() }
    }

    /// An attempt with the case's own input.
    pub(super) async fn execute(&self, armed: &Armed, timeout: Duration) -> Ran {
        self.execute_with(armed, armed.input.clone(), timeout).await
    }

    /// `test-connection`.
    pub(super) async fn test(&self, armed: &Armed, timeout: Duration) -> Result<ConnectionTest, RuntimeError> {
        let request = TestRequest {
            component: self.bench.digest,
            config: armed.config.clone(),
            secrets: armed.secrets.clone(),
            test_methods: self.descriptor.test_methods.clone(),
            egress: armed.egress.clone(),
            limits: limits(timeout),
        };
        self.bench.runtime.test_connection(request).await
    }

    /// `reconcile`.
    pub(super) async fn reconcile(&self, armed: &Armed, timeout: Duration) -> ReconcileReport {
        let request = self.request(armed, armed.input.clone(), timeout, Arc::default());
        self.bench.runtime.reconcile(request).await
    }

    fn request(&self, armed: &Armed, input: Payload, timeout: Duration, journal: Arc<Journal>) -> AttemptRequest {
        let uuid = || self.bench.random.uuid();
        AttemptRequest {
            component: self.bench.digest,
            // An action of its own each time, so that no connection is kept from one rule to the next.
            action: ActionId::from_uuid(uuid()),
            execution: ExecutionId::from_uuid(uuid()),
            correlation_id: "check".into(),
            attempt: 1,
            deadline: self.bench.clock.now().plus(timeout),
            traceparent: None,
            trigger: GuestTrigger::Call,
            config: armed.config.clone(),
            secrets: armed.secrets.clone(),
            input,
            egress: armed.egress.clone(),
            limits: limits(timeout),
            journal,
            sending: None,
            capturing: None,
            plan: None,
        }
    }
}

/// What an action gets that asks for nothing, but for the time.
fn limits(timeout: Duration) -> Limits {
    Limits { timeout_ms: timeout.as_millis() as u64, ..LimitsPolicy::default().default }
}
