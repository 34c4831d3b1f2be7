//! What a use case can answer instead of its result.

use action_domain::{
    failure::Issue,
    id::ExecutionId,
    protocol::Pin,
    repositories::{CommitError, Conflict, StoreUnavailable},
    services::RuntimeError,
    upgrade::Comparison,
};
use std::time::Duration;

/// Why a use case did nothing. `code` is stable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// What was named is not there: `action`, `protocol`, `execution`, …
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The document is wrong in these places.
    #[error("the document is not valid")]
    Invalid(Vec<Issue>),
    /// The document is wrong under the version of the protocol to which it would move the action.
    #[error("the document is not valid under {}", .0.to)]
    MoveRefused(Box<RefusedMove>),
    /// The component is not acceptable.
    #[error("the component is refused")]
    ComponentRefused(Vec<Issue>),
    /// The input does not fit the protocol's schema.
    #[error("the input does not fit the protocol's schema")]
    InvalidInput(Vec<Issue>),
    /// An expression of the action failed over the input.
    #[error("{0}")]
    TransformFailed(String),
    /// It clashes with what is there.
    #[error("{message}")]
    Conflict {
        /// Stable word: `name_taken`, `version_exists`, `in_use`, `action_disabled`,
        /// `secret_key_missing`.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// The caller's idea of the current revision is out of date.
    #[error("the current revision is {current}")]
    RevisionMismatch {
        /// The current revision.
        current: u32,
    },
    /// The idempotency key came before with something else.
    #[error("this idempotency key came before with another body, and led to {execution}")]
    KeyReused {
        /// What the first trigger with the key led to.
        execution: ExecutionId,
    },
    /// As much is under way as may be.
    #[error("too much is under way")]
    Busy {
        /// When to come back.
        retry_after: Duration,
    },
    /// The component ended badly where it must not.
    #[error("the component ended badly: {message}")]
    ComponentBroken {
        /// The stable word of the execution error.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// The store cannot be used now.
    #[error("{0}")]
    Unavailable(String),
    /// A defect of the service.
    #[error("{0}")]
    Internal(String),
}

/// An action that cannot move to another version of its protocol.
#[derive(Debug, Clone)]
pub struct RefusedMove {
    /// The version that it has.
    pub from: Pin,
    /// The version that it would have.
    pub to: Pin,
    /// What is wrong with it there.
    pub issues: Vec<Issue>,
    /// How the two differ.
    pub comparison: Comparison,
}

impl From<StoreUnavailable> for EngineError {
    fn from(error: StoreUnavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<CommitError> for EngineError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Unavailable(error) => error.into(),
            CommitError::Conflict(conflict) => conflict.into(),
        }
    }
}

impl From<Conflict> for EngineError {
    fn from(conflict: Conflict) -> Self {
        let message = conflict.to_string();
        match conflict {
            Conflict::KeyUsed(used) => Self::KeyReused { execution: used.execution },
            Conflict::RevisionMismatch { current } => Self::RevisionMismatch { current },
            Conflict::NotFound => Self::NotFound("document"),
            Conflict::NameTaken => Self::Conflict { code: "name_taken", message },
            Conflict::VersionExists | Conflict::VersionWasOther => Self::Conflict { code: "version_exists", message },
            Conflict::InUse { .. } => Self::Conflict { code: "in_use", message },
            Conflict::SecretMissing(_) => Self::Invalid(vec![Issue::new("", "secret_missing", message)]),
            Conflict::PathTaken(_) => Self::Conflict { code: "path_taken", message },
            Conflict::UsedUp => Self::Conflict { code: "used_up", message },
            Conflict::TooMany => Self::Conflict { code: "too_many", message },
            Conflict::LeaseLost
            | Conflict::StatusMismatch
            | Conflict::CancelRequested
            | Conflict::NotNextSeal
            | Conflict::FiredBefore
            | Conflict::ItemKnown
            | Conflict::CursorMoved => Self::Conflict { code: "status_changed", message },
        }
    }
}

impl From<RuntimeError> for EngineError {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Refused(issues) => Self::ComponentRefused(issues),
            RuntimeError::Broken(error) => Self::ComponentBroken { code: error.code.as_str(), message: error.message },
            RuntimeError::NotFound(_) => Self::NotFound("component"),
            RuntimeError::Host(message) => Self::Internal(message),
        }
    }
}
