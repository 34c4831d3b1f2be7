//! Failures: one constructor for each kind, with the advice that it usually carries.

use serde_json::{Value, json};

use crate::bindings::julee::action::capture::CaptureError;
use crate::bindings::julee::action::secrets::SecretError;
use crate::{Advice, Effect, Failure, FailureKind, Issue, OutboundError};

impl Failure {
    /// A failure of this kind. What the remote may get over is worth a retry, the rest is not.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let advice = match kind {
            FailureKind::RateLimited | FailureKind::Unavailable => Advice::Retry,
            FailureKind::InvalidConfig
            | FailureKind::InvalidInput
            | FailureKind::Unauthenticated
            | FailureKind::Rejected
            | FailureKind::BadResponse
            | FailureKind::Internal => Advice::GiveUp,
        };
        Self { kind, message: message.into(), advice, details: None }
    }

    /// The config cannot work.
    pub fn invalid_config(message: impl Into<String>) -> Self {
        Self::new(FailureKind::InvalidConfig, message)
    }

    /// The input cannot be handled.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(FailureKind::InvalidInput, message)
    }

    /// The remote does not know or does not admit us.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unauthenticated, message)
    }

    /// The remote refused: a repeat would be refused too.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Rejected, message)
    }

    /// The remote asks us to slow down.
    pub fn rate_limited(message: impl Into<String>) -> Self {
        Self::new(FailureKind::RateLimited, message)
    }

    /// The remote could not be reached or could not answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, message)
    }

    /// The remote answered something that makes no sense.
    pub fn bad_response(message: impl Into<String>) -> Self {
        Self::new(FailureKind::BadResponse, message)
    }

    /// A defect of the protocol itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, message)
    }

    /// The same with other advice.
    pub fn advice(mut self, advice: Advice) -> Self {
        self.advice = advice;
        self
    }

    /// The same with details for a program to read.
    pub fn details(mut self, details: &Value) -> Self {
        self.details = Some(details.to_string());
        self
    }

    /// A config that turned out not to be one, with every issue in the details.
    pub fn from_issues(issues: &[Issue]) -> Self {
        let message = match issues {
            [] => "the config is not valid".to_owned(),
            [first, ..] => format!("{}: {}", first.pointer, first.message),
        };
        let listed: Vec<Value> =
            issues.iter().map(|i| json!({ "pointer": i.pointer, "code": i.code, "message": i.message })).collect();
        Self::invalid_config(message).details(&json!({ "issues": listed }))
    }

    /// What an error on the way out means for an execution with this effect.
    ///
    /// Where the request may have been carried out and nobody knows, a repeat is right only
    /// if it does no harm.
    pub fn from_outbound(error: &OutboundError, effect: Effect) -> Self {
        let repeat = if effect == Effect::Unsafe { Advice::InDoubt } else { Advice::Retry };
        match error {
            OutboundError::Denied(_) | OutboundError::BadRequest(_) => Self::invalid_config(in_words(error)),
            OutboundError::NameUnknown(_) | OutboundError::ConnectFailed(_) => Self::unavailable(in_words(error)),
            OutboundError::TimedOut | OutboundError::Closed => Self::unavailable(in_words(error)).advice(repeat),
            // A repeat would bring the same certificate, or as much again. A connection that only
            // ended in the middle of the handshake is `connect-failed`.
            OutboundError::TlsFailed(_) | OutboundError::TooLarge(_) => Self::bad_response(in_words(error)),
            OutboundError::BadResponse(_) => Self::bad_response(in_words(error)).advice(repeat),
        }
    }
}

/// An error of the way out, for people.
fn in_words(error: &OutboundError) -> String {
    match error {
        OutboundError::Denied(why) => why.clone(),
        OutboundError::NameUnknown(why) => format!("the name is unknown: {why}"),
        OutboundError::ConnectFailed(why) => format!("no connection: {why}"),
        OutboundError::TlsFailed(why) => format!("no TLS: {why}"),
        OutboundError::TimedOut => "it took too long".into(),
        OutboundError::Closed => "the connection was closed".into(),
        OutboundError::TooLarge(bytes) => format!("the answer is over {bytes} bytes"),
        OutboundError::BadRequest(why) => format!("the request makes no sense: {why}"),
        OutboundError::BadResponse(why) => format!("the answer makes no sense: {why}"),
    }
}

/// Takes the worst for granted, that the request was one that must not be repeated; who
/// knows better calls [`Failure::from_outbound`].
impl From<OutboundError> for Failure {
    fn from(error: OutboundError) -> Self {
        Self::from_outbound(&error, Effect::Unsafe)
    }
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        match error {
            CaptureError::TooLarge(limit) => Self::bad_response(format!("too large: {limit}")),
            CaptureError::Unavailable(why) => Self::unavailable(format!("capture: {why}")),
        }
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::invalid_config(match error {
            SecretError::UnknownHandle => "this is not a reference to a secret",
            SecretError::NotGranted => "the action does not allow this protocol to see the secret",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_sent_may_be_repeated_by_anyone() {
        for error in [OutboundError::NameUnknown("n".into()), OutboundError::ConnectFailed("c".into())] {
            let failure = Failure::from_outbound(&error, Effect::Unsafe);
            assert!(matches!(failure.kind, FailureKind::Unavailable));
            assert!(matches!(failure.advice, Advice::Retry));
        }
    }

    #[test]
    fn a_certificate_that_is_not_accepted_is_not_tried_again() {
        for effect in [Effect::Read, Effect::Idempotent, Effect::Keyed, Effect::Unsafe] {
            let failure = Failure::from_outbound(&OutboundError::TlsFailed("t".into()), effect);
            assert!(matches!(failure.kind, FailureKind::BadResponse));
            assert!(matches!(failure.advice, Advice::GiveUp));
        }
    }

    #[test]
    fn an_unanswered_request_is_repeated_only_where_that_is_harmless() {
        for error in [OutboundError::TimedOut, OutboundError::Closed] {
            for effect in [Effect::Read, Effect::Idempotent, Effect::Keyed] {
                assert!(matches!(Failure::from_outbound(&error, effect).advice, Advice::Retry));
            }
            let doubtful = Failure::from_outbound(&error, Effect::Unsafe);
            assert!(matches!(doubtful.advice, Advice::InDoubt));
        }
    }

    #[test]
    fn a_refusal_by_the_gate_is_the_configs_fault() {
        let failure = Failure::from(OutboundError::Denied("no grant".into()));
        assert!(matches!(failure.kind, FailureKind::InvalidConfig));
        assert!(matches!(failure.advice, Advice::GiveUp));
        assert!(failure.message.contains("no grant"));
    }
}
