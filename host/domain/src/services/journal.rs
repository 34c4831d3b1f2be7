//! What an attempt did, as it happens: written by the sandbox, drained by the engine.
//!
//! It is bounded: what is over a limit is dropped and counted, and the count is recorded.

use crate::{
    egress::Denial,
    event::Fact,
    limits::{LOG_BYTES_MAX, LOG_LINES_MAX, PROGRESS_REPORTS_MAX, REQUESTS_MAX},
    time::Timestamp,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One thing that an attempt did, and when.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When.
    pub time: Timestamp,
    /// What: `request_made`, `egress_denied`, `message_logged` or `progress_reported`.
    pub fact: Fact,
}

/// Everything that one attempt did. Shared between the sandbox, which writes, and the engine,
/// which takes out what is there from time to time.
#[derive(Debug, Default)]
pub struct Journal {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    log_lines: usize,
    log_bytes: usize,
    log_cut: bool,
    progress_reports: usize,
    requests: u32,
    denials: u32,
    last_denial: Option<Denial>,
}

impl Journal {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is complete before the guard goes: a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of log. The first one over the limit is replaced by a note that the log was cut.
    pub fn log(&self, time: Timestamp, level: &str, message: &str) {
        let mut state = self.state();
        if state.log_cut {
            return;
        }
        let room = LOG_BYTES_MAX - state.log_bytes;
        if state.log_lines >= LOG_LINES_MAX || message.len() > room {
            state.log_cut = true;
            let note = format!("the log was cut here: more than {LOG_LINES_MAX} lines or {LOG_BYTES_MAX} bytes");
            state.entries.push(Entry { time, fact: Fact::MessageLogged { level: "warn".into(), message: note } });
            return;
        }
        state.log_lines += 1;
        state.log_bytes += message.len();
        let fact = Fact::MessageLogged { level: level.to_owned(), message: message.to_owned() };
        state.entries.push(Entry { time, fact });
    }

    /// How far the attempt says that it is. Reports over the limit are dropped, oldest first in
    /// effect: the attempt's end tells more than they would.
    pub fn progress(&self, time: Timestamp, completed: u32, total: Option<u32>, message: &str) {
        const MESSAGE_BYTES_MAX: usize = 1024;
        let mut state = self.state();
        if state.progress_reports >= PROGRESS_REPORTS_MAX {
            return;
        }
        state.progress_reports += 1;
        let message = message.chars().take(MESSAGE_BYTES_MAX / 4).collect();
        state.entries.push(Entry { time, fact: Fact::ProgressReported { completed, total, message } });
    }

    /// Whether one more request or connection may be made; counts it if so.
    pub fn admit_request(&self) -> bool {
        let mut state = self.state();
        if state.requests >= REQUESTS_MAX {
            return false;
        }
        state.requests += 1;
        true
    }

    /// Requests and connections that were let through.
    pub fn requests(&self) -> u32 {
        self.state().requests
    }

    /// A request that was made, however it ended.
    pub fn request(&self, time: Timestamp, request_made: Fact) {
        self.state().entries.push(Entry { time, fact: request_made });
    }

    /// A connection that was denied. At most as many as requests are recorded.
    pub fn denied(&self, time: Timestamp, denial: &Denial) {
        let mut state = self.state();
        state.denials = state.denials.saturating_add(1);
        state.last_denial = Some(denial.clone());
        if state.denials <= REQUESTS_MAX {
            let Denial { host, port, reason, rule, hint } = denial.clone();
            state.entries.push(Entry { time, fact: Fact::EgressDenied { host, port, reason, rule, hint } });
        }
    }

    /// The last connection that was denied.
    pub fn last_denial(&self) -> Option<Denial> {
        self.state().last_denial.clone()
    }

    /// Takes out what is there.
    pub fn drain(&self) -> Vec<Entry> {
        std::mem::take(&mut self.state().entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(0);

    #[test]
    fn a_flood_is_cut_and_says_so() {
        let journal = Journal::new();
        for _ in 0..10_000 {
            journal.log(NOW, "info", "x");
        }
        let entries = journal.drain();
        assert_eq!(entries.len(), LOG_LINES_MAX + 1);
        let Fact::MessageLogged { message, .. } = &entries[LOG_LINES_MAX].fact else { panic!() };
        assert!(message.contains("cut"));
        journal.log(NOW, "info", "x");
        assert!(journal.drain().is_empty());
    }

    #[test]
    fn one_long_line_is_cut_too() {
        let journal = Journal::new();
        journal.log(NOW, "info", &"x".repeat(LOG_BYTES_MAX + 1));
        assert_eq!(journal.drain().len(), 1);
    }

    #[test]
    fn requests_are_counted_and_bounded() {
        let journal = Journal::new();
        assert_eq!((0..1000).filter(|_| journal.admit_request()).count(), REQUESTS_MAX as usize);
        assert_eq!(journal.requests(), REQUESTS_MAX);
    }
}
