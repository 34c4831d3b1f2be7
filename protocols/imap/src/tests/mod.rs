//! What is said and heard, with servers that say what they were told to; how a real one behaves, tests/it/protocols
//! shows.

mod commands;
mod mails;
mod readings;
mod responses;
mod validation;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use action_protocol::capture::CaptureError;
use action_protocol::net::Script;
use action_protocol::{Call, Failure, Payload, Trigger};
use serde_json::{Value, json};

use crate::config::Config;
use crate::reading::{Cursor, Keeper};

fn config(changes: Value) -> Config {
    let mut config =
        json!({ "address": "a.example:143", "security": "none", "username": "u", "password": "p", "first_run": "all" });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn call(changes: Value) -> Call<Config> {
    Call {
        action: "act_1".into(),
        execution: "exe_1".into(),
        correlation: "cor_1".into(),
        attempt: 1,
        idempotency_key: "key-1".into(),
        // A time that cannot be read: the config's own counts.
        deadline: String::new(),
        traceparent: None,
        trigger: Trigger::Call,
        config: config(changes),
        input: Payload::json(&json!(null)).unwrap(),
    }
}

/// Keeps what comes in memory, as the service would.
#[derive(Default)]
struct Memory {
    cursor: RefCell<Option<Cursor>>,
    /// By their keys.
    items: RefCell<BTreeMap<String, Payload>>,
    warnings: Cell<u32>,
    /// An item that is larger is refused.
    bytes_max: Option<usize>,
}

impl Memory {
    fn keys(&self) -> Vec<String> {
        self.items.borrow().keys().cloned().collect()
    }

    fn item(&self, key: &str) -> Value {
        serde_json::from_slice(&self.items.borrow()[key].data).unwrap()
    }
}

impl Keeper for Memory {
    fn cursor(&self) -> Result<Option<Cursor>, Failure> {
        Ok(self.cursor.borrow().clone())
    }

    fn emit(&self, _: &str, key: String, content: Payload) -> Result<(), CaptureError> {
        if self.bytes_max.is_some_and(|most| content.data.len() > most) {
            return Err(CaptureError::TooLarge("too large".into()));
        }
        self.items.borrow_mut().insert(key, content);
        Ok(())
    }

    fn stand(&self, cursor: &Cursor) -> Result<(), Failure> {
        *self.cursor.borrow_mut() = Some(cursor.clone());
        Ok(())
    }

    fn keep(&self, cursor: &Cursor) -> Result<(), Failure> {
        self.stand(cursor)
    }

    fn warn(&self, _: &str) {
        self.warnings.set(self.warnings.get() + 1);
    }
}

/// Executes with a server that says this, and tells what it heard.
fn run(changes: Value, keeper: &Memory, says: &[&str]) -> (Result<Value, Failure>, String) {
    let script = Script::new(says.iter().map(|piece| piece.as_bytes().to_vec()));
    let outcome = crate::reading::execute(&call(changes), &script, keeper);
    let heard = String::from_utf8_lossy(&script.heard().bytes).into_owned();
    (outcome.map(|outcome| serde_json::from_slice(&outcome.output.data).unwrap()), heard)
}
