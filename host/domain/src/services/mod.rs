//! What acts, as traits: the clock, randomness, and the sandbox.

mod broker;
mod journal;
mod plan;
mod runtime;
mod seal_mark;
mod vault;

pub use broker::{Broker, BrokerUnavailable, Carried};
pub use journal::{Entry, Journal};
pub use plan::{NOTHING_IS_SENT, Plan, PlannedRequest};
pub use runtime::{
    Accepted, Admitted, AttemptReport, AttemptRequest, Capturing, ComponentSource, ConnectionReport, ConnectionTest,
    GuestTrigger, Outcome, ProtocolRuntime, RawDescriptor, RawExample, ReconcileReport, Reconciliation, RuntimeError,
    Sending, SendingRefused, Stage, StageKind, TestRequest, TransformError, TransformRequest, ValidateError, Verdict,
    WebhookReply, WebhookRequest,
};
pub use seal_mark::{MarkUnusable, SealMark};
pub use vault::{Vault, VaultError};

use crate::{
    id::{ActionId, EventId, ExecutionId, TokenId},
    time::Timestamp,
    token::SECRET_BYTES,
};
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Makes ids and chances.
pub trait Random: Send + Sync {
    /// A UUIDv7: later ones are larger.
    fn uuid(&self) -> Uuid;

    /// Between 0 and 1.
    fn fraction(&self) -> f64;

    /// Bytes that nobody can guess.
    fn secret(&self) -> [u8; SECRET_BYTES];

    /// A new action's id.
    fn action_id(&self) -> ActionId {
        ActionId::from_uuid(self.uuid())
    }

    /// A new execution's id.
    fn execution_id(&self) -> ExecutionId {
        ExecutionId::from_uuid(self.uuid())
    }

    /// A new event's id.
    fn event_id(&self) -> EventId {
        EventId::from_uuid(self.uuid())
    }

    /// A new token's id.
    fn token_id(&self) -> TokenId {
        TokenId::from_uuid(self.uuid())
    }
}
