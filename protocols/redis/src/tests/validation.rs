//! validate-config says everything that is wrong, where, and what repeats can do.

use action_protocol::{Effect, Protocol, config};
use serde_json::{Value, json};

use crate::Redis;
use crate::config::Config;

fn issues(config: &Value) -> Vec<String> {
    let text = config.to_string();
    let issues = match config::parse::<Config>(&text) {
        Ok(config) => Redis::validate(&config).err().unwrap_or_default(),
        Err(_) => config::every_issue(&text, Redis::validate),
    };
    let mut found: Vec<_> = issues.into_iter().map(|issue| format!("{} {}", issue.pointer, issue.code)).collect();
    found.sort();
    found
}

#[test]
fn everything_wrong_is_said_at_once() {
    let found = issues(&json!({
        "address": "a.example:1", "username": "u", "security": "none", "tls": {}, "timeout_ms": 0,
        "commands": [
            [], ["{{ name }}"], ["SUBSCRIBE", "c"], ["GET", "{{ a"], ["GET", ["x", "{{ }}"]], ["SET", "k", { "json": { "a": ["{{ }}"] } }],
            ["SET", "k", { "base64": "?" }], ["select", 1],
        ],
    }));
    let expected = [
        "/commands/0 empty",
        "/commands/1/0 invalid_command",
        "/commands/2/0 invalid_command",
        "/commands/3/1 invalid_template",
        "/commands/4/1/1 invalid_template",
        "/commands/5/2/json/a/0 invalid_template",
        "/commands/6/2/base64 invalid_base64",
        "/commands/7/0 invalid_command",
        "/timeout_ms out_of_range",
        "/tls conflict",
        "/username conflict",
    ];
    assert_eq!(found, expected);
    let found = issues(&json!({ "address": "redis://a.example", "commands": [["PING"]] }));
    assert_eq!(found, ["/address invalid_value"]);
}

#[test]
fn the_worst_command_says_what_a_repeat_can_do() {
    let effect = |commands: Value, word: Value| {
        let mut config = json!({ "address": "a.example:1", "commands": commands });
        if !word.is_null() {
            config["effect"] = word;
        }
        Redis::validate(&serde_json::from_value(config).unwrap()).unwrap().effect
    };
    for (commands, expected) in [
        (json!([["GET", "k"], ["hgetall", "h"]]), Effect::Read),
        (json!([["GET", "k"], ["SET", "k", 1]]), Effect::Idempotent),
        (json!([["ZADD", "z", 1, "m"]]), Effect::Idempotent),
        (json!([["ZADD", "z", "incr", 1, "m"]]), Effect::Unsafe),
        (json!([["SET", "k", 1], ["XADD", "s", "*", "a", "b"]]), Effect::Unsafe),
        (json!([["NEWCOMMAND"]]), Effect::Unsafe),
        (json!([["G"]]), Effect::Unsafe),
    ] {
        assert_eq!(effect(commands.clone(), Value::Null), expected, "{commands}");
    }
    assert_eq!(effect(json!([["EVAL", "return 1", 0]]), json!("read")), Effect::Read);
}

#[test]
fn the_schema_says_what_may_be_reached_and_what_is_secret() {
    let schema: Value = serde_json::from_str(&Redis::describe().config_schema).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert_eq!(schema["properties"]["address"]["x-egress"], "tcp");
    assert_eq!(schema["required"], json!(["address", "commands"]));
    assert_eq!(schema.to_string().matches("\"writeOnly\":true").count(), 2, "the password and the certificate's key");
    for config in [
        json!({ "address": "a:1" }),
        json!({ "address": "a", "commands": [["PING"]] }),
        json!({ "address": "a:1", "commands": [] }),
        json!({ "address": "a:1", "commands": [[]] }),
        json!({ "address": "a:1", "commands": [[1]] }),
        json!({ "address": "a:1", "commands": [["SET", "k", { "json": 1, "raw": "input" }]] }),
        json!({ "address": "a:1", "commands": [["PING"]], "security": "starttls" }),
        json!({ "address": "a:1", "commands": [["PING"]], "colour": 1 }),
    ] {
        assert!(!validator.is_valid(&config), "{config}");
    }
    let fine =
        json!({ "address": "a:1", "commands": [["SET", "k", { "json": { "a": 1 } }, ["x"], 1, { "raw": "input" }]] });
    assert!(validator.is_valid(&fine));
}
