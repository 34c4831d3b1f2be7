//! The database's time, for everybody who shares it.
//!
//! Processes on several machines have several clocks. Whether a lease is over, when an execution is
//! due and what a rate allows they have to see alike, so they go by the database's clock. It is not
//! asked each time: it is looked at from time to time ([`listen`](crate::listen)), and in between this
//! process only counts how long ago that was. Its own wall clock has no part in that.

use action_domain::{services::Clock, time::Timestamp};
use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// The end of the log, and the time.
pub(crate) const LOOK: &str =
    "SELECT position, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM log WHERE one";

/// Shows the database's time, as far as it is known: behind it by no more than an answer took.
#[derive(Debug)]
pub(crate) struct DatabaseClock(Mutex<Anchor>);

/// It was this time at that moment.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    at: Instant,
    time: Timestamp,
}

impl Anchor {
    fn time_at(&self, moment: Instant) -> Timestamp {
        self.time.plus(moment.saturating_duration_since(self.at))
    }
}

impl DatabaseClock {
    /// The database said at some moment before `heard_at` that it was `time`.
    pub(crate) fn new(heard_at: Instant, time: Timestamp) -> Self {
        Self(Mutex::new(Anchor { at: heard_at, time }))
    }

    /// The database said `time` between these two moments. What was known stays where it fits: only
    /// a clock that was set, or that goes faster or slower than ours, is followed.
    pub(crate) fn heard(&self, asked_at: Instant, heard_at: Instant, time: Timestamp) {
        let latest = time.plus(heard_at.saturating_duration_since(asked_at));
        let mut anchor = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let believed = anchor.time_at(heard_at);
        *anchor = Anchor { at: heard_at, time: believed.clamp(time, latest) };
    }

    fn at(&self, moment: Instant) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).time_at(moment)
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn it_counts_on_from_what_it_heard_and_follows_only_what_does_not_fit() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let clock = DatabaseClock::new(begun, at(1000));
        assert_eq!(clock.at(after(5)), at(1005));
        // An answer that took two seconds says that it is between 1009 and 1011.
        clock.heard(after(8), after(10), at(1009));
        assert_eq!(clock.at(after(10)), at(1010), "it fits");
        // Ours was slower.
        clock.heard(after(20), after(20), at(1023));
        assert_eq!(clock.at(after(21)), at(1024));
        // Ours was faster: no further back than has to be.
        clock.heard(after(28), after(30), at(1030));
        assert_eq!(clock.at(after(30)), at(1032));
        // Somebody set the database's clock.
        clock.heard(after(40), after(40), at(500));
        assert_eq!(clock.at(after(41)), at(501));
    }
}
