//! Schedules: at which times they fire.
//!
//! Cron expressions have five fields, or six with seconds in front, with names and `@hourly` and its
//! kin; they are read in an IANA time zone. Over changes of daylight-saving time what names an hour that
//! is left out fires right after the gap, what names an hour that is there twice fires once, and what
//! fires every so often goes on doing so (`schedule/wall.rs`).

mod wall;

use crate::{failure::Issue, limits::CLOCK_AHEAD_MAX, time::Timestamp};
use croner::{
    Cron,
    parser::{CronParser, Seconds},
};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wall::WallClock;

/// Shortest time between two fires, in milliseconds.
pub const EVERY_MS_MIN: u64 = 1_000;
/// Longest time between two fires, in milliseconds: a year.
pub const EVERY_MS_MAX: u64 = 365 * 24 * 3600 * 1000;
/// Most fires that `missed: run_all` makes up for at once; older ones are not made up for.
pub const MISSED_RUNS_MAX: usize = 100;
/// What fires later than this was missed, in milliseconds: nobody was there to fire it.
pub const MISSED_AFTER_MS: u64 = 10_000;

/// When an action fires by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// A cron expression; this or `every_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Every so many milliseconds, counted from `start` or else from the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// IANA time zone in which `cron` is read.
    #[serde(default = "utc")]
    pub timezone: String,
    /// Not before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Not after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// An execution begins up to this much later than it is due, in milliseconds, at random.
    #[serde(default)]
    pub jitter_ms: u64,
    /// What becomes of fires that nobody was there for.
    #[serde(default)]
    pub missed: Missed,
    /// What becomes of a fire while the execution of the one before has not ended.
    #[serde(default)]
    pub overlap: Overlap,
    /// What the execution gets as its input; `null` where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<serde_json::Value>,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// What becomes of fires that nobody was there for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// They are recorded as missed.
    Skip,
    /// The last of them is made up for.
    #[default]
    RunOnce,
    /// Each is made up for, the newest [`MISSED_RUNS_MAX`] at most.
    RunAll,
}

/// What becomes of a fire while the execution of the one before has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// Both run.
    #[default]
    Allow,
    /// It is recorded as skipped.
    Skip,
    /// It waits until the other has ended, well or not.
    Queue,
}

/// A schedule that was understood.
#[derive(Debug, Clone)]
pub struct Calendar {
    rule: Rule,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Rule {
    Cron(WallClock),
    Every(i64),
}

impl Schedule {
    /// What is wrong with it; the pointers are into it.
    pub fn check(&self) -> Vec<Issue> {
        // Whenever it starts and ends: one that never fires is a slip.
        let mut issues = match Calendar::of(&Self { start: None, end: None, ..self.clone() }) {
            Ok(calendar) if calendar.after(Timestamp::default()).is_none() => {
                vec![Issue::new("/cron", "invalid_cron", "there is no such day")]
            }
            Ok(_) => Vec::new(),
            Err(issues) => issues,
        };
        if self.jitter_ms > 3_600_000 {
            issues.push(Issue::new("/jitter_ms", "out_of_range", "at most an hour"));
        }
        if let (Some(start), Some(end)) = (self.start, self.end)
            && end <= start
        {
            issues.push(Issue::new("/end", "out_of_range", "it ends before it starts"));
        }
        issues
    }
}

impl Calendar {
    /// Of a schedule.
    ///
    /// # Errors
    /// Everything that keeps it from being understood; the pointers are into the schedule.
    pub fn of(schedule: &Schedule) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        let zone = TimeZone::get(&schedule.timezone)
            .map_err(|_| {
                let message = format!("`{}` is no IANA time zone, for instance Europe/Berlin", schedule.timezone);
                issues.push(Issue::new("/timezone", "unknown_timezone", message));
            })
            .ok();
        let rule = match (&schedule.cron, schedule.every_ms) {
            (Some(text), None) => match parse(text) {
                Ok(cron) => zone.map(|zone| Rule::Cron(WallClock::new(cron, zone))),
                Err(message) => {
                    issues.push(Issue::new("/cron", "invalid_cron", message));
                    None
                }
            },
            (None, Some(every)) if (EVERY_MS_MIN..=EVERY_MS_MAX).contains(&every) => {
                zone.map(|_| Rule::Every(i64::try_from(every).unwrap_or(i64::MAX).saturating_mul(1000)))
            }
            (None, Some(_)) => {
                issues.push(Issue::new("/every_ms", "out_of_range", "a second to a year"));
                None
            }
            (Some(_), Some(_)) => {
                issues.push(Issue::new("/every_ms", "invalid", "either cron or every_ms"));
                None
            }
            (None, None) => {
                issues.push(Issue::new("/cron", "required", "a schedule has cron or every_ms"));
                None
            }
        };
        match rule {
            Some(rule) if issues.is_empty() => Ok(Self { rule, start: schedule.start, end: schedule.end }),
            _ => Err(issues),
        }
    }

    /// The first time at which it fires behind this; none if it never will.
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        // A start that is a time of the schedule fires.
        let from = match self.start {
            Some(start) if start > time => Timestamp::from_micros(start.as_micros() - 1),
            _ => time,
        };
        let next = match &self.rule {
            Rule::Every(every) => {
                let origin = self.start.unwrap_or_default().as_micros();
                let steps = (from.as_micros() - origin).div_euclid(*every) + 1;
                Timestamp::from_micros(origin.checked_add(steps.checked_mul(*every)?)?)
            }
            Rule::Cron(clock) => {
                let from = jiff::Timestamp::from_microsecond(from.as_micros()).ok()?;
                Timestamp::from_micros(clock.after(from)?.as_microsecond())
            }
        };
        (next > time && self.end.is_none_or(|end| next <= end)).then_some(next)
    }

    /// The last time at which it fires before this; none if it never did.
    fn before(&self, time: Timestamp) -> Option<Timestamp> {
        let until = match self.end {
            Some(end) if end < time => Timestamp::from_micros(end.as_micros() + 1),
            _ => time,
        };
        let last = match &self.rule {
            Rule::Every(every) => {
                let origin = self.start.unwrap_or_default().as_micros();
                let steps = (until.as_micros() - 1 - origin).div_euclid(*every);
                Timestamp::from_micros(origin.checked_add(steps.checked_mul(*every)?)?)
            }
            Rule::Cron(clock) => {
                let until = jiff::Timestamp::from_microsecond(until.as_micros()).ok()?;
                Timestamp::from_micros(clock.before(until)?.as_microsecond())
            }
        };
        self.start.is_none_or(|start| last >= start).then_some(last)
    }

    /// How many times there are from one to another, with both, where that needs no counting.
    fn count(&self, first: Timestamp, last: Timestamp) -> Option<u64> {
        match self.rule {
            Rule::Every(every) => u64::try_from((last.as_micros() - first.as_micros()) / every + 1).ok(),
            Rule::Cron(_) => None,
        }
    }

    /// The times at which it fires behind this one, up to so many.
    pub fn times_after(&self, time: Timestamp, most: usize) -> Vec<Timestamp> {
        self.times_from(self.after(time), most)
    }

    /// When it is due, of which was said that it is due then: that, unless nobody with a clock like `now`
    /// would say so. A clock that was years ahead for one look puts a schedule off by as much.
    pub fn put_right(&self, due_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let latest = now.plus(CLOCK_AHEAD_MAX);
        if due_at <= latest || self.after(latest).is_some_and(|next| due_at <= next) {
            return Some(due_at);
        }
        self.after(now)
    }

    /// The next times, of which was said that it is due then.
    pub fn times_from(&self, due_at: Option<Timestamp>, most: usize) -> Vec<Timestamp> {
        std::iter::successors(due_at, |time| self.after(*time)).take(most).collect()
    }
}

fn parse(text: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Optional).build();
    parser.parse(text).map_err(|error| error.to_string())
}

/// What is to be done for a schedule that was due at `due_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fires {
    /// Times to make executions for, the oldest first.
    pub run: Vec<Timestamp>,
    /// Times that are recorded as missed: the newest.
    pub missed: Option<Timestamp>,
    /// How many were missed, and not made up for.
    pub missed_count: u64,
    /// They may be more: not all were counted.
    pub at_least: bool,
    /// When it is due next.
    pub next: Option<Timestamp>,
}

/// What is to be done at `now` for a schedule that was due at `due_at`.
pub fn fires(calendar: &Calendar, missed: Missed, due_at: Timestamp, now: Timestamp) -> Fires {
    // As many times are looked at, from the newest back; those of an interval are counted without that.
    const LOOKED_AT_MAX: usize = 10_000;
    let next = calendar.after(now.max(due_at));
    if due_at > now {
        return Fires { run: Vec::new(), missed: None, missed_count: 0, at_least: false, next };
    }
    let behind_now = Timestamp::from_micros(now.as_micros() + 1);
    let mut newest: Vec<Timestamp> = std::iter::successors(calendar.before(behind_now), |time| calendar.before(*time))
        .take_while(|time| *time > due_at)
        .chain([due_at])
        .take(LOOKED_AT_MAX)
        .collect();
    let oldest = newest.last().copied().unwrap_or(due_at);
    let counted = (oldest > due_at).then(|| calendar.count(due_at, oldest));
    // The oldest that was looked at is counted with those before it.
    let unseen = counted.flatten().map_or(0, |count| count - 1);
    let at_least = counted == Some(None);
    let late = |time: &Timestamp| now.since(*time) > Duration::from_millis(MISSED_AFTER_MS);
    let on_time = newest.iter().take_while(|time| !late(time)).count();
    let overdue = newest.len() - on_time;
    let made_up = match missed {
        Missed::Skip => 0,
        // One that is on time makes up for those before it.
        Missed::RunOnce => usize::from(on_time == 0).min(overdue),
        Missed::RunAll => overdue.min(MISSED_RUNS_MAX),
    };
    let lost = newest.split_off(on_time + made_up);
    newest.reverse();
    Fires { run: newest, missed: lost.first().copied(), missed_count: lost.len() as u64 + unseen, at_least, next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schedule(document: serde_json::Value) -> Schedule {
        serde_json::from_value(document).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn times(cron: &str, zone: &str, from: &str, most: usize) -> Vec<String> {
        let calendar = Calendar::of(&schedule(json!({"cron": cron, "timezone": zone}))).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let local = |time: Timestamp| {
            let time = jiff::Timestamp::from_microsecond(time.as_micros()).unwrap();
            jiff::Zoned::new(time, zone.clone()).strftime("%m-%d %H:%M%z").to_string()
        };
        calendar.times_after(at(from), most).into_iter().map(local).collect()
    }

    #[test]
    fn what_a_wrong_clock_put_off_is_put_right() {
        let schedule = |document: serde_json::Value| serde_json::from_value::<Schedule>(document).unwrap();
        let hourly = Calendar::of(&schedule(serde_json::json!({"cron": "0 * * * *"}))).unwrap();
        let now = at("2026-03-01T11:58:00Z");
        for said in ["2026-02-01T00:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"] {
            assert_eq!(hourly.put_right(at(said), now), Some(at(said)), "{said}: it may have fired a little early");
        }
        for wrong in ["2026-03-01T14:00:00Z", "2036-03-01T12:00:00Z"] {
            assert_eq!(hourly.put_right(at(wrong), now), Some(at("2026-03-01T12:00:00Z")), "{wrong}");
        }
        let ended = serde_json::json!({"every_ms": 60_000, "end": "2026-03-01T11:58:30Z"});
        let ended = Calendar::of(&schedule(ended)).unwrap();
        assert_eq!(ended.put_right(at("2036-03-01T12:00:00Z"), now), None);
        let starts = serde_json::json!({"every_ms": 60_000, "start": "2030-01-01T00:00:00Z"});
        let starts = Calendar::of(&schedule(starts)).unwrap();
        assert_eq!(starts.put_right(at("2030-01-01T00:00:00Z"), now), Some(at("2030-01-01T00:00:00Z")));
    }

    /// The changes are those of the IANA database: Berlin 2026-03-29 and 2026-10-25 at 01:00 UTC, New
    /// York 2026-03-08 and 2026-11-01 at 2:00 of its own time, Lord Howe (half an hour) 2026-04-05 and
    /// 2026-10-04 at 2:00.
    #[test]
    fn daylight_saving_neither_loses_nor_doubles_a_day() {
        let cases: &[(&str, &str, &str, &[&str])] = &[
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-27T12:00:00Z",
                &["03-28 02:30+0100", "03-29 03:00+0200", "03-30 02:30+0200"],
            ),
            ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", &["10-25 02:30+0200", "10-26 02:30+0100"]),
            (
                "0 * * * *",
                "Europe/Berlin",
                "2026-10-24T23:30:00Z",
                &["10-25 02:00+0200", "10-25 02:00+0100", "10-25 03:00+0100"],
            ),
            ("0 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", &["03-29 03:00+0200", "03-29 04:00+0200"]),
            ("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", &["03-08 03:00-0400", "03-09 02:30-0400"]),
            ("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", &["11-01 01:30-0400", "11-02 01:30-0500"]),
            ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", &["10-04 02:30+1100", "10-05 02:15+1100"]),
            ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", &["04-05 01:45+1100", "04-06 01:45+1030"]),
            ("@daily", "Europe/Berlin", "2026-03-28T12:00:00Z", &["03-29 00:00+0100", "03-30 00:00+0200"]),
            ("0 9 * * MON-FRI", "UTC", "2026-11-27T12:00:00Z", &["11-30 09:00+0000"]),
        ];
        for (cron, zone, from, expected) in cases {
            assert_eq!(times(cron, zone, from, expected.len()), *expected, "{cron} in {zone} behind {from}");
        }
    }

    #[test]
    fn six_fields_have_seconds_and_what_is_wrong_has_its_place() {
        let calendar = Calendar::of(&schedule(json!({"cron": "*/15 * * * * *"}))).unwrap();
        let first = calendar.after(at("2026-11-25T00:00:00Z")).unwrap();
        assert_eq!(first, at("2026-11-25T00:00:15Z"));
        let pointers =
            |document| -> Vec<String> { schedule(document).check().into_iter().map(|issue| issue.pointer).collect() };
        assert_eq!(pointers(json!({"cron": "61 * * * *", "timezone": "Mars/Base"})), ["/timezone", "/cron"]);
        assert_eq!(pointers(json!({})), ["/cron"]);
        assert_eq!(pointers(json!({"cron": "0 0 31 2 *"})), ["/cron"]);
        assert_eq!(pointers(json!({"cron": "0 0 29 2 *"})), Vec::<String>::new());
        assert_eq!(pointers(json!({"cron": "* * * * *", "every_ms": 1000})), ["/every_ms"]);
        assert_eq!(pointers(json!({"every_ms": 999})), ["/every_ms"]);
        assert_eq!(
            pointers(json!({"every_ms": 1000, "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"})),
            ["/end"]
        );
    }

    #[test]
    fn intervals_are_counted_from_their_start_and_end_with_their_end() {
        let calendar = Calendar::of(&schedule(json!({
            "every_ms": 60_000, "start": "2026-11-25T00:00:30Z", "end": "2026-11-25T00:02:30Z"
        })))
        .unwrap();
        let times = calendar.times_after(at("2026-11-24T00:00:00Z"), 10);
        assert_eq!(times, ["2026-11-25T00:00:30Z", "2026-11-25T00:01:30Z", "2026-11-25T00:02:30Z"].map(at));
        assert_eq!(calendar.after(at("2026-11-25T00:00:30Z")), Some(at("2026-11-25T00:01:30Z")));
    }

    #[test]
    fn what_was_missed_is_made_up_for_as_said() {
        let calendar = Calendar::of(&schedule(json!({"every_ms": 60_000}))).unwrap();
        let (due, now) = (at("2026-11-25T00:01:00Z"), at("2026-11-25T00:05:30Z"));
        let counts = |missed, now| {
            let fires = fires(&calendar, missed, due, now);
            assert_eq!(fires.next, calendar.after(now));
            (fires.run.len(), fires.missed_count)
        };
        assert_eq!(counts(Missed::Skip, now), (0, 5));
        assert_eq!(counts(Missed::RunOnce, now), (1, 4));
        assert_eq!(counts(Missed::RunAll, now), (5, 0));
        // The last one is on time.
        let on_time = at("2026-11-25T00:05:01Z");
        assert_eq!(counts(Missed::Skip, on_time), (1, 4));
        assert_eq!(counts(Missed::RunOnce, on_time), (1, 4));
        assert_eq!(counts(Missed::RunAll, on_time), (5, 0));
        assert_eq!(counts(Missed::RunAll, at("2026-11-26T00:00:30Z")), (MISSED_RUNS_MAX, 1340));
    }

    #[test]
    fn behind_a_long_pause_it_is_the_newest_that_are_made_up_for() {
        let (due, now) = (at("2026-01-01T00:00:00Z"), at("2026-07-01T00:00:30Z"));
        // As many seconds as half a year has.
        let seconds = 181 * 24 * 3600 + 31;
        for (document, counted) in [
            (json!({"every_ms": 1000}), Some(seconds)),
            (json!({"cron": "* * * * * *"}), None),
            (json!({"every_ms": 60_000}), Some(181 * 24 * 60 + 1)),
            (json!({"cron": "* * * * *", "timezone": "Europe/Berlin"}), None),
        ] {
            let calendar = Calendar::of(&schedule(document.clone())).unwrap();
            let late = Timestamp::from_micros(now.as_micros() - 10_000_001);
            let last = calendar.before(late).unwrap();
            let all = fires(&calendar, Missed::RunAll, due, now);
            let on_time = all.run.iter().filter(|time| now.since(**time) <= Duration::from_secs(10)).count();
            assert_eq!(all.run.len(), MISSED_RUNS_MAX + on_time, "{document}");
            assert_eq!(all.run[MISSED_RUNS_MAX - 1], last, "{document}");
            assert!(all.run.is_sorted() && all.run.windows(2).all(|two| calendar.after(two[0]) == Some(two[1])));
            assert_eq!(all.missed.and_then(|missed| calendar.after(missed)), all.run.first().copied());
            assert_eq!(all.at_least, counted.is_none());
            let count = all.run.len() as u64 + all.missed_count;
            assert_eq!(count, counted.unwrap_or(10_000), "{document}");
            let once = fires(&calendar, Missed::RunOnce, due, now);
            assert_eq!(once.run.last(), all.run.last(), "{document}");
        }
        let calendar = Calendar::of(&schedule(json!({"cron": "0 * * * *"}))).unwrap();
        let hourly = fires(&calendar, Missed::Skip, due, now);
        assert_eq!((hourly.missed_count, hourly.at_least), (181 * 24 + 1, false));
        assert!(hourly.run.is_empty());
    }

    #[test]
    fn what_comes_before_is_within_start_and_end() {
        let calendar = Calendar::of(&schedule(json!({
            "every_ms": 60_000, "start": "2026-11-25T00:00:30Z", "end": "2026-11-25T00:02:30Z"
        })))
        .unwrap();
        let before = |time| calendar.before(at(time));
        assert_eq!(before("2026-11-26T00:00:00Z"), Some(at("2026-11-25T00:02:30Z")));
        assert_eq!(before("2026-11-25T00:02:30Z"), Some(at("2026-11-25T00:01:30Z")));
        assert_eq!(before("2026-11-25T00:00:30.000001Z"), Some(at("2026-11-25T00:00:30Z")));
        assert_eq!(before("2026-11-25T00:00:30Z"), None);
    }
}
