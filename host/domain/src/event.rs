//! Events: immutable records of each thing that happened.
//!
//! A [`Fact`] is what happened, typed; [`NewEvent`] is a fact with its context, on its way into
//! a store; [`Event`] is what a store gives back, with its position. The stored form of each
//! fact is snapshot-tested below: it can be added to, never changed.

use crate::{
    actor::Actor,
    audit::PruneProof,
    chain::Chain,
    digest::Digest,
    egress::DenialReason,
    failure::{ExecutionError, Issue},
    id::{ActionId, EventId, ExecutionId, TokenId},
    name::Name,
    payload::RecordedPayload,
    protocol::Pin,
    receipt::Receipt,
    services::{GuestTrigger, WebhookReply},
    time::Timestamp,
    token::{Reach, Scopes},
    upgrade::PowerChange,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use std::sync::Arc;

/// A place in the log: grows by at least one with every event, from 1.
pub type Position = i64;

/// What happened. `success`, `error` and the like are the event's `data`.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the fields are the event's data and are named for their reader")]
pub enum Fact {
    /// A component was admitted.
    ProtocolUploaded { protocol: Pin, digest: Digest, bytes: u64 },
    /// A component was refused, for these reasons.
    ProtocolRefused { digest: Digest, bytes: u64, errors: Vec<Issue> },
    /// A protocol was deleted.
    ProtocolDeleted { protocol: Pin, digest: Digest },
    /// An action was made.
    ActionCreated { name: Name, protocol: Pin },
    /// An action has a new revision.
    ActionUpdated {
        name: Name,
        protocol: Pin,
        /// What it may do that it could not, and the other way round.
        #[serde(skip_serializing_if = "Option::is_none")]
        changes: Option<Box<PowerChange>>,
    },
    /// An action was deleted.
    ActionDeleted { name: Name },
    /// A secret has a new value. Its name and version; never more.
    SecretSet { name: Name, version: u32 },
    /// A secret was deleted, in this version.
    SecretDeleted { name: Name, version: u32 },
    /// Secrets were sealed anew, so many of them, with this key.
    SecretsRewrapped { secrets: u64, key: Arc<str> },
    /// A token was made.
    TokenCreated { token: TokenId, name: String, scopes: Scopes, actions: Reach, expires_at: Option<Timestamp> },
    /// A token was revoked.
    TokenRevoked { token: TokenId, name: String },
    /// A consumer was made, and stands at this position.
    ConsumerCreated {
        name: Name,
        types: Vec<EventType>,
        action: Option<ActionId>,
        kind: Option<String>,
        position: Position,
    },
    /// A consumer reads something else from now on, and stays where it stands.
    ConsumerUpdated { name: Name, types: Vec<EventType>, action: Option<ActionId>, kind: Option<String> },
    /// A consumer was removed, which stood at this position.
    ConsumerDeleted { name: Name, position: Position },
    /// A connection was tested.
    ConnectionTested { protocol: Pin, verdict: String, report: Value },
    /// A trigger came.
    TriggerReceived { trigger: Arc<RawValue>, input: RecordedPayload },
    /// A trigger led to nothing, for this reason.
    TriggerRefused {
        code: String,
        message: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        errors: Vec<Issue>,
        /// Of one that an event set off.
        #[serde(flatten)]
        chain: Option<Chain>,
    },
    /// An execution waits for a worker.
    ExecutionQueued { run_at: Timestamp },
    /// A worker began an attempt.
    AttemptStarted { worker: uuid::Uuid },
    /// An attempt failed, and another one will follow.
    AttemptFailed { error: ExecutionError, receipt: Option<Receipt>, retry_at: Timestamp },
    /// An attempt's worker is gone.
    AttemptAbandoned { worker: uuid::Uuid },
    /// Nobody knows whether an attempt took effect.
    AttemptInDoubt { error: ExecutionError, receipt: Option<Receipt> },
    /// The first byte of an attempt that must not be repeated is about to leave.
    AttemptSending {},
    /// An execution captured a piece of information.
    ItemCaptured { kind: Arc<str>, key: Option<Arc<str>>, content: RecordedPayload },
    /// An attempt made a request to the outside.
    RequestMade {
        method: String,
        host: String,
        port: u16,
        path: Option<String>,
        status: Option<u16>,
        error: Option<String>,
        bytes_out: u64,
        bytes_in: u64,
        ms: u64,
    },
    /// An attempt wanted to reach what it may not.
    EgressDenied { host: String, port: u16, reason: DenialReason, rule: String, hint: String },
    /// An attempt wrote to its log.
    MessageLogged { level: String, message: String },
    /// An attempt said how far it is.
    ProgressReported { completed: u32, total: Option<u32>, message: String },
    /// An execution ended. The last event of every execution that ran.
    ActionExecuted {
        success: bool,
        error: Option<ExecutionError>,
        output: Option<RecordedPayload>,
        receipt: Option<Receipt>,
        /// What the caller of a webhook is answered.
        #[serde(skip_serializing_if = "Option::is_none")]
        reply: Option<Box<WebhookReply>>,
    },
    /// Somebody wants a running execution stopped; its worker was told.
    ExecutionCancelRequested {},
    /// Somebody stopped an execution; the last event of one that was.
    ExecutionCancelled { error: Option<ExecutionError>, receipt: Option<Receipt> },
    /// Somebody said what became of an execution in doubt, or its protocol found out.
    ExecutionResolved { r#as: String },
    /// Executions that had ended before this, with their events and payloads, were removed.
    EventsPruned {
        before: Timestamp,
        executions: u64,
        events: u64,
        payloads: u64,
        /// See [`PositionsDigest`](crate::audit::PositionsDigest): an audit can tell what is missing from what was removed.
        positions: Option<Digest>,
        /// Signed where the log is sealed: whoever has only the database cannot say that a prune removed something.
        #[serde(skip_serializing_if = "Option::is_none")]
        proof: Option<Box<PruneProof>>,
    },
}

impl EventType {
    /// Whether such events may be about an action. The others are about the service as a whole.
    pub const fn is_of_actions(self) -> bool {
        !matches!(
            self,
            Self::ProtocolUploaded
                | Self::ProtocolRefused
                | Self::ProtocolDeleted
                | Self::SecretSet
                | Self::SecretDeleted
                | Self::SecretsRewrapped
                | Self::TokenCreated
                | Self::TokenRevoked
                | Self::ConsumerCreated
                | Self::ConsumerUpdated
                | Self::ConsumerDeleted
                | Self::EventsPruned
        )
    }
}

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// The type of an event. The names are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EventType { $(#[doc = $word] $variant,)* }

        impl EventType {
            /// Every type that this release writes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The type that this word names.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl Fact {
            /// The type under which it is recorded.
            pub const fn event_type(&self) -> EventType {
                match self { $(Self::$variant { .. } => EventType::$variant,)* }
            }
        }
    };
}

event_types! {
    ProtocolUploaded = "protocol_uploaded",
    ProtocolRefused = "protocol_refused",
    ProtocolDeleted = "protocol_deleted",
    ActionCreated = "action_created",
    ActionUpdated = "action_updated",
    ActionDeleted = "action_deleted",
    SecretSet = "secret_set",
    SecretDeleted = "secret_deleted",
    SecretsRewrapped = "secrets_rewrapped",
    TokenCreated = "token_created",
    TokenRevoked = "token_revoked",
    ConsumerCreated = "consumer_created",
    ConsumerUpdated = "consumer_updated",
    ConsumerDeleted = "consumer_deleted",
    ConnectionTested = "connection_tested",
    TriggerReceived = "trigger_received",
    TriggerRefused = "trigger_refused",
    ExecutionQueued = "execution_queued",
    AttemptStarted = "attempt_started",
    AttemptFailed = "attempt_failed",
    AttemptAbandoned = "attempt_abandoned",
    AttemptInDoubt = "attempt_in_doubt",
    AttemptSending = "attempt_sending",
    ItemCaptured = "item_captured",
    RequestMade = "request_made",
    EgressDenied = "egress_denied",
    MessageLogged = "message_logged",
    ProgressReported = "progress_reported",
    ActionExecuted = "action_executed",
    ExecutionCancelRequested = "execution_cancel_requested",
    ExecutionCancelled = "execution_cancelled",
    ExecutionResolved = "execution_resolved",
    EventsPruned = "events_pruned",
}

/// To whom and what an event belongs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    /// The action.
    pub action: Option<ActionId>,
    /// The action's revision.
    pub revision: Option<u32>,
    /// The execution.
    pub execution: Option<ExecutionId>,
    /// Ties together what belongs together across systems. Never empty.
    pub correlation_id: Option<Arc<str>>,
    /// The event that led to this one.
    pub causation_id: Option<EventId>,
    /// The attempt; 1 for the first.
    pub attempt: Option<u32>,
}

/// An event on its way into a store.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// To whom and what it belongs.
    pub context: Context,
    /// Its type.
    pub r#type: EventType,
    /// The payload that it refers to, where that is kept apart: it stays as long as the event.
    pub payload: Option<Digest>,
    /// Of an item: what it is. Stands in the data too; here for stores to find items by it.
    pub kind: Option<Arc<str>>,
    /// The fact as JSON.
    pub data: Box<RawValue>,
}

impl Fact {
    /// The payload that it refers to, where that is kept apart.
    fn payload(&self) -> Option<Digest> {
        match self {
            Self::TriggerReceived { input, .. } => input.digest,
            Self::ActionExecuted { output: Some(output), .. } => output.digest,
            Self::ItemCaptured { content, .. } => content.digest,
            _ => None,
        }
    }

    fn kind(&self) -> Option<Arc<str>> {
        match self {
            Self::ItemCaptured { kind, .. } => Some(kind.clone()),
            _ => None,
        }
    }
}

impl NewEvent {
    /// A fact with its context.
    pub fn new(id: EventId, time: Timestamp, context: Context, fact: &Fact) -> Self {
        // Facts are plain structs with string keys: they always have a JSON form.
        let data = serde_json::value::to_raw_value(fact).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { id, time, context, r#type: fact.event_type(), payload: fact.payload(), kind: fact.kind(), data }
    }

    /// A fact that is somebody's doing: its data say whose, as `by`.
    pub fn by(actor: &Actor, id: EventId, time: Timestamp, context: Context, fact: &Fact) -> Self {
        let done = Done { fact, by: actor };
        let data = serde_json::value::to_raw_value(&done).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { id, time, context, r#type: fact.event_type(), payload: fact.payload(), kind: fact.kind(), data }
    }
}

/// A fact with who did it.
#[derive(Serialize)]
struct Done<'a> {
    #[serde(flatten)]
    fact: &'a Fact,
    by: &'a Actor,
}

/// An event as a store gives it back.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its place in the log.
    pub position: Position,
    /// Its id.
    pub id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// To whom and what it belongs.
    pub context: Context,
    /// Its type. A word and not an [`EventType`]: a newer release may have written it.
    pub r#type: Arc<str>,
    /// The fact as JSON.
    pub data: Box<RawValue>,
}

/// The part of `trigger_received` that an attempt needs.
#[derive(Debug, Deserialize)]
pub struct TriggerData {
    /// What set the execution off.
    pub trigger: GuestTrigger,
    /// What came with it.
    pub input: RecordedPayload,
}

/// The part of `trigger_received` and of `trigger_refused` that says what came before.
#[derive(Debug, Deserialize)]
pub struct ChainData {
    #[serde(default)]
    trigger: Option<TriggerChain>,
    #[serde(flatten)]
    refused: Option<Chain>,
}

#[derive(Debug, Deserialize)]
struct TriggerChain {
    #[serde(flatten)]
    chain: Option<Chain>,
}

impl ChainData {
    /// What came before; nothing, where no event set it off.
    pub fn chain(self) -> Chain {
        self.refused.or_else(|| self.trigger?.chain).unwrap_or_default()
    }
}

/// The part of `item_captured` that a filter needs.
#[derive(Debug, Deserialize)]
pub struct ItemData {
    /// What the item is.
    pub kind: String,
}

/// The part of `item_captured` that holds the information.
#[derive(Debug, Deserialize)]
pub struct ItemContent {
    /// The information.
    pub content: RecordedPayload,
}

/// The part of `action_executed` that a reader of the execution needs.
#[derive(Debug, Deserialize)]
pub struct ExecutedData {
    /// What the protocol gave.
    pub output: Option<RecordedPayload>,
    /// What the caller of a webhook is answered.
    #[serde(default)]
    pub reply: Option<WebhookReply>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_that_serde_writes() {
        for event_type in EventType::ALL {
            assert_eq!(serde_json::to_value(event_type).unwrap(), event_type.as_str());
            assert_eq!(EventType::from_word(event_type.as_str()), Some(*event_type));
        }
    }

    #[test]
    fn who_did_it_stands_behind_what_was_done() {
        let done = |fact: &Fact| {
            let id = "evt_01h455vb4pex5vsknk084sn02q".parse().unwrap();
            NewEvent::by(&Actor::Admin, id, Timestamp::default(), Context::default(), fact).data.get().to_owned()
        };
        let trigger: Arc<RawValue> = RawValue::from_string(r#"{ "type":"call"}"#.into()).unwrap().into();
        let json = Some(RawValue::from_string("{ \"a\" :1.0}".into()).unwrap());
        let input =
            RecordedPayload { content_type: "application/json".into(), bytes: 10, json, base64: None, digest: None };
        let received = done(&Fact::TriggerReceived { trigger, input });
        assert!(received.starts_with(r#"{"trigger":{ "type":"call"},"input":{"#), "{received}");
        assert!(received.contains(r#"{ "a" :1.0}"#) && received.ends_with(r#","by":"admin"}"#), "{received}");
        assert_eq!(done(&Fact::ExecutionCancelRequested {}), r#"{"by":"admin"}"#);
        let token = "tok_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        assert_eq!(
            done(&Fact::TokenRevoked { token, name: "ci".into() }),
            r#"{"token":"tok_01h455vb4pex5vsknk084sn02q","name":"ci","by":"admin"}"#
        );
    }

    #[test]
    fn stored_forms_do_not_change() {
        let pin: Pin = "http@0.1.0".parse().unwrap();
        let form = |fact: Fact| serde_json::to_string(&fact).unwrap();
        assert_eq!(
            form(Fact::ProtocolUploaded { protocol: pin, digest: Digest::of(b""), bytes: 0 }),
            r#"{"protocol":"http@0.1.0","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","bytes":0}"#
        );
        let name = || "orders-token".parse().unwrap();
        assert_eq!(form(Fact::SecretSet { name: name(), version: 3 }), r#"{"name":"orders-token","version":3}"#);
        assert_eq!(form(Fact::SecretDeleted { name: name(), version: 3 }), r#"{"name":"orders-token","version":3}"#);
        let (types, action, kind) = (vec![EventType::ItemCaptured], None, None);
        assert_eq!(
            form(Fact::ConsumerCreated { name: name(), types, action, kind, position: 7 }),
            r#"{"name":"orders-token","types":["item_captured"],"action":null,"kind":null,"position":7}"#
        );
        assert_eq!(
            form(Fact::ConsumerDeleted { name: name(), position: 7 }),
            r#"{"name":"orders-token","position":7}"#
        );
        assert_eq!(form(Fact::SecretsRewrapped { secrets: 2, key: "k".into() }), r#"{"secrets":2,"key":"k"}"#);
        assert_eq!(
            form(Fact::ActionExecuted {
                success: false,
                error: Some(ExecutionError::new(crate::failure::ErrorCode::Trapped, "m")),
                output: None,
                receipt: Some(Receipt::default()),
                reply: None,
            }),
            r#"{"success":false,"error":{"code":"trapped","message":"m","blame":"protocol"},"output":null,"receipt":{"fuel":0,"memory_bytes":0,"wall_us":0,"guest_us":0,"requests":0,"bytes_out":0,"bytes_in":0}}"#
        );
    }
}
