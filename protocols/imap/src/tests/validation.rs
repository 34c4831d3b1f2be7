//! validate-config says everything that is wrong, where, and what repeats can do.

use action_protocol::{Effect, Protocol};
use serde_json::json;

use super::config;
use crate::Imap;

#[test]
fn everything_wrong_is_said_at_once() {
    let config = config(json!({
        "tls": {}, "username": "a\nb", "password": "", "mailbox": "x".repeat(256), "content": "raw",
        "attachments": "content", "max_messages": 0, "message_bytes_max": 1, "kind": "A B", "timeout_ms": 0,
        "search": { "from": "", "subject": "a\r\nb", "since": "2026-02-30" },
    }));
    let mut found: Vec<_> =
        Imap::validate(&config).unwrap_err().iter().map(|i| format!("{} {}", i.pointer, i.code)).collect();
    found.sort();
    let expected = [
        "/attachments conflict",
        "/kind invalid_kind",
        "/mailbox out_of_range",
        "/max_messages out_of_range",
        "/message_bytes_max out_of_range",
        "/password empty",
        "/search/from empty",
        "/search/since invalid_date",
        "/search/subject control_character",
        "/timeout_ms out_of_range",
        "/tls conflict",
        "/username control_character",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_marks_is_idempotent_and_what_looks_reads() {
    let accepted = Imap::validate(&config(json!({}))).unwrap();
    assert_eq!((accepted.effect, accepted.warnings.len()), (Effect::Read, 1), "the password goes in the clear");
    let marks = Imap::validate(&config(json!({ "mark_seen": true, "security": "tls" }))).unwrap();
    assert_eq!((marks.effect, marks.warnings.len()), (Effect::Idempotent, 0));
    let large = |more| config(json!({ "message_bytes_max": 8 << 20, "security": "tls", "wait": more }));
    assert_eq!(Imap::validate(&large(false)).unwrap().warnings[0].code, "needs_fuel");
    assert!(Imap::validate(&large(true)).unwrap().warnings.is_empty());
}

#[test]
fn every_example_fits_the_schema() {
    let descriptor = Imap::describe();
    let schema = jsonschema::draft202012::new(&serde_json::from_str(&descriptor.config_schema).unwrap()).unwrap();
    for example in &descriptor.examples {
        let mut config: serde_json::Value = serde_json::from_str(&example.config).unwrap();
        config["password"] = "sec_0".into();
        assert!(schema.is_valid(&config), "{}", example.name);
        let accepted = Imap::validate(&serde_json::from_value(config).unwrap()).unwrap();
        assert!(accepted.warnings.is_empty(), "{}", example.name);
    }
}
