//! What an answer that refuses means, and what to do then.

use action_protocol::http::retry_after;
use action_protocol::{Advice, Effect, Failure, FailureKind, HttpResponse, OutboundError};
use serde_json::json;

use crate::xml;

/// Enough of an answer to find the error in it.
const EXCERPT_BYTES_MAX: usize = 64 << 10;

/// The failure that an answer is which is no success.
pub fn of_response(response: &HttpResponse, what: &str) -> Failure {
    let excerpt = String::from_utf8_lossy(&response.body[..response.body.len().min(EXCERPT_BYTES_MAX)]);
    let code = xml::text(&excerpt, "Code").unwrap_or_default();
    let told = xml::text(&excerpt, "Message").unwrap_or_default();
    let kind = match (response.status, code.as_str()) {
        (_, "SlowDown" | "TooManyRequests") | (429, _) => FailureKind::RateLimited,
        // Of a clock that is wrong nothing is known but that it may be right later.
        (_, "RequestTimeTooSkewed" | "RequestTimeout") => FailureKind::Unavailable,
        (_, "NoSuchBucket" | "InvalidBucketName" | "PermanentRedirect" | "AuthorizationHeaderMalformed") => {
            FailureKind::InvalidConfig
        }
        (401 | 403, _) => FailureKind::Unauthenticated,
        (501, _) => FailureKind::Rejected,
        // Somebody else is writing this key.
        (409, "ConditionalRequestConflict" | "OperationAborted") | (500..=599, _) => FailureKind::Unavailable,
        (300..=499, _) => FailureKind::Rejected,
        _ => FailureKind::BadResponse,
    };
    let mut message = format!("{what}: {}", response.status);
    if !code.is_empty() {
        message = format!("{message} {code}: {told}");
    }
    let mut failure = Failure::new(kind, message);
    if let (Advice::Retry, Some(ms)) = (&failure.advice, retry_after::of(response)) {
        failure.advice = Advice::RetryAfter(ms);
    }
    failure.details(&json!({ "status": response.status, "code": code, "message": told }))
}

/// The failure that an error on the way is. All that is done here may be repeated.
pub fn of_outbound(error: &OutboundError, what: &str) -> Failure {
    let mut failure = Failure::from_outbound(error, Effect::Idempotent);
    failure.message = format!("{what}: {}", failure.message);
    failure
}
