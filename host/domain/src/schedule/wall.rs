//! Cron on the wall clock of a time zone: at which instants it shows a time that an expression names.
//!
//! The expression is read without a zone, as times that a wall clock can show, and each of them is put on
//! the line of time here. Where clocks change, it goes by the hour, as in Vixie cron: a field of hours
//! that begins with `*` names no hour, and fires whenever the clock shows a time of it. Any other names
//! hours. What it names and the clock leaves out is made up for right after the gap, once however many
//! times of it were left out; what the clock shows twice fires the first time. (Vixie's cron asks the field
//! of minutes too, so that `*/15 2 * * *` would fire never, or eight times.)

use croner::Cron;
use jiff::{
    SignedDuration, Timestamp, Zoned,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

/// As many changes of a zone's clock are looked behind for the next time: those of centuries.
const CHANGES_MAX: usize = 1_000;

/// A cron expression and the zone whose clock it is about.
#[derive(Debug, Clone)]
pub(super) struct WallClock {
    cron: Box<Cron>,
    zone: TimeZone,
    names_hours: bool,
}

impl WallClock {
    pub(super) fn new(cron: Cron, zone: TimeZone) -> Self {
        let fields: Vec<&str> = cron.pattern.as_str().split_whitespace().collect();
        // Seconds stand in front where there are more than five.
        let hours = fields.get(if fields.len() == 5 { 1 } else { 2 });
        let names_hours = hours.is_none_or(|hours| !hours.starts_with('*'));
        Self { cron: Box::new(cron), zone, names_hours }
    }

    /// The first instant behind this one.
    pub(super) fn after(&self, time: Timestamp) -> Option<Timestamp> {
        if !self.names_hours {
            return self.shown_after(time);
        }
        let mut wall = whole_second(self.zone.to_datetime(time));
        loop {
            wall = self.next(wall, false)?;
            // Within a repeated hour, what it shows a second time was before.
            let at = self.instant_of(wall)?;
            if at > time {
                return Some(at);
            }
        }
    }

    /// The last instant before this one.
    pub(super) fn before(&self, time: Timestamp) -> Option<Timestamp> {
        if !self.names_hours {
            return self.shown_before(time);
        }
        let mut wall = self.end_of_repeated(time).unwrap_or_else(|| next_second(self.zone.to_datetime(time)));
        loop {
            wall = self.previous(wall)?;
            let at = self.instant_of(wall)?;
            if at < time {
                return Some(at);
            }
        }
    }

    /// The first instant behind this one at which the clock shows a time, from change to change.
    fn shown_after(&self, time: Timestamp) -> Option<Timestamp> {
        let (mut from, mut inclusive) = (time, false);
        for _ in 0..CHANGES_MAX {
            let offset = self.zone.to_offset(from);
            let wall = self.next(whole_second(offset.to_datetime(from)), inclusive)?;
            let at = offset.to_timestamp(wall).ok()?;
            match self.zone.following(from).next() {
                Some(change) if change.timestamp() <= at => (from, inclusive) = (change.timestamp(), true),
                _ => return Some(at),
            }
        }
        None
    }

    /// The last instant before this one at which the clock shows a time.
    fn shown_before(&self, time: Timestamp) -> Option<Timestamp> {
        let mut until = time;
        for _ in 0..CHANGES_MAX {
            let offset = self.zone.to_offset(until.checked_sub(SignedDuration::from_nanos(1)).ok()?);
            let wall = self.previous(next_second(offset.to_datetime(until)))?;
            let at = offset.to_timestamp(wall).ok()?;
            match self.zone.preceding(until).next() {
                Some(change) if at < change.timestamp() => until = change.timestamp(),
                _ => return Some(at),
            }
        }
        None
    }

    /// When the clock shows this: the first time, or else right after the gap in which it would be.
    fn instant_of(&self, wall: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                let beyond = before.to_timestamp(wall).ok()?.checked_add(SignedDuration::from_nanos(1)).ok()?;
                self.zone.preceding(beyond).next().map(|change| change.timestamp())
            }
        }
    }

    /// What the clock shows last before it is put back, where this instant is when it shows times again.
    fn end_of_repeated(&self, time: Timestamp) -> Option<DateTime> {
        let AmbiguousOffset::Fold { before, after } =
            self.zone.to_ambiguous_timestamp(self.zone.to_datetime(time)).offset()
        else {
            return None;
        };
        let is_again = self.zone.to_offset(time) == after;
        let beyond = time.checked_add(SignedDuration::from_nanos(1)).ok().filter(|_| is_again)?;
        self.zone.preceding(beyond).next().map(|change| before.to_datetime(change.timestamp()))
    }

    fn next(&self, wall: DateTime, inclusive: bool) -> Option<DateTime> {
        self.cron.find_next_occurrence(&zoneless(wall)?, inclusive).ok().map(|found| found.datetime())
    }

    fn previous(&self, wall: DateTime) -> Option<DateTime> {
        self.cron.find_previous_occurrence(&zoneless(wall)?, false).ok().map(|found| found.datetime())
    }
}

/// In UTC no clock is ever changed, so that what is searched there is the calendar alone.
fn zoneless(wall: DateTime) -> Option<Zoned> {
    wall.to_zoned(TimeZone::UTC).ok()
}

fn whole_second(wall: DateTime) -> DateTime {
    wall.with().subsec_nanosecond(0).build().unwrap_or(wall)
}

/// The first whole second that is not before this.
fn next_second(wall: DateTime) -> DateTime {
    let whole = whole_second(wall);
    if whole == wall { wall } else { whole.checked_add(SignedDuration::from_secs(1)).unwrap_or(wall) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use croner::parser::{CronParser, Seconds};

    fn clock(cron: &str, zone: &str) -> WallClock {
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        WallClock::new(parser.parse(cron).unwrap(), TimeZone::get(zone).unwrap())
    }

    fn local(clock: &WallClock, at: Timestamp) -> String {
        Zoned::new(at, clock.zone.clone()).strftime("%H:%M%z").to_string()
    }

    /// What fires on the day on which clocks change. Berlin leaves out 2:00 to 3:00 on 2027-03-28 and
    /// repeats it on 2027-10-31; New York the same on 2027-03-14 and 1:00 to 2:00 on 2027-11-07; Lord Howe
    /// leaves out 2:00 to 2:30 on 2027-10-03 and repeats 1:30 to 2:00 on 2027-04-04.
    const CHANGES: &[(&str, &str, &str, &str)] = &[
        ("Europe/Berlin", "2027-03-28", "0,30 2 * * *", "03:00+0200"),
        ("Europe/Berlin", "2027-03-28", "30 2,3 * * *", "03:00+0200 03:30+0200"),
        ("Europe/Berlin", "2027-03-28", "0 2,3 * * *", "03:00+0200"),
        ("Europe/Berlin", "2027-03-28", "*/15 2 * * *", "03:00+0200"),
        ("Europe/Berlin", "2027-03-28", "* 2 * * *", "03:00+0200"),
        ("Europe/Berlin", "2027-03-28", "0 1-4 * * *", "01:00+0100 03:00+0200 04:00+0200"),
        ("Europe/Berlin", "2027-03-28", "30 1-3 * * *", "01:30+0100 03:00+0200 03:30+0200"),
        ("Europe/Berlin", "2027-03-28", "15 2-22/10 * * *", "03:00+0200 12:15+0200 22:15+0200"),
        ("Europe/Berlin", "2027-03-28", "30 */12 * * *", "00:30+0100 12:30+0200"),
        (
            "Europe/Berlin",
            "2027-03-28",
            "30 */2 * * *",
            "00:30+0100 04:30+0200 06:30+0200 08:30+0200 10:30+0200 \
          12:30+0200 14:30+0200 16:30+0200 18:30+0200 20:30+0200 22:30+0200",
        ),
        ("Europe/Berlin", "2027-10-31", "0,30 2 * * *", "02:00+0200 02:30+0200"),
        ("Europe/Berlin", "2027-10-31", "30 2,3 * * *", "02:30+0200 03:30+0100"),
        ("Europe/Berlin", "2027-10-31", "*/15 2 * * *", "02:00+0200 02:15+0200 02:30+0200 02:45+0200"),
        ("Europe/Berlin", "2027-10-31", "0 1-4 * * *", "01:00+0200 02:00+0200 03:00+0100 04:00+0100"),
        ("Europe/Berlin", "2027-10-31", "0 2-23/11 * * *", "02:00+0200 13:00+0100"),
        ("Europe/Berlin", "2027-10-31", "0 */12 * * *", "00:00+0200 12:00+0100"),
        ("America/New_York", "2027-03-14", "0,30 2 * * *", "03:00-0400"),
        ("America/New_York", "2027-03-14", "45 1-3 * * *", "01:45-0500 03:00-0400 03:45-0400"),
        ("America/New_York", "2027-11-07", "0,30 1 * * *", "01:00-0400 01:30-0400"),
        ("America/New_York", "2027-11-07", "0 0-3 * * *", "00:00-0400 01:00-0400 02:00-0500 03:00-0500"),
        ("Australia/Lord_Howe", "2027-10-03", "0,15,30,45 2 * * *", "02:30+1100 02:45+1100"),
        ("Australia/Lord_Howe", "2027-10-03", "15 1-3 * * *", "01:15+1030 02:30+1100 03:15+1100"),
        ("Australia/Lord_Howe", "2027-04-04", "*/20 1 * * *", "01:00+1100 01:20+1100 01:40+1100"),
        ("Australia/Lord_Howe", "2027-04-04", "45 1,2 * * *", "01:45+1100 02:45+1030"),
    ];

    fn day(clock: &WallClock, date: &str) -> (Timestamp, Timestamp) {
        let date: jiff::civil::Date = date.parse().unwrap();
        let begins = |date: jiff::civil::Date| date.to_zoned(clock.zone.clone()).unwrap().timestamp();
        (begins(date), begins(date.tomorrow().unwrap()))
    }

    #[test]
    fn each_named_time_fires_once_on_the_day_of_a_change() {
        for (zone, date, cron, expected) in CHANGES {
            let clock = clock(cron, zone);
            let (from, until) = day(&clock, date);
            let first = clock.after(from.checked_sub(SignedDuration::from_secs(1)).unwrap());
            let fires: Vec<Timestamp> =
                std::iter::successors(first, |at| clock.after(*at)).take_while(|at| *at < until).collect();
            let shown: Vec<String> = fires.iter().map(|at| local(&clock, *at)).collect();
            assert_eq!(shown.join(" "), *expected, "{cron} in {zone} on {date}");
            let mut back: Vec<Timestamp> = std::iter::successors(clock.before(until), |at| clock.before(*at))
                .take_while(|at| *at >= from)
                .collect();
            back.reverse();
            assert_eq!(back, fires, "backwards: {cron} in {zone} on {date}");
        }
    }

    #[test]
    fn what_names_no_hour_fires_whenever_the_clock_shows_it() {
        for (zone, date, hours) in [
            ("Europe/Berlin", "2027-03-28", 23),
            ("Europe/Berlin", "2027-10-31", 25),
            ("America/New_York", "2027-11-07", 25),
            ("UTC", "2027-10-31", 24),
        ] {
            for (cron, an_hour) in [("*/15 * * * *", 4), ("7 * * * *", 1), ("@hourly", 1), ("*/20 0-59 * * * *", 180)] {
                let clock = clock(cron, zone);
                let (from, until) = day(&clock, date);
                let first = clock.after(from.checked_sub(SignedDuration::from_secs(1)).unwrap());
                let fires: Vec<Timestamp> =
                    std::iter::successors(first, |at| clock.after(*at)).take_while(|at| *at < until).collect();
                assert_eq!(fires.len(), hours * an_hour, "{cron} in {zone} on {date}");
                let back = std::iter::successors(clock.before(until), |at| clock.before(*at));
                let mut back: Vec<Timestamp> = back.take_while(|at| *at >= from).collect();
                back.reverse();
                assert_eq!(back, fires);
            }
        }
    }

    /// From anywhere on such a day, also within a second.
    #[test]
    fn after_and_before_meet() {
        for (zone, date, cron, _) in CHANGES {
            let clock = clock(cron, zone);
            let (from, until) = day(&clock, date);
            let mut at = from;
            while at < until {
                let (next, last) = (clock.after(at).unwrap(), clock.before(at).unwrap());
                assert!(last < at && at < next, "{cron} in {zone} at {at}");
                assert_eq!(clock.before(next.checked_add(SignedDuration::from_nanos(1000)).unwrap()), Some(next));
                let between = clock.after(last).unwrap();
                assert!(between == at || between == next, "{cron} in {zone} at {at}: {last} {between} {next}");
                at = at.checked_add(SignedDuration::from_millis(7 * 60_000 + 500)).unwrap();
            }
        }
    }
}
