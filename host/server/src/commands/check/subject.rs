//! The component that is checked, in the service's own sandbox: what the rules call it through.

use super::{
    cases::Armed,
    keep::Keeper,
    leaks::{Leaks, Left, left_by, of_entries, of_outcome},
    peer::{Identity, Manner, Peer},
};
use crate::{
    compose::COMPILE_COMPONENT,
    system::{SystemClock, SystemRandom},
    user_cache,
};
use action_domain::{
    capture::Captured,
    digest::Digest,
    egress::EgressPolicy,
    id::{ActionId, ExecutionId},
    limits::{Limits, LimitsPolicy},
    payload::Payload,
    protocol::Descriptor,
    repositories::StoreUnavailable,
    secret::{HANDLE_PREFIX, reference},
    services::{
        Accepted, Admitted, AttemptReport, AttemptRequest, Clock, ComponentSource, ConnectionTest, Entry, GuestTrigger,
        Journal, ProtocolRuntime as _, Random as _, RawDescriptor, ReconcileReport, Reconciliation, RuntimeError,
        TestRequest, ValidateError,
    },
    time::Timestamp,
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
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Attempts at once. The rules call one after the other, but for cancellation.
const CONCURRENCY: u32 = 4;
/// Hosts that a config may name, and that are told apart.
const PEERS: usize = 4;

/// Where components are run, and the peers that they are let to.
pub(super) struct Bench {
    runtime: WasmRuntime,
    clock: Arc<ClockAhead>,
    random: SystemRandom,
    bytes: Bytes,
    pub(super) digest: Digest,
    pub(super) peers: Vec<Peer>,
    /// Where nobody listens.
    pub(super) nobody: SocketAddr,
    /// Where redirects lead; on another address, where the machine has one.
    pub(super) elsewhere: Peer,
}

/// The machine's clock, as much ahead as was asked for: it is what the component sees of the time.
#[derive(Debug, Default)]
struct ClockAhead(AtomicU64);

impl Clock for ClockAhead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(Duration::from_secs(self.0.load(Ordering::SeqCst)))
    }
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
        let clock = Arc::new(ClockAhead::default());
        let kept = user_cache::folder(folder);
        let runtime = WasmRuntime::new(RuntimeConfig {
            cache_dir: kept.join("compiled"),
            cache_key_file: kept.join("compiled.key"),
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

    /// What it says of itself, in a fresh instance whose clock is this much ahead.
    pub(super) async fn describe(&self, ahead: Duration) -> (Result<RawDescriptor, RuntimeError>, Vec<Entry>) {
        let journal = Arc::new(Journal::new());
        self.clock.0.store(ahead.as_secs(), Ordering::SeqCst);
        let described = self.runtime.describe_watched(self.digest, journal.clone()).await;
        self.clock.0.store(0, Ordering::SeqCst);
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
    /// What all attempts left that they should not.
    pub(super) leaks: Leaks,
}

/// An attempt, and what it did. Nothing is taken out of either.
pub(super) struct Ran {
    pub(super) report: AttemptReport,
    pub(super) entries: Vec<Entry>,
    pub(super) captured: Vec<Captured>,
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

    /// An attempt with this input, within the service's own limits and this time. What it leaves is looked
    /// through; `situation` says what it was made for.
    pub(super) async fn execute_with(&self, armed: &Armed, situation: &str, input: Payload, timeout: Duration) -> Ran {
        let (journal, keeper) = (Arc::new(Journal::new()), Keeper::new(&armed.memory));
        let mut request = self.request(armed, input, timeout, journal.clone());
        request.capturing = Some(keeper.clone());
        let mut report = self.bench.runtime.run(request).await;
        armed.memory.keep(&report.captured);
        let mut captured = keeper.take();
        captured.push(std::mem::take(&mut report.captured));
        let ran = Ran { report, entries: journal.finish(), captured };
        self.leaks.look(armed, situation, &left_by(&ran));
        ran
    }

    /// An attempt with the case's own input.
    pub(super) async fn execute(&self, armed: &Armed, situation: &str, timeout: Duration) -> Ran {
        self.execute_with(armed, situation, armed.input.clone(), timeout).await
    }

    /// One that somebody stops as soon as this is over; `true`: it had not ended by itself.
    pub(super) async fn stop_when(&self, armed: &Armed, situation: &str, timeout: Duration, over: impl Future) -> bool {
        let journal = Arc::new(Journal::new());
        let mut request = self.request(armed, armed.input.clone(), timeout, journal.clone());
        request.capturing = Some(Keeper::new(&armed.memory));
        let was_stopped = {
            let running = self.bench.runtime.run(request);
            tokio::pin!(running);
            tokio::select! {
                _ = &mut running => false,
                _ = over => true,
            }
            // And here it is dropped, which is how the service stops it.
        };
        self.leaks.look(armed, situation, &of_entries(&journal.finish()));
        was_stopped
    }

    /// `test-connection`, whose answer is looked through too.
    pub(super) async fn test(
        &self,
        armed: &Armed,
        situation: &str,
        timeout: Duration,
    ) -> Result<ConnectionTest, RuntimeError> {
        let request = TestRequest {
            component: self.bench.digest,
            config: armed.config.clone(),
            secrets: armed.secrets.clone(),
            test_methods: self.descriptor.test_methods.clone(),
            egress: armed.egress.clone(),
            limits: limits(timeout),
        };
        let test = self.bench.runtime.test_connection(request).await?;
        let told = serde_json::to_value(&test).unwrap_or_default();
        self.leaks.look(armed, situation, &[Left::document("the connection test", told)]);
        Ok(test)
    }

    /// `reconcile`, likewise.
    pub(super) async fn reconcile(&self, armed: &Armed, situation: &str, timeout: Duration) -> ReconcileReport {
        let journal = Arc::new(Journal::new());
        let request = self.request(armed, armed.input.clone(), timeout, journal.clone());
        let report = self.bench.runtime.reconcile(request).await;
        let mut left = of_entries(&journal.finish());
        match &report.result {
            Ok(Reconciliation::TookEffect(outcome)) => left.extend(of_outcome(outcome)),
            Ok(Reconciliation::DidNot | Reconciliation::Unknown) => {}
            Err(error) => left.push(Left::document("the failure", serde_json::json!(error))),
        }
        self.leaks.look(armed, situation, &left);
        report
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
