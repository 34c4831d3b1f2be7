//! What can go wrong, who is to blame, and whether trying again can help.

use crate::limits::RETRY_AFTER_MAX;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// JSON Pointer (RFC 6901) to the place; empty for the whole of it.
    pub pointer: String,
    /// Stable `snake_case` word.
    pub code: String,
    /// For people.
    pub message: String,
    /// Where in the text at [`Self::pointer`], if that is an expression and it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A place in a text, as editors count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// 1 for the first.
    pub line: u32,
    /// In characters; 1 for the first.
    pub column: u32,
}

impl Place {
    /// The place of the character at this byte of a text.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1);
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        Self { line: count(line), column: count(column) }
    }
}

impl Issue {
    /// An issue at `pointer`.
    pub fn new(pointer: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.into(), message: message.into(), place: None }
    }

    /// The same issue, seen from a document in which this one stands at `prefix`.
    pub fn below(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }
}

/// What repeating an execution can do to the outside world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Only reads.
    Read,
    /// Writes, but a repeat changes nothing further.
    Idempotent,
    /// The remote drops repeats that carry the same idempotency key.
    Keyed,
    /// A repeat may act twice.
    Unsafe,
}

/// How far an attempt got towards the outside, as the host measured it at the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// No byte left for the outside.
    NotSent,
    /// Bytes left, and what became of them is not known.
    MaybeSent,
    /// The remote answered everything that was sent.
    Acknowledged,
}

/// What kind of failure a protocol reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The config cannot work.
    InvalidConfig,
    /// The input cannot be handled.
    InvalidInput,
    /// The remote does not know or does not admit us.
    Unauthenticated,
    /// The remote refused.
    Rejected,
    /// The remote asks us to slow down.
    RateLimited,
    /// The remote could not be reached or could not answer.
    Unavailable,
    /// The remote answered something that makes no sense.
    BadResponse,
    /// A defect of the protocol itself.
    Internal,
}

/// What a protocol advises after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// A repeat would fail too.
    GiveUp,
    /// By the action's own schedule.
    Retry,
    /// Not before this many milliseconds, of which [`RETRY_AFTER_MAX`] counts.
    RetryAfterMs(u32),
    /// It may or may not have taken effect.
    InDoubt,
}

impl Advice {
    /// How long the remote wants to be left alone, where it said so and as far as that counts.
    pub fn asked_wait(self) -> Option<Duration> {
        match self {
            Self::RetryAfterMs(ms) => Some(Duration::from_millis(ms.into()).min(RETRY_AFTER_MAX)),
            _ => None,
        }
    }
}

/// A failure that the protocol itself reported: a value, not a crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
    /// What to do.
    pub advice: Advice,
    /// More about it, as the protocol sees fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
}

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// Whoever configured or called the action.
    Action,
    /// The protocol's author.
    Protocol,
    /// The outside system.
    Remote,
    /// The operator of this service.
    Host,
}

/// Why an execution or an attempt did not succeed. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The component refused the config when the attempt began, or a secret that it names cannot be used as the
    /// component has to use it.
    InvalidConfig,
    /// The input does not fit the protocol's schema.
    InvalidInput,
    /// A transform ended badly.
    TransformFailed,
    /// The protocol reported a failure.
    ProtocolFailed,
    /// The component trapped.
    Trapped,
    /// The component used all its fuel.
    FuelExhausted,
    /// The wall time was over, while computing or while waiting for the host.
    DeadlineExceeded,
    /// The component wanted more memory or table elements than it may have.
    MemoryExceeded,
    /// The output is over the limit.
    OutputTooLarge,
    /// The component tried to reach what it has no grant for, and failed then.
    EgressDenied,
    /// A secret that the config names does not exist.
    SecretMissing,
    /// The process that ran the attempt is gone.
    WorkerLost,
    /// Somebody cancelled the execution.
    Cancelled,
    /// Its time to be delivered was over.
    Expired,
    /// A defect or a shortage of this service.
    HostError,
}

impl ErrorCode {
    /// Every code, for documents and tests.
    pub const ALL: [Self; 15] = [
        Self::InvalidConfig,
        Self::InvalidInput,
        Self::TransformFailed,
        Self::ProtocolFailed,
        Self::Trapped,
        Self::FuelExhausted,
        Self::DeadlineExceeded,
        Self::MemoryExceeded,
        Self::OutputTooLarge,
        Self::EgressDenied,
        Self::SecretMissing,
        Self::WorkerLost,
        Self::Cancelled,
        Self::Expired,
        Self::HostError,
    ];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidConfig => "invalid_config",
            Self::InvalidInput => "invalid_input",
            Self::TransformFailed => "transform_failed",
            Self::ProtocolFailed => "protocol_failed",
            Self::Trapped => "trapped",
            Self::FuelExhausted => "fuel_exhausted",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::MemoryExceeded => "memory_exceeded",
            Self::OutputTooLarge => "output_too_large",
            Self::EgressDenied => "egress_denied",
            Self::SecretMissing => "secret_missing",
            Self::WorkerLost => "worker_lost",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::HostError => "host_error",
        }
    }

    /// Who has to act. A protocol's own failure is judged by its kind: see [`ExecutionError`].
    pub const fn blame(self) -> Blame {
        match self {
            Self::InvalidConfig
            | Self::InvalidInput
            | Self::TransformFailed
            | Self::EgressDenied
            | Self::SecretMissing
            | Self::Cancelled
            | Self::Expired => Blame::Action,
            Self::Trapped | Self::FuelExhausted | Self::MemoryExceeded | Self::OutputTooLarge => Blame::Protocol,
            Self::ProtocolFailed | Self::DeadlineExceeded => Blame::Remote,
            Self::WorkerLost | Self::HostError => Blame::Host,
        }
    }

    /// Whether the same execution may end otherwise when it is tried again.
    pub const fn retry_can_help(self) -> bool {
        matches!(
            self,
            Self::ProtocolFailed | Self::Trapped | Self::DeadlineExceeded | Self::WorkerLost | Self::HostError
        )
    }
}

/// Why an attempt or an execution did not succeed, as the record keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionError {
    /// Stable word.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// Who has to act.
    pub blame: Blame,
    /// What the protocol reported, where it reported something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl ExecutionError {
    /// An error of the host's naming.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), blame: code.blame(), failure: None }
    }

    /// A failure that the protocol reported.
    pub fn reported(failure: Failure) -> Self {
        let blame = match failure.kind {
            FailureKind::InvalidConfig | FailureKind::InvalidInput | FailureKind::Unauthenticated => Blame::Action,
            FailureKind::Rejected | FailureKind::RateLimited | FailureKind::Unavailable | FailureKind::BadResponse => {
                Blame::Remote
            }
            FailureKind::Internal => Blame::Protocol,
        };
        Self { code: ErrorCode::ProtocolFailed, message: failure.message.clone(), blame, failure: Some(failure) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_left_alone_for_a_day_at_most() {
        let wait = |ms| Advice::RetryAfterMs(ms).asked_wait();
        assert_eq!((wait(0), wait(1_500)), (Some(Duration::ZERO), Some(Duration::from_millis(1_500))));
        let day = 24 * 3600 * 1000;
        for ms in [day, day + 1, u32::MAX] {
            assert_eq!(wait(ms), Some(RETRY_AFTER_MAX));
        }
        assert_eq!([Advice::GiveUp, Advice::Retry, Advice::InDoubt].map(Advice::asked_wait), [None; 3]);
    }

    #[test]
    fn a_code_is_written_as_it_is_named() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
