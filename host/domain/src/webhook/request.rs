//! The head of a delivery: what of it stands in the record and reaches a protocol.
//!
//! What proves who sent it is left out, because the record is read by more people than may send. Only
//! where the component itself verifies, it gets all of it.

use super::Scheme;
use crate::services::WebhookRequest;

/// Most headers of a delivery that reach a protocol.
pub const HEADERS_MAX: usize = 64;
/// Most bytes of all of them, names and values together.
pub const HEADERS_BYTES_MAX: usize = 16 << 10;
/// Longest path with its query, in bytes.
pub const PATH_WITH_QUERY_BYTES_MAX: usize = 8 << 10;

/// Headers that prove who somebody is, here or elsewhere.
const PROOFS: [&str; 11] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "stripe-signature",
    "webhook-signature",
    "x-api-key",
    "x-gitlab-token",
    "x-hub-signature",
    "x-hub-signature-256",
    "x-slack-signature",
    "x-webhook-key",
];

/// Why a head is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// Its path with its query.
    #[error("the path and its query have more than {PATH_WITH_QUERY_BYTES_MAX} bytes")]
    Path,
    /// Its headers.
    #[error("there are more than {HEADERS_MAX} headers, or more than {HEADERS_BYTES_MAX} bytes in them")]
    Headers,
}

/// Whether a head is within its bounds.
///
/// # Errors
/// What of it is too large.
pub fn check(request: &WebhookRequest) -> Result<(), TooLarge> {
    if request.path_with_query.len() > PATH_WITH_QUERY_BYTES_MAX {
        return Err(TooLarge::Path);
    }
    let bytes: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if request.headers.len() > HEADERS_MAX || bytes > HEADERS_BYTES_MAX { Err(TooLarge::Headers) } else { Ok(()) }
}

/// The head as a protocol gets it and the record has it.
pub fn shown(request: &WebhookRequest, scheme: Scheme) -> WebhookRequest {
    if scheme == Scheme::Protocol {
        return request.clone();
    }
    let shows = |(name, _): &&(String, String)| !PROOFS.contains(&name.as_str());
    WebhookRequest {
        method: request.method.clone(),
        path_with_query: without_key(&request.path_with_query),
        headers: request.headers.iter().filter(shows).cloned().collect(),
    }
}

/// The head of a delivery that nobody vouches for: nothing that a stranger can make long.
pub fn of_stranger(request: &WebhookRequest) -> WebhookRequest {
    let path = request.path_with_query.split('?').next().unwrap_or_default();
    WebhookRequest { method: request.method.clone(), path_with_query: path.to_owned(), headers: Vec::new() }
}

/// The value of `key` in a query, decoded.
pub fn key(path_with_query: &str) -> Option<String> {
    let (_, query) = path_with_query.split_once('?')?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "key").map(|(_, value)| value.into_owned())
}

fn without_key(path_with_query: &str) -> String {
    let Some((path, query)) = path_with_query.split_once('?') else { return path_with_query.to_owned() };
    // However the name is written.
    let is_key = |part: &&str| url::form_urlencoded::parse(part.as_bytes()).any(|(name, _)| name == "key");
    let rest: Vec<&str> = query.split('&').filter(|part| !is_key(part)).collect();
    if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path_with_query: &str, headers: &[(&str, &str)]) -> WebhookRequest {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        WebhookRequest { method: "POST".into(), path_with_query: path_with_query.into(), headers }
    }

    #[test]
    fn proofs_are_shown_only_to_the_component_that_verifies() {
        let asked = request("/hooks/a?x=1&key=s&%6bey=t&y", &[("x-webhook-key", "s"), ("user-agent", "u")]);
        assert_eq!(shown(&asked, Scheme::Protocol), asked);
        for scheme in [Scheme::None, Scheme::Key, Scheme::Github] {
            assert_eq!(shown(&asked, scheme), request("/hooks/a?x=1&y", &[("user-agent", "u")]));
        }
        assert_eq!(shown(&request("/hooks/a?key=s", &[]), Scheme::Key).path_with_query, "/hooks/a");
        assert_eq!(of_stranger(&asked), request("/hooks/a", &[]));
    }

    #[test]
    fn a_key_is_decoded() {
        assert_eq!(key("/hooks/a?x=1&key=a%2Bb").as_deref(), Some("a+b"));
        assert_eq!(key("/hooks/a?keys=1"), None);
        assert_eq!(key("/hooks/key"), None);
    }

    #[test]
    fn a_head_is_bounded() {
        assert_eq!(check(&request(&"x".repeat(PATH_WITH_QUERY_BYTES_MAX), &[])), Ok(()));
        assert_eq!(check(&request(&"x".repeat(PATH_WITH_QUERY_BYTES_MAX + 1), &[])), Err(TooLarge::Path));
        assert_eq!(check(&request("", &[("a", "b"); HEADERS_MAX])), Ok(()));
        assert_eq!(check(&request("", &[("a", "b"); HEADERS_MAX + 1])), Err(TooLarge::Headers));
        let long = "x".repeat(HEADERS_BYTES_MAX);
        assert_eq!(check(&request("", &[("a", &long)])), Err(TooLarge::Headers));
    }
}
