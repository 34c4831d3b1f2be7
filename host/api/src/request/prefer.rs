//! `Prefer: respond-async | wait=SECONDS` (RFC 7240).

use action_domain::limits::WAIT_MAX;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// The header of the request.
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The header of the answer.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What the caller prefers. Preferences that are not known or make no sense do not count, as
/// the RFC wants it; of two with the same name the first counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    respond_async: bool,
    wait: Option<u64>,
}

impl Prefer {
    /// Of all `Prefer` headers of a request.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        let mut waits = false;
        for header in headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok()) {
            for preference in split(header, b',') {
                // What follows a semicolon are parameters, and neither preference has any.
                let Some(token) = split(preference, b';').next() else { continue };
                let (name, value) = token.split_once('=').unwrap_or((token, ""));
                let (name, value) = (name.trim(), value.trim().trim_matches('"'));
                if name.eq_ignore_ascii_case("respond-async") {
                    prefer.respond_async = true;
                } else if name.eq_ignore_ascii_case("wait") && !waits {
                    waits = true;
                    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                    prefer.wait = digits.then(|| value.parse().unwrap_or(u64::MAX));
                }
            }
        }
        prefer
    }

    /// How long to wait for the end; `None`: not at all.
    pub(crate) fn wait(self) -> Option<Duration> {
        match (self.wait, self.respond_async) {
            (Some(0), _) | (None, true) => None,
            (Some(seconds), _) => Some(Duration::from_secs(seconds).min(WAIT_MAX)),
            (None, false) => Some(WAIT_MAX),
        }
    }

    /// What of it was honoured, for `Preference-Applied`. `ended`: the answer did not need to
    /// be asynchronous.
    pub(crate) fn applied(self, ended: bool) -> Option<HeaderValue> {
        let respond_async = self.respond_async && !ended;
        let wait = self.wait.map(|seconds| seconds.min(WAIT_MAX.as_secs()));
        match (respond_async, wait) {
            (false, None) => None,
            (true, None) => Some(HeaderValue::from_static("respond-async")),
            (false, Some(seconds)) => HeaderValue::from_str(&format!("wait={seconds}")).ok(),
            (true, Some(seconds)) => HeaderValue::from_str(&format!("respond-async, wait={seconds}")).ok(),
        }
    }
}

/// Parts between separators that do not stand in a quoted string.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = current.bytes().position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => return byte == separator && !quoted,
            }
            false
        });
        rest = end.map(|end| &current[end + 1..]);
        Some(&current[..end.unwrap_or(current.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefer(headers: &[&str]) -> Prefer {
        let headers = headers.iter().map(|value| (PREFER, HeaderValue::from_str(value).unwrap()));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        Prefer::of(&map)
    }

    #[test]
    fn every_way_to_write_it() {
        let seconds = |headers: &[&str]| prefer(headers).wait().map(|wait| wait.as_secs());
        for (headers, wait) in [
            (&[][..], Some(30)),
            (&["respond-async"], None),
            (&["Respond-Async"], None),
            (&["wait=5"], Some(5)),
            (&["WAIT = \"5\""], Some(5)),
            (&["wait=0"], None),
            (&["wait=31"], Some(30)),
            (&["wait=99999999999999999999999"], Some(30)),
            (&["respond-async, wait=10"], Some(10)),
            (&["respond-async", "wait=10"], Some(10)),
            (&["wait=10;x=y;respond-async"], Some(10)),
            (&["wait=10, wait=20"], Some(10)),
            (&["wait=x, wait=20"], Some(30)),
            (&["wait=-1"], Some(30)),
            (&["wait=+1"], Some(30)),
            (&["foo=\"a, respond-async\""], Some(30)),
            (&["foo=\"a\\\", respond-async\", wait=3"], Some(3)),
            (&["return=minimal; x=\"respond-async\""], Some(30)),
            (&[" , ,respond-async,"], None),
        ] {
            assert_eq!(seconds(headers), wait, "{headers:?}");
        }
    }

    #[test]
    fn what_was_honoured_is_said() {
        let applied = |headers: &[&str], ended| prefer(headers).applied(ended);
        assert_eq!(applied(&[], false), None);
        assert_eq!(applied(&["respond-async"], false).unwrap(), "respond-async");
        assert_eq!(applied(&["wait=100"], true).unwrap(), "wait=30");
        assert_eq!(applied(&["respond-async, wait=1"], false).unwrap(), "respond-async, wait=1");
        assert_eq!(applied(&["respond-async, wait=1"], true).unwrap(), "wait=1");
    }
}
