//! What attempts leave behind, looked through for the canaries: whatever rule they were made for,
//! since a secret leaks where its author did not think of it.
//!
//! Found are a value as it is, with characters escaped, in base64 and in hexadecimal digits. Who turns
//! it round or mixes it with something else gets past: that is no slip any more.

use super::{cases::Armed, report::Problems, subject::Ran};
use action_domain::{
    capture::Captured,
    payload::Payload,
    services::{Entry, Outcome},
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// Where a secret is only odd.
const PATH: &str = "a request's path";

/// Something that an attempt left in the record, or in the action's keeping.
pub(super) struct Left {
    place: &'static str,
    document: Value,
    /// Where it may be something else than text.
    bytes: Option<Bytes>,
}

impl Left {
    /// A document that stands in this place.
    pub(super) fn document(place: &'static str, document: Value) -> Self {
        Self { place, document, bytes: None }
    }

    fn bytes(place: &'static str, bytes: &Bytes) -> Self {
        let document = serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()));
        Self { place, document, bytes: Some(bytes.clone()) }
    }
}

/// Every canary that was found so far.
#[derive(Debug, Default)]
pub(super) struct Leaks(Mutex<Problems>);

impl Leaks {
    /// Looks through what was left, and says in which situation.
    pub(super) fn look(&self, armed: &Armed, situation: &str, left: &[Left]) {
        let mut problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in left {
            look_through(armed, situation, part, &mut problems);
        }
    }

    /// What was found, which is forgotten here.
    pub(super) fn take(&self) -> Problems {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn look_through(armed: &Armed, situation: &str, left: &Left, problems: &mut Problems) {
    let Left { place, document, bytes } = left;
    let mut names = armed.values_in_json(document);
    if let Some(bytes) = bytes {
        names.extend(armed.values_in(bytes));
        names.dedup();
    }
    for name in names {
        let told = format!("{}: {situation}: the secret `{name}` stands in {place}", armed.name);
        if *place == PATH {
            // Some remotes want it there.
            problems.warn(format!("{told}, which the remote may write into its logs"));
        } else {
            problems.fail(format!("{told}: {}", excerpt(armed, document)));
        }
    }
    // In a path it is what the service puts the value in for.
    if *place != PATH {
        for name in armed.handles_in(&document.to_string()) {
            let told = format!("the handle of `{name}` stands in {place}: no secret, but noise");
            problems.warn(format!("{}: {situation}: {told}", armed.name));
        }
    }
}

/// What it says, with the secrets taken out.
fn excerpt(armed: &Armed, document: &Value) -> String {
    const CHARS_MAX: usize = 200;
    let mut document = document.clone();
    armed.clean(&mut document);
    document.to_string().chars().take(CHARS_MAX).collect()
}

/// Everything that an attempt leaves, by where it stands.
pub(super) fn left_by(ran: &Ran) -> Vec<Left> {
    let mut left = match &ran.report.result {
        Ok(outcome) => of_outcome(outcome),
        Err(error) => vec![Left::document("the failure", json!(error))],
    };
    left.extend(of_entries(&ran.entries));
    ran.captured.iter().for_each(|captured| left.extend(of_captured(captured)));
    left
}

/// What an outcome says.
pub(super) fn of_outcome(outcome: &Outcome) -> Vec<Left> {
    let mut left = of_payload("the output", &outcome.output);
    if let Some(reply) = &outcome.reply {
        left.push(Left::document("the reply to a webhook", json!(reply.headers)));
        left.push(Left::bytes("the reply to a webhook", &reply.body));
    }
    left
}

/// What an attempt did on its way.
pub(super) fn of_entries(entries: &[Entry]) -> Vec<Left> {
    let place = |entry: &Entry| match entry.fact.event_type().as_str() {
        "message_logged" => "the log",
        "progress_reported" => "the progress",
        "request_made" => PATH,
        _ => "a host that it wanted to reach",
    };
    let left = entries.iter().map(|entry| {
        let fact = serde_json::to_value(&entry.fact).unwrap_or_default();
        Left::document(place(entry), fact)
    });
    left.collect()
}

fn of_payload(place: &'static str, payload: &Payload) -> Vec<Left> {
    vec![Left::document(place, json!(payload.content_type)), Left::bytes(place, &payload.data)]
}

fn of_captured(captured: &Captured) -> Vec<Left> {
    let mut left = Vec::new();
    for item in &captured.items {
        left.push(Left::document("a captured item", json!({"kind": item.kind, "key": item.key})));
        left.extend(of_payload("a captured item", &item.content));
    }
    for (key, value) in &captured.values {
        left.push(Left::document("the action's state", json!(key)));
        left.extend(value.as_ref().map(|value| Left::bytes("the action's state", value)));
    }
    left
}
