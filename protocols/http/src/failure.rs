//! What an answer that was not expected means, and what to do then.

use action_protocol::http::url::Url;
use action_protocol::http::{Followed, RedirectError, retry_after};
use action_protocol::{Advice, Effect, Failure, FailureKind, HttpResponse, OutboundError};
use serde_json::{Map, Value, json};

use crate::config::{AdviceWord, Config, Kind, Rule};

/// Enough of a body to see what the remote complains about.
const EXCERPT_BYTES_MAX: usize = 4_096;

/// Headers that help to understand a refusal.
const TELLING_HEADERS: [&str; 5] = ["content-type", "location", "retry-after", "www-authenticate", "x-request-id"];

/// The failure that an unexpected status is.
pub fn from_response(followed: &Followed, config: &Config, effect: Effect) -> Failure {
    let response = &followed.response;
    let status = response.status;
    let (kind, advice) = match config.failures.iter().find(|rule| rule.fits(status)) {
        Some(rule) => rule.judge(response),
        None => judge(response, effect),
    };
    let expected: Vec<String> = config.expect.iter().map(ToString::to_string).collect();
    let mut message = format!(
        "{} {} answered {status}, expected was {}",
        config.method,
        without_query(&followed.url),
        expected.join(", "),
    );
    if let (300..=399, Some(location)) = (status, response.header("location")) {
        message = format!("{message}; it redirects to {location}");
        if followed.hops >= config.redirects_max() {
            message = format!("{message}, which is beyond max_redirects ({})", config.redirects_max());
        }
    }
    Failure { kind, message, advice, details: None }.details(&details(response))
}

/// What a status means where the config does not say.
pub fn judge(response: &HttpResponse, effect: Effect) -> (FailureKind, Advice) {
    match response.status {
        401 | 403 | 407 => (FailureKind::Unauthenticated, Advice::GiveUp),
        // 408 and 425: the remote did not begin with it.
        408 | 425 | 429 => (FailureKind::RateLimited, again(response)),
        // A gateway says that it does not know what became of the request.
        502 | 504 if effect == Effect::Unsafe => (FailureKind::Unavailable, Advice::InDoubt),
        // 501 and 505 will not change by themselves.
        300..=499 | 501 | 505 => (FailureKind::Rejected, Advice::GiveUp),
        500..=599 => (FailureKind::Unavailable, again(response)),
        // An answer that succeeded, but not as expected; and statuses that do not exist.
        _ => (FailureKind::BadResponse, Advice::GiveUp),
    }
}

/// A retry, when the remote says.
fn again(response: &HttpResponse) -> Advice {
    retry_after::of(response).map_or(Advice::Retry, Advice::RetryAfter)
}

impl Rule {
    fn fits(&self, status: u16) -> bool {
        self.status.iter().any(|pattern| pattern.holds(status))
    }

    fn judge(&self, response: &HttpResponse) -> (FailureKind, Advice) {
        let kind = match self.kind {
            Kind::InvalidConfig => FailureKind::InvalidConfig,
            Kind::InvalidInput => FailureKind::InvalidInput,
            Kind::Unauthenticated => FailureKind::Unauthenticated,
            Kind::Rejected => FailureKind::Rejected,
            Kind::RateLimited => FailureKind::RateLimited,
            Kind::Unavailable => FailureKind::Unavailable,
            Kind::BadResponse => FailureKind::BadResponse,
        };
        let advice = self.advice.unwrap_or(match self.kind {
            Kind::RateLimited | Kind::Unavailable => AdviceWord::Retry,
            _ => AdviceWord::GiveUp,
        });
        let advice = match advice {
            AdviceWord::GiveUp => Advice::GiveUp,
            AdviceWord::InDoubt => Advice::InDoubt,
            AdviceWord::Retry => {
                retry_after::of(response).or(self.retry_after_ms).map_or(Advice::Retry, Advice::RetryAfter)
            }
        };
        (kind, advice)
    }
}

/// The failure that an error on the way is.
pub fn from_redirects(error: RedirectError, config: &Config, effect: Effect) -> Failure {
    match error {
        RedirectError::BadLocation { location, reason } => {
            Failure::bad_response(format!("the remote redirects to {location}: {reason}"))
        }
        RedirectError::Outbound { error, url, hops } => {
            let mut failure = Failure::from_outbound(&error, effect);
            failure.message = format!("{} {}: {}", config.method, without_query(&url), failure.message);
            if hops > 0 {
                failure.message = format!("{} (after {hops} redirects)", failure.message);
                if matches!(error, OutboundError::Denied(_)) {
                    failure.message =
                        format!("{}; a host that redirects may lead to belongs in redirect_urls", failure.message);
                }
                // Whoever redirected may have done the work before.
                if effect == Effect::Unsafe && matches!(failure.advice, Advice::Retry) {
                    failure.advice = Advice::InDoubt;
                }
            }
            failure
        }
    }
}

/// A URL for a message: its query may hold what is nobody's business.
pub fn without_query(text: &str) -> String {
    Url::parse(text).map_or_else(|_| "the URL".into(), |url| format!("{}{}", url.origin(), url.path))
}

/// Status, some headers and the body's beginning, for a program to read.
fn details(response: &HttpResponse) -> Value {
    let header = |name: &str| Some((name.to_owned(), Value::from(response.header(name)?)));
    let headers: Map<String, Value> = TELLING_HEADERS.iter().filter_map(|name| header(name)).collect();
    let mut details = json!({ "status": response.status, "headers": headers });
    if let Some(excerpt) = excerpt(&response.body) {
        details["body"] = excerpt.into();
        details["body_cut"] = (response.body.len() > EXCERPT_BYTES_MAX).into();
    }
    details
}

/// The body's beginning, if it is text.
fn excerpt(body: &[u8]) -> Option<&str> {
    let start = &body[..body.len().min(EXCERPT_BYTES_MAX)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The cut may have gone through a character.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&start[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}
