//! The sandbox, as the engine sees it.

use super::{Journal, Plan};
use crate::{
    capture::{Captured, Values},
    chain::Chain,
    digest::Digest,
    egress::Egress,
    failure::{Effect, ErrorCode, ExecutionError, Failure, Issue, Sent},
    id::{ActionId, EventId, ExecutionId},
    limits::Limits,
    payload::Payload,
    receipt::Receipt,
    repositories::StoreUnavailable,
    secret::AttemptSecrets,
    time::Timestamp,
    transform::Mistake,
};
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt, sync::Arc};

/// Runs components. Every call gets a fresh instance, which is dropped after it.
#[async_trait]
pub trait ProtocolRuntime: Send + Sync {
    /// Inspects a component by who signed it and by type, compiles it (apart, with limits), and runs `describe`.
    /// Says everything that is wrong, as far as each step lets the next one look.
    ///
    /// # Errors
    /// [`RuntimeError::Refused`] with what is wrong with the component.
    async fn admit(&self, component: Bytes) -> Result<Admitted, RuntimeError>;

    /// The same for a component that comes with the service itself: nobody else has to have signed it.
    async fn admit_builtin(&self, component: Bytes) -> Result<Admitted, RuntimeError> {
        self.admit(component).await
    }

    /// Makes a component ready to run, so that its first execution does not pay for it.
    async fn prepare(&self, component: Digest) -> Result<(), RuntimeError>;

    /// Nobody wants this component any more: it was refused after [`Self::admit`], or the last
    /// protocol that was made of it is gone. What was kept of it goes. Attempts that run go on,
    /// and where it is wanted all the same, nothing but time is lost.
    async fn forget(&self, _component: Digest) {}

    /// Runs `validate-config`: no network, little fuel, a second.
    async fn validate_config(&self, component: Digest, config: Arc<str>) -> Result<Accepted, ValidateError>;

    /// Runs `test-connection`, with the host's own stages.
    async fn test_connection(&self, request: TestRequest) -> Result<ConnectionTest, RuntimeError>;

    /// Runs an attempt: `validate-config`, then `execute`, in one instance. The way out opens
    /// only for the second. Dropping the future ends the component.
    async fn run(&self, request: AttemptRequest) -> AttemptReport;

    /// Checks an expression that may name these variables, with [`TRANSFORM_LIMITS`](crate::limits::TRANSFORM_LIMITS):
    /// every mistake that the transform finds. One that ends badly over an expression is a mistake too.
    ///
    /// # Errors
    /// Where the transform cannot be run.
    async fn check_expression(
        &self,
        _transform: Digest,
        _expression: Arc<str>,
        _variables: &[&str],
    ) -> Result<Vec<Mistake>, RuntimeError> {
        Err(RuntimeError::Host("this runtime has no transforms".to_owned()))
    }

    /// Applies an expression in a fresh instance that reaches nothing, with
    /// [`TRANSFORM_LIMITS`](crate::limits::TRANSFORM_LIMITS).
    ///
    /// # Errors
    /// Where the expression gives nothing.
    async fn transform(&self, _request: TransformRequest) -> Result<Payload, TransformError> {
        Err(RuntimeError::Host("this runtime has no transforms".to_owned()).into())
    }

    /// Asks a protocol that exports `reconciler` what became of an attempt in doubt: `reconcile`
    /// alone, within the limits, the grants and the journal of the request. Its `sending` is not
    /// asked, because `reconcile` finds out and does not act. Nothing runs where the component
    /// does not export it. Dropping the future ends the component.
    async fn reconcile(&self, _request: AttemptRequest) -> ReconcileReport {
        let error = ExecutionError::new(ErrorCode::HostError, "this runtime cannot reconcile");
        ReconcileReport { result: Err(error), receipt: Receipt::default() }
    }
}

/// Learns that an attempt is about to act on the outside, and may forbid it.
#[async_trait]
pub trait Sending: Send + Sync {
    /// Called at most once an attempt, and only where the component says that its effect is
    /// [`Effect::Unsafe`], before its first byte leaves for the outside. The byte leaves only
    /// after `Ok`. A TCP connection and a TLS handshake are no bytes of this sort: nothing
    /// happens at the other end because of them.
    ///
    /// `Ok` says that a byte may leave, not that one does: the remote may be gone by then, and
    /// the attempt's report says [`Sent::NotSent`]. The future is dropped where the attempt ends
    /// meanwhile, by its deadline for instance; what it was writing may be written all the same.
    ///
    /// # Errors
    /// The attempt ends with [`ErrorCode::HostError`], and nothing has left.
    async fn begins(&self) -> Result<(), SendingRefused>;
}

impl fmt::Debug for dyn Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}

/// Why nothing may be sent: the lease is lost, the store is away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing may be sent: {0}")]
pub struct SendingRefused(pub String);

/// Gives a component's bytes to a node that has no compiled form of it.
#[async_trait]
pub trait ComponentSource: Send + Sync {
    /// The bytes, if there are any.
    async fn component(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable>;
}

/// Why a component could not be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RuntimeError {
    /// The component is not acceptable, for these reasons. The pointers are into the
    /// descriptor (`/config_schema`) or empty.
    #[error("the component is refused: {}", .0.first().map_or("", |issue| issue.message.as_str()))]
    Refused(Vec<Issue>),
    /// The component ended badly where it must not.
    #[error("{}", .0.message)]
    Broken(ExecutionError),
    /// Its bytes are not there.
    #[error("no component {0}")]
    NotFound(Digest),
    /// A defect or a shortage of this service.
    #[error("{0}")]
    Host(String),
}

/// Why a config was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ValidateError {
    /// The component says what is wrong with it; pointers into the config.
    #[error("the protocol does not accept the config")]
    Refused(Vec<Issue>),
    /// The component could not say.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// A component that passed inspection.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Of the bytes.
    pub digest: Digest,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// Whether it exports `reconciler`.
    pub reconciles: bool,
    /// What `describe` gave, unchecked. `None`: it is a transform, which does not describe itself.
    pub descriptor: Option<RawDescriptor>,
}

/// One application of a transform.
#[derive(Debug, Clone)]
pub struct TransformRequest {
    /// The transform.
    pub component: Digest,
    /// In its language.
    pub expression: Arc<str>,
    /// What it is applied to.
    pub input: Payload,
    /// A JSON object whose members the expression can name.
    pub variables: Arc<str>,
}

/// Why a transform gave nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransformError {
    /// The expression is wrong, or does not fit the input.
    #[error("{}", .0.message)]
    Mistake(Mistake),
    /// It ended badly: a limit, a trap.
    #[error("{}", .0.message)]
    Ended(ExecutionError),
    /// It could not be run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// What `describe` gave: text that may or may not be what it should.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are those of the WIT record `descriptor`")]
pub struct RawDescriptor {
    pub name: String,
    pub version: String,
    pub summary: String,
    pub documentation: String,
    pub config_schema: String,
    pub input_schema: Option<String>,
    pub output_schema: Option<String>,
    pub examples: Vec<RawExample>,
    pub test_methods: Vec<String>,
}

/// An example as `describe` gave it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of the WIT record `example`")]
pub struct RawExample {
    pub name: String,
    pub config: String,
}

/// A config that the protocol accepts.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// What a repeat does to the outside.
    pub effect: Effect,
    /// Things to know.
    pub warnings: Vec<Issue>,
}

/// What an attempt runs with.
#[derive(Debug, Clone)]
pub struct AttemptRequest {
    /// The component.
    pub component: Digest,
    /// The action.
    pub action: ActionId,
    /// The execution. Its text form is the idempotency key too.
    pub execution: ExecutionId,
    /// Ties together what belongs together across systems.
    pub correlation_id: Arc<str>,
    /// 1 for the first.
    pub attempt: u32,
    /// Told to the component; the limits' wall time is what is enforced.
    pub deadline: Timestamp,
    /// W3C trace context for outgoing requests.
    pub traceparent: Option<Arc<str>>,
    /// What set the execution off.
    pub trigger: GuestTrigger,
    /// The config as JSON, with handles in the place of secrets.
    pub config: Arc<str>,
    /// What the handles stand for.
    pub secrets: Arc<AttemptSecrets>,
    /// What came in.
    pub input: Payload,
    /// What it may reach.
    pub egress: Arc<Egress>,
    /// What it may use.
    pub limits: Limits,
    /// Where what it does is written down.
    pub journal: Arc<Journal>,
    /// Who has to agree before an attempt whose effect is unsafe sends its first byte; `None`:
    /// nobody wants to know.
    pub sending: Option<Arc<dyn Sending>>,
    /// Where what it captures is kept; `None`: it can capture nothing.
    pub capturing: Option<Arc<dyn Capturing>>,
    /// Where what it would send is written down instead of being sent; `None`: it is sent.
    pub plan: Option<Arc<Plan>>,
}

/// What set an execution off, as the component is told, and as `trigger_received` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum GuestTrigger {
    /// Somebody called the API.
    Call,
    /// The outside world called a webhook.
    Webhook(WebhookRequest),
    /// A schedule came due.
    Schedule {
        /// When it was due.
        due_at: Timestamp,
    },
    /// An event of the service matched.
    Event {
        /// The event.
        event: EventId,
        /// What came before.
        #[serde(flatten)]
        chain: Chain,
    },
    /// It is kept running.
    Continuous,
}

/// The head of a request that called a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookRequest {
    /// For instance `POST`.
    pub method: String,
    /// As it was asked for.
    pub path_with_query: String,
    /// In their order. A value that is not UTF-8 is left out, and so is one that proves who sent it.
    pub headers: Vec<(String, String)>,
}

/// What a protocol answers the caller of a webhook. Kept with the end of the execution, since whoever
/// answers the caller may be another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookReply {
    /// HTTP status.
    pub status: u16,
    /// In their order.
    pub headers: Vec<(String, String)>,
    /// The body, as base64 in the record.
    #[serde(rename = "base64", with = "crate::payload::base64_text")]
    pub body: Bytes,
}

/// Keeps what an attempt captures. What is given to [`Self::checkpoint`] is durable when that returns.
#[async_trait]
pub trait Capturing: Send + Sync {
    /// The values that the action keeps.
    ///
    /// # Errors
    /// The store is away.
    async fn values(&self) -> Result<Values, StoreUnavailable>;

    /// Makes what was captured durable, all of it at once. How many items were new.
    ///
    /// # Errors
    /// The store is away, or somebody else has the execution now; nothing is kept then.
    async fn checkpoint(&self, captured: Captured) -> Result<u32, StoreUnavailable>;
}

impl fmt::Debug for dyn Capturing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Capturing")
    }
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct AttemptReport {
    /// With an outcome, or with the reason why there is none. [`crate::failure::ErrorCode::ProtocolFailed`] and
    /// its `failure` are what the protocol itself reported.
    pub result: Result<Outcome, ExecutionError>,
    /// What it cost.
    pub receipt: Receipt,
    /// How far it got towards the outside.
    pub sent: Sent,
    /// What a repeat does, as the component said in this attempt; `None` if it did not get to it.
    pub effect: Option<Effect>,
    /// What it captured since its last checkpoint, if it succeeded.
    pub captured: Captured,
}

/// What a protocol gives.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The output.
    pub output: Payload,
    /// The answer to the caller of a webhook who waits for it.
    pub reply: Option<WebhookReply>,
}

/// How `reconcile` ended.
#[derive(Debug, Clone)]
pub struct ReconcileReport {
    /// What the protocol found out, or why it did not say.
    pub result: Result<Reconciliation, ExecutionError>,
    /// What it cost.
    pub receipt: Receipt,
}

/// What became of an attempt in doubt, as the protocol found out.
#[derive(Debug, Clone)]
pub enum Reconciliation {
    /// It took effect, and this is what it would have given.
    TookEffect(Outcome),
    /// It did not take effect: a repeat acts once.
    DidNot,
    /// The protocol cannot tell either.
    Unknown,
}

/// What a connection test runs with.
#[derive(Debug, Clone)]
pub struct TestRequest {
    /// The component.
    pub component: Digest,
    /// The config as JSON, with handles in the place of secrets.
    pub config: Arc<str>,
    /// What the handles stand for.
    pub secrets: Arc<AttemptSecrets>,
    /// HTTP methods beside GET, HEAD and OPTIONS that the protocol declared for it.
    pub test_methods: Vec<String>,
    /// What it may reach.
    pub egress: Arc<Egress>,
    /// What it may use.
    pub limits: Limits,
}

/// What a connection test found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConnectionTest {
    /// The whole of it in a word.
    pub verdict: Verdict,
    /// What the protocol reported, if it succeeded.
    pub report: Option<ConnectionReport>,
    /// Why it failed, if it did.
    pub error: Option<ExecutionError>,
    /// What the host saw on the way, in order.
    pub stages: Vec<Stage>,
    /// What it cost.
    pub receipt: Receipt,
}

/// The whole of a connection test in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The protocol says that it works, and somebody was contacted.
    Connected,
    /// The protocol says that it works, and nobody was contacted: worth nothing.
    Hollow,
    /// It does not work.
    Failed,
}

/// What a protocol reports of a connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConnectionReport {
    /// One line.
    pub summary: String,
    /// More, as the protocol sees fit.
    pub details: Value,
}

/// One step towards a remote, as the host saw it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stage {
    /// Which step.
    pub stage: StageKind,
    /// To whom: `host:port`.
    pub target: String,
    /// Whether it worked.
    pub ok: bool,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// What was found, or what went wrong.
    pub message: String,
    /// What to do if it went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Which step towards a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// The gate.
    Grant,
    /// The name's addresses.
    NameResolution,
    /// A TCP connection.
    Connect,
    /// TLS.
    Tls,
    /// What the protocol said over it.
    Protocol,
}

impl From<Failure> for ExecutionError {
    fn from(failure: Failure) -> Self {
        Self::reported(failure)
    }
}
