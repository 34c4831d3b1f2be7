//! What an endpoint's answer means. By the specification 2xx is a success and everything else a failure
//! that is worth another delivery, but 410: the endpoint is gone for good.

use action_protocol::http::retry_after;
use action_protocol::{Advice, Failure, FailureKind, HttpResponse, Outcome, Payload};
use serde_json::{Value, json};

/// Enough of a body to see what the receiver complains about.
const EXCERPT_BYTES_MAX: usize = 4_096;

/// The output's schema.
pub fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "webhook_id": { "type": "string", "description": "The id under which it was delivered." },
            "status": { "type": "integer", "description": "What the endpoint answered." },
        },
        "required": ["webhook_id", "status"],
    })
}

/// Of a response.
pub fn judge(response: &HttpResponse, url: &str, id: &str) -> Result<Outcome, Failure> {
    let status = response.status;
    if (200..=299).contains(&status) {
        let output = json!({ "webhook_id": id, "status": status });
        return Ok(Payload::json(&output)?.into());
    }
    let again = || retry_after::of(response).map_or(Advice::Retry, Advice::RetryAfter);
    let (kind, advice) = match status {
        410 => (FailureKind::Rejected, Advice::GiveUp),
        401 | 403 => (FailureKind::Unauthenticated, again()),
        429 => (FailureKind::RateLimited, again()),
        500..=599 => (FailureKind::Unavailable, again()),
        // A redirect is not followed: a signature is for the endpoint that was agreed on.
        _ => (FailureKind::Rejected, again()),
    };
    let message = match status {
        410 => format!("{url} answered 410: the endpoint is gone, and wants no deliveries any more"),
        300..=399 => format!("{url} answered {status}: redirects are not followed"),
        _ => format!("{url} answered {status}"),
    };
    let excerpt = String::from_utf8_lossy(&response.body[..response.body.len().min(EXCERPT_BYTES_MAX)]).into_owned();
    Err(Failure { kind, message, advice, details: None }.details(&json!({ "status": status, "body": excerpt })))
}
