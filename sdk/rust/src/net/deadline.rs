//! When a protocol has to be done, so that it is the protocol that says what became of its work.

use std::time::{Duration, Instant, SystemTime};

use crate::Call;

/// Where the config names no time: some less than an attempt may take by default.
pub const TIMEOUT_MS_DEFAULT: u32 = 20_000;

/// The longest that an attempt may take, 15 minutes.
pub const TIMEOUT_MS_MAX: u32 = 900_000;

/// Kept back of an attempt's time, to say how it ended. The service ends what is late, and then nobody
/// knows whether it took effect.
const KEPT_BACK: Duration = Duration::from_millis(250);

/// The end of the time that some work may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// This many milliseconds from now.
    pub fn after_ms(timeout_ms: u32) -> Self {
        Self(Instant::now() + Duration::from_millis(timeout_ms.into()))
    }

    /// This many milliseconds from now, but before the attempt ends.
    #[expect(clippy::disallowed_methods, reason = "a component's clock is the service's: a capability already")]
    pub fn of_call<C>(call: &Call<C>, timeout_ms: u32) -> Self {
        let left = unix_time(&call.deadline).and_then(|end| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
            Some(end.saturating_sub(now).saturating_sub(KEPT_BACK))
        });
        let asked = Duration::from_millis(timeout_ms.into());
        Self(Instant::now() + left.map_or(asked, |left| left.min(asked)))
    }

    /// What is left, in milliseconds; none where it has passed.
    pub fn left_ms(&self) -> Option<u32> {
        let left = self.0.checked_duration_since(Instant::now())?;
        // Part of a millisecond is not nothing.
        Some(u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1))
    }
}

/// Since 1970, of an RFC 3339 time in UTC as the contract has it.
fn unix_time(text: &str) -> Option<Duration> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let number = |text: &str| text.parse::<u64>().ok();
    let [year, month, day] = <[&str; 3]>::try_from(date.split('-').collect::<Vec<_>>()).ok()?.map(number);
    let (year, month, day) = (year?, month?, day?);
    let [hour, minute, second] = <[&str; 3]>::try_from(time.split(':').collect::<Vec<_>>()).ok()?;
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March, so that a leap day is a year's last.
    let (march_year, march_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + (march_month * 153 + 2) / 5 + day - 1;
    let seconds = (days - 719_468) * 86_400 + number(hour)? * 3_600 + number(minute)? * 60 + number(second)?;
    let millis = number(format!("{fraction:0<3}").get(..3)?)?;
    Some(Duration::from_millis(seconds * 1_000 + millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-23T05:08:00Z", 1_795_410_480_000),
            ("2024-02-29T23:59:59.5Z", 1_709_251_199_500),
            ("2000-03-01T00:00:00.123456Z", 951_868_800_123),
        ] {
            assert_eq!(unix_time(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "2026-11-23", "2026-11-23T05:08:00+01:00", "1969-01-01T00:00:00Z", "x-y-zTa:b:cZ"] {
            assert_eq!(unix_time(text), None, "{text}");
        }
    }

    #[test]
    fn a_deadline_passes() {
        assert!(Deadline::after_ms(60_000).left_ms().is_some_and(|left| left > 50_000));
        assert_eq!(Deadline(Instant::now() - Duration::from_millis(1)).left_ms(), None);
    }
}
