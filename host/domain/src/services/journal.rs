//! What an attempt did, as it happens: written by the sandbox, drained by the engine.
//!
//! It is bounded: what is over a limit is dropped and counted, and the count is recorded. The
//! attempt's secrets are taken out of all of it, also out of lines of log that have a secret only
//! together. For that whatever stands behind a line of log waits with it until it is asked for a
//! second time. What the line says does not matter: were only those to wait that end as a secret
//! begins, whoever has a protocol log his guess would see by the delay whether it was right.

use crate::{
    egress::Denial,
    event::Fact,
    limits::{LOG_BYTES_MAX, LOG_LINES_MAX, PROGRESS_REPORTS_MAX, REQUESTS_MAX},
    secret::AttemptSecrets,
    time::Timestamp,
};
use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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
    secrets: Arc<AttemptSecrets>,
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
    /// Lines of log, by their place in `entries`, that may have a secret together with others.
    lines: Vec<usize>,
    /// How many of the lines were there when entries were taken out last: they waited long enough.
    lines_seen: usize,
    /// How the log went on where it was cut, as far as a secret could.
    behind_cut: String,
}

impl Journal {
    /// An empty one, for an attempt without secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one, out of which these are kept.
    pub fn without(secrets: Arc<AttemptSecrets>) -> Self {
        Self { state: Mutex::default(), secrets }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is complete before the guard goes: a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of log. The first one over the limit is replaced by a note that the log was cut.
    pub fn log(&self, time: Timestamp, level: &str, message: &str) {
        let mut state = self.state();
        let is_alone = self.secrets.is_empty();
        let room = LOG_BYTES_MAX - state.log_bytes;
        let is_over = state.log_cut || state.log_lines >= LOG_LINES_MAX || message.len() > room;
        if is_over && !is_alone {
            let room = self.secrets.redactor().reach_bytes().saturating_sub(state.behind_cut.len());
            state.behind_cut.push_str(&message[..message.floor_char_boundary(room)]);
        }
        if state.log_cut {
            return;
        }
        if is_over {
            state.log_cut = true;
            let note = format!("the log was cut here: more than {LOG_LINES_MAX} lines or {LOG_BYTES_MAX} bytes");
            state.entries.push(Entry { time, fact: Fact::MessageLogged { level: "warn".into(), message: note } });
            return;
        }
        state.log_lines += 1;
        state.log_bytes += message.len();
        if !is_alone {
            let place = state.entries.len();
            state.lines.push(place);
        }
        let fact = Fact::MessageLogged { level: level.to_owned(), message: message.to_owned() };
        state.entries.push(Entry { time, fact });
    }

    /// How far the attempt says that it is. Reports over the limit are dropped, oldest first in
    /// effect: the attempt's end tells more than they would.
    pub fn progress(&self, time: Timestamp, completed: u32, total: Option<u32>, message: &str) {
        const MESSAGE_CHARS_MAX: usize = 256;
        let mut state = self.state();
        if state.progress_reports >= PROGRESS_REPORTS_MAX {
            return;
        }
        state.progress_reports += 1;
        let message: Cow<'_, str> = self.secrets.redactor().text(message);
        let message = message.chars().take(MESSAGE_CHARS_MAX).collect();
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
    pub fn request(&self, time: Timestamp, mut request_made: Fact) {
        self.secrets.redactor().fact(&mut request_made);
        self.state().entries.push(Entry { time, fact: request_made });
    }

    /// A connection that was denied. At most as many as requests are recorded.
    pub fn denied(&self, time: Timestamp, denial: &Denial) {
        let mut denial = denial.clone();
        self.secrets.redactor().denial(&mut denial);
        let mut state = self.state();
        state.denials = state.denials.saturating_add(1);
        state.last_denial = Some(denial.clone());
        if state.denials <= REQUESTS_MAX {
            let Denial { host, port, reason, rule, hint } = denial;
            state.entries.push(Entry { time, fact: Fact::EgressDenied { host, port, reason, rule, hint } });
        }
    }

    /// The last connection that was denied.
    pub fn last_denial(&self) -> Option<Denial> {
        self.state().last_denial.clone()
    }

    /// Takes out what is there, up to the first line of log since this was called last: what follows may belong to
    /// a secret that begins in it.
    pub fn drain(&self) -> Vec<Entry> {
        let mut state = self.state();
        let seen = state.lines_seen;
        state.take(&self.secrets, seen)
    }

    /// The attempt has ended: takes out all that is there.
    pub fn finish(&self) -> Vec<Entry> {
        let mut state = self.state();
        let all = state.lines.len();
        state.take(&self.secrets, all)
    }
}

impl State {
    /// Takes secrets out of all lines that wait, and lets the first of them go with whatever is around them.
    fn take(&mut self, secrets: &AttemptSecrets, lines: usize) -> Vec<Entry> {
        let line = |place: &usize| match &self.entries[*place].fact {
            Fact::MessageLogged { message, .. } => message.as_str(),
            _ => "",
        };
        let mut texts: Vec<&str> = self.lines.iter().map(line).collect();
        texts.push(&self.behind_cut);
        let clean = secrets.redactor().sequence(&texts);
        for (place, clean) in self.lines.iter().zip(clean) {
            if let Fact::MessageLogged { message, .. } = &mut self.entries[*place].fact {
                *message = clean;
            }
        }
        let end = self.lines.get(lines).copied().unwrap_or(self.entries.len());
        self.lines.drain(..lines);
        self.lines_seen = self.lines.len();
        self.lines.iter_mut().for_each(|place| *place -= end);
        self.entries.drain(..end).collect()
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

    fn with_secret(value: &str) -> Journal {
        let held = crate::secret::Held {
            handle: format!("sec_{}", "0".repeat(32)),
            name: "token".parse().unwrap(),
            value: Some(Arc::new(value.as_bytes().to_vec().into())),
            reveal: true,
        };
        Journal::without(Arc::new(AttemptSecrets::new(vec![held])))
    }

    fn told(entries: Vec<Entry>) -> Vec<String> {
        let text = |entry: Entry| match entry.fact {
            Fact::MessageLogged { message, .. } | Fact::ProgressReported { message, .. } => message,
            Fact::EgressDenied { host, .. } => host,
            other => other.event_type().as_str().to_owned(),
        };
        entries.into_iter().map(text).collect()
    }

    #[test]
    fn a_secret_over_several_lines_goes_from_each() {
        let journal = with_secret("hunter2-hunter2");
        journal.log(NOW, "info", "it is hunt");
        journal.progress(NOW, 1, None, "at hunter2-hunter2");
        assert!(journal.drain().is_empty());
        journal.log(NOW, "info", "er2-hu");
        journal.log(NOW, "info", "nter2, h");
        assert_eq!(told(journal.drain()), ["it is [secret:token]", "at [secret:token]"], "the order stays");
        journal.log(NOW, "info", "unter2-hunter2!");
        assert_eq!(told(journal.drain()), ["[secret:token]", "[secret:token], [secret:token]"]);
        journal.denied(NOW, &denial("a.test"));
        assert_eq!(told(journal.finish()), ["[secret:token]!", "a.test"]);
        journal.progress(NOW, 1, None, "no line waits");
        assert_eq!(told(journal.drain()), ["no line waits"]);
    }

    #[test]
    fn neither_the_text_of_a_line_nor_its_delay_tells_how_a_secret_begins() {
        let value = "hunter2-hunter2";
        for guess in (1..value.len()).map(|end| &value[..end]).chain(["anything"]) {
            let journal = with_secret(value);
            journal.log(NOW, "info", guess);
            assert!(journal.drain().is_empty(), "{guess}");
            assert_eq!(told(journal.drain()), [guess]);
            journal.log(NOW, "info", guess);
            assert_eq!(told(journal.finish()), [guess]);
        }
    }

    #[test]
    fn a_log_that_is_cut_within_a_secret_shows_none_of_it() {
        let begin = |journal: &Journal, last: &str| {
            (1..LOG_LINES_MAX).for_each(|_| journal.log(NOW, "info", "x"));
            journal.log(NOW, "info", last);
        };
        let journal = with_secret("hunter2-hunter2");
        begin(&journal, "it is hunt");
        for rest in ["er2-hu", "", "nter2", &"x".repeat(1 << 20)] {
            journal.log(NOW, "info", rest);
        }
        let told_last = told(journal.finish());
        assert_eq!(told_last[LOG_LINES_MAX - 1], "it is [secret:token]");
        assert!(told_last[LOG_LINES_MAX].contains("cut") && told_last.len() == LOG_LINES_MAX + 1);
        assert!(journal.state().behind_cut.len() < 1024, "no more than a secret may take");
        let journal = with_secret("hunter2-hunter2");
        begin(&journal, "it is hunt");
        journal.log(NOW, "info", "ing time");
        assert_eq!(told(journal.finish())[LOG_LINES_MAX - 1], "it is hunt");
    }

    fn denial(host: &str) -> Denial {
        Denial {
            host: host.into(),
            port: 1,
            reason: crate::egress::DenialReason::NotGranted,
            rule: "r".into(),
            hint: host.into(),
        }
    }

    #[test]
    fn nothing_that_is_written_down_has_a_secret_in_it() {
        let journal = with_secret("hunter2!");
        journal.denied(NOW, &denial("hunter2!.test"));
        let request = Fact::RequestMade {
            method: "GET".into(),
            host: "h".into(),
            port: 1,
            path: Some("/hunter2%21".into()),
            status: None,
            error: None,
            bytes_out: 0,
            bytes_in: 0,
            ms: 0,
        };
        journal.request(NOW, request);
        assert!(!journal.last_denial().unwrap().to_string().contains("hunter2"));
        let entries = journal.finish();
        assert_eq!(entries.len(), 2);
        assert!(entries.iter().all(|entry| !format!("{entry:?}").contains("hunter2")), "{entries:?}");
    }
}
