//! When a remote wants to be asked again.

use std::time::{Duration, SystemTime};

use crate::HttpResponse;

/// How many milliseconds the header `Retry-After` asks to wait; none where it says nothing
/// that can be understood.
///
/// A date is measured against the remote's own clock where it told its time: what it asks
/// for is a span, and its clock may be wrong.
#[expect(clippy::disallowed_methods, reason = "a component's clock is the service's: a capability already")]
pub fn of(response: &HttpResponse) -> Option<u32> {
    let value = response.header("retry-after")?;
    let remote_now = response.header("date").and_then(|date| httpdate::parse_http_date(date).ok());
    parse(value, || remote_now.unwrap_or_else(SystemTime::now))
}

/// The same for a value alone. `now` is asked for only where the value is a date.
pub fn parse(value: &str, now: impl FnOnce() -> SystemTime) -> Option<u32> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a u64 has is simply very long.
        return Some(millis(Duration::from_secs(value.parse().unwrap_or(u64::MAX))));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    // A date that has passed means: at once.
    Some(millis(date.duration_since(now()).unwrap_or_default()))
}

/// At most what the contract can carry, 49 days.
fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Header;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn at(date: &str) -> impl FnOnce() -> SystemTime {
        let now = httpdate::parse_http_date(date).unwrap();
        move || now
    }

    #[test]
    fn seconds() {
        assert_eq!(parse("120", || unreachable!()), Some(120_000));
        assert_eq!(parse(" 0 ", || unreachable!()), Some(0));
        assert_eq!(parse("99999999999999999999999", || unreachable!()), Some(u32::MAX));
    }

    #[test]
    fn dates_in_all_three_forms() {
        for date in [DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(date, at("Sun, 06 Nov 1994 08:49:30 GMT")), Some(7_000), "{date}");
        }
        assert_eq!(parse(DATE, at("Mon, 07 Nov 1994 08:49:37 GMT")), Some(0));
    }

    #[test]
    fn nonsense_is_nothing() {
        for value in ["", "soon", "-1", "1.5", "Sun, 36 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse(value, || unreachable!()), None, "{value}");
        }
    }

    #[test]
    fn the_remotes_own_clock_counts() {
        let header = |name: &str, value: &str| Header { name: name.into(), value: value.into() };
        let response = HttpResponse {
            status: 503,
            headers: vec![header("Date", "Sun, 06 Nov 1994 08:49:00 GMT"), header("Retry-After", DATE)],
            body: Vec::new(),
        };
        assert_eq!(of(&response), Some(37_000));
    }
}
