//! Headers that are taken over: what ties requests together across systems, and media types.

use crate::error::{Answer, Problem};
use action_domain::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use http::{HeaderMap, HeaderName, header};
use std::sync::{Arc, LazyLock};

/// Ties together what belongs together across systems.
pub(crate) const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The same key for the same action is the same execution (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Longest correlation id.
const CORRELATION_ID_BYTES_MAX: usize = 128;
/// Longest media type with its parameters.
const CONTENT_TYPE_BYTES_MAX: usize = 255;

static JSON: LazyLock<Arc<str>> = LazyLock::new(|| "application/json".into());
static OCTETS: LazyLock<Arc<str>> = LazyLock::new(|| "application/octet-stream".into());

/// The correlation id, if the caller gives one.
pub(crate) fn correlation_id(headers: &HeaderMap) -> Answer<Option<Arc<str>>> {
    let Some(value) = headers.get(X_CORRELATION_ID) else { return Ok(None) };
    let bytes = value.as_bytes();
    let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    match value.to_str() {
        Ok(text) if printable && (1..=CORRELATION_ID_BYTES_MAX).contains(&bytes.len()) => Ok(Some(text.into())),
        _ => {
            let detail = format!("X-Correlation-Id has 1 to {CORRELATION_ID_BYTES_MAX} printable ASCII characters");
            Err(Problem::bad_request("invalid_correlation_id", detail))
        }
    }
}

/// The idempotency key, if the caller gives one. The draft wants a quoted string (RFC 9651); most callers send the bare
/// key, so both are the same.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Answer<Option<Arc<str>>> {
    let mut all = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| all.next().is_none());
    let key = text.and_then(|text| if text.starts_with('"') { unquoted(text) } else { Some(text.to_owned()) });
    let fits = |key: &String| {
        (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    };
    let refuse = || {
        let detail = format!("Idempotency-Key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters, once");
        Problem::bad_request("invalid_idempotency_key", detail)
    };
    key.filter(fits).map(|key| Some(key.into())).ok_or_else(refuse)
}

/// What a quoted string says, if it is one and nothing follows it.
fn unquoted(text: &str) -> Option<String> {
    let mut inner = text.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut said = String::new();
    while let Some(c) = inner.next() {
        match c {
            '\\' => said.push(inner.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            c => said.push(c),
        }
    }
    Some(said)
}

/// The trace context, if the caller gives a valid one. A broken one is dropped and not refused,
/// as the W3C recommendation wants it: the trace begins anew.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<Arc<str>> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let text = all.next().filter(|_| all.next().is_none())?.to_str().ok()?;
    is_traceparent(text).then(|| text.into())
}

/// `version-trace_id-parent_id-flags`, lower-case hexadecimal, ids not all zero. A version to
/// come may have more behind it.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.splitn(5, '-');
    let mut hex = |length: usize| {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        parts.next().filter(|part| part.len() == length && part.bytes().all(digits))
    };
    let (Some(version), Some(trace), Some(parent), Some(_)) = (hex(2), hex(32), hex(16), hex(2)) else { return false };
    let some = |id: &str| id.bytes().any(|byte| byte != b'0');
    version != "ff" && some(trace) && some(parent) && (version != "00" || parts.next().is_none()) && text.len() <= 512
}

/// The body's media type; `application/octet-stream` where the caller does not say.
pub(crate) fn content_type(headers: &HeaderMap) -> Answer<Arc<str>> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(OCTETS.clone()) };
    match value.to_str() {
        Ok("application/json") => Ok(JSON.clone()),
        Ok(text) if text.len() <= CONTENT_TYPE_BYTES_MAX && essence(text).contains('/') => Ok(text.into()),
        _ => Err(Problem::bad_request("invalid_content_type", "Content-Type is not a media type")),
    }
}

/// A media type without its parameters.
pub(crate) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether the body is said to be one of these media types.
pub(crate) fn is_one_of(headers: &HeaderMap, types: &[&str]) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence);
    content_type.is_some_and(|essence| types.iter().any(|wanted| essence.eq_ignore_ascii_case(wanted)))
}

/// Whether the caller names this media type in `Accept`, and does not refuse it with `q=0`.
pub(crate) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let refused =
            range.split(';').skip(1).filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
                name.trim().eq_ignore_ascii_case("q") && value.trim().parse().is_ok_and(|q: f32| q <= 0.0)
            });
        essence(range).eq_ignore_ascii_case(wanted) && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn one(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_bytes(value.as_bytes()).unwrap())])
    }

    #[test]
    fn a_correlation_id_is_short_and_printable() {
        let take = |value: &str| correlation_id(&one(X_CORRELATION_ID, value));
        assert_eq!(correlation_id(&HeaderMap::new()).unwrap(), None);
        assert_eq!(take("order 7/ä".trim_end_matches("/ä")).unwrap().as_deref(), Some("order 7"));
        assert!(take(&"x".repeat(128)).is_ok());
        for bad in ["", "ä", "a\tb", &"x".repeat(129)] {
            assert!(take(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_idempotency_key_is_bare_or_quoted() {
        let take =
            |value: &str| idempotency_key(&one(IDEMPOTENCY_KEY, value)).map(|key| key.map(|key| key.to_string()));
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
        for (sent, key) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("\"8e03978e\"", "8e03978e"),
            (r#""a \"b\" \\""#, r#"a "b" \"#),
            ("a\"b", "a\"b"),
        ] {
            assert_eq!(take(sent).unwrap().as_deref(), Some(key), "{sent}");
        }
        assert!(take(&"x".repeat(255)).is_ok());
        for bad in
            ["", "\"\"", "\"", "\"a", "\"a\"; b=1", r#""a\""#, r#""a\b""#, "\"a\"b\"", "ä", "a\tb", &"x".repeat(256)]
        {
            assert!(take(bad).is_err(), "{bad:?}");
        }
        let mut twice = one(IDEMPOTENCY_KEY, "a");
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        assert!(idempotency_key(&twice).is_err());
    }

    #[test]
    fn a_traceparent_is_valid_or_dropped() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        assert!(is_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes"));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
        let mut twice = one(TRACEPARENT, good);
        assert!(traceparent(&twice).is_some());
        twice.append(TRACEPARENT, HeaderValue::from_static("x"));
        assert!(traceparent(&twice).is_none());
    }

    #[test]
    fn accept_is_read_range_by_range() {
        let take = |value: &str| accepts(&one(header::ACCEPT, value), "text/event-stream");
        assert!(take("text/event-stream"));
        assert!(take("application/json;q=0.1, TEXT/event-stream; q=0.9"));
        assert!(!take("text/event-stream;q=0"));
        assert!(!take("text/*, */*"));
        assert!(!accepts(&HeaderMap::new(), "text/event-stream"));
    }
}
