//! How replies are read and configs looked at; what a server makes of it, tests/it/protocols shows.

mod replies;
mod runs;
mod validation;

use action_protocol::net::Script;
use action_protocol::{Call, Failure, Payload, Trigger};
use serde_json::{Value, json};

use crate::config::Config;

/// A greeting as a server of version 3 gives it.
const HELLO: &str = "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n";

fn call(config: Value, input: &Value) -> Call<Config> {
    let mut config = config;
    config["address"] = "a.example:6379".into();
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
        config: serde_json::from_value(config).unwrap(),
        input: Payload::json(input).unwrap(),
    }
}

/// Executes with a server that says this; gives what it heard too.
fn execute(config: Value, input: &Value, says: &[&str]) -> (Result<Value, Failure>, String) {
    let script = Script::new(says.iter().map(|piece| piece.as_bytes().to_vec()));
    let outcome = crate::run::execute(&call(config, input), &script);
    let heard = String::from_utf8_lossy(&script.heard().bytes).into_owned();
    (outcome.map(|outcome| serde_json::from_slice::<Value>(&outcome.output.data).unwrap()["replies"].take()), heard)
}

/// The reply to one command.
fn reply_to(command: &str, says: &str) -> Result<Value, Failure> {
    let (replies, _) = execute(json!({ "commands": [[command]] }), &json!({}), &[HELLO, says]);
    replies.map(|mut replies| replies[0].take())
}
