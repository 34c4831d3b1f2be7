//! How packets are read and configs looked at; what a broker makes of it, tests/it/protocols shows.

use std::cell::RefCell;
use std::collections::BTreeSet;

use action_protocol::net::Script;
use action_protocol::{Advice, Call, Failure, FailureKind, Payload, Trigger};
use serde_json::{Value, json};

use crate::config::Config;
use crate::packet::{self, Message, Packet};
use crate::subscribe::Keeper;

const CONNACK: &[u8] = &[0x20, 2, 0, 0];
const KNOWN: &[u8] = &[0x20, 2, 1, 0];
const SUBACK: &[u8] = &[0x90, 3, 0, 1, 1];

fn call(config: &Value, input: &Value) -> Call<Config> {
    let mut full = json!({ "address": "a.example:1883", "timeout_ms": 5000 });
    full.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    Call {
        action: "act_1".into(),
        execution: "exe_1".into(),
        correlation: "cor_1".into(),
        attempt: 1,
        idempotency_key: "exe_1".into(),
        deadline: String::new(),
        traceparent: None,
        trigger: Trigger::Call,
        config: serde_json::from_value(full).unwrap(),
        input: Payload::json(input).unwrap(),
    }
}

fn publish(config: &Value, says: &[&[u8]]) -> (Result<Value, Failure>, Vec<u8>) {
    let script = Script::new(says.iter().map(|piece| piece.to_vec()));
    let call = call(config, &json!({ "id": 7 }));
    let outcome = crate::publish::execute(&call, call.config.publish.as_ref().unwrap(), &script);
    let heard = script.heard().bytes.clone();
    (outcome.map(|outcome| serde_json::from_slice(&outcome.output.data).unwrap()), heard)
}

#[derive(Default)]
struct Kept {
    before: BTreeSet<u16>,
    items: RefCell<Vec<Value>>,
    ids: RefCell<BTreeSet<u16>>,
}

impl Keeper for Kept {
    fn captured(&self) -> Result<BTreeSet<u16>, Failure> {
        Ok(self.before.clone())
    }

    fn keep(&self, items: &[Value], _: &str, ids: &BTreeSet<u16>) -> Result<(), Failure> {
        self.items.borrow_mut().extend_from_slice(items);
        self.ids.replace(ids.clone());
        Ok(())
    }
}

fn message(topic: &str, payload: &[u8], id: u16, again: bool) -> Vec<u8> {
    let mut bytes = packet::publish(topic, payload, 1, false, id);
    bytes[0] |= if again { 8 } else { 0 };
    bytes
}

fn subscribe(kept: &Kept, says: &[&[u8]]) -> (Failure, Vec<u8>) {
    let script = Script::new(says.iter().map(|piece| piece.to_vec()));
    let call = call(&json!({ "subscribe": { "topics": ["a/#"] } }), &json!(null));
    // The script closes at its end, as a broker does that goes away.
    let failure = crate::subscribe::execute(&call, call.config.subscribe.as_ref().unwrap(), &script, kept).unwrap_err();
    let heard = script.heard().bytes.clone();
    (failure, heard)
}

#[test]
fn a_message_goes_out_and_is_acknowledged() {
    let config = json!({ "publish": { "topic": "orders/{{ id }}", "payload": "no {{ id }}" } });
    let (outcome, heard) = publish(&config, &[CONNACK, &[0x40, 2, 0, 1]]);
    assert_eq!(outcome.unwrap(), json!({ "topic": "orders/7", "bytes": 4, "acknowledged": true }));
    let hello = packet::connect("act_1-1", None, true, 60);
    assert!(heard.starts_with(&hello));
    assert!(heard[hello.len()..].starts_with(&packet::publish("orders/7", b"no 7", 1, false, 1)));
    assert!(heard.ends_with(&packet::DISCONNECT));
}

#[test]
fn what_is_not_acknowledged_is_in_doubt_and_what_did_not_leave_is_not() {
    let config = json!({ "publish": { "topic": "a" } });
    let (outcome, _) = publish(&config, &[CONNACK]);
    assert!(matches!(outcome.unwrap_err().advice, Advice::InDoubt));
    let (outcome, _) = publish(&config, &[]);
    assert!(matches!(outcome.unwrap_err().advice, Advice::Retry));
    let retained = json!({ "publish": { "topic": "a", "retain": true } });
    let (outcome, _) = publish(&retained, &[CONNACK]);
    assert!(matches!(outcome.unwrap_err().advice, Advice::Retry));
    let (outcome, heard) = publish(&config, &[&[0x20, 2, 0, 5]]);
    assert!(matches!(outcome.unwrap_err().kind, FailureKind::Unauthenticated));
    assert_eq!(heard, packet::connect("act_1-1", None, true, 60));
    for garbage in [&b"HTTP/1.1 400 Bad Request\r\n"[..], &[0x20, 0xff, 0xff, 0xff, 0xff, 1], &[0xf0, 0]] {
        let (outcome, _) = publish(&config, &[garbage]);
        assert!(matches!(outcome.unwrap_err().kind, FailureKind::BadResponse), "{garbage:?}");
    }
}

#[test]
fn messages_become_items_and_are_acknowledged_behind_that() {
    let kept = Kept::default();
    let both = [message("a/1", b"{\"x\":1}", 1, false), message("a/2", b"text", 2, false)].concat();
    let (failure, heard) = subscribe(&kept, &[CONNACK, SUBACK, &both, &message("a/3", &[0xff], 3, false)]);
    assert!(matches!((failure.kind, failure.advice), (FailureKind::Unavailable, Advice::Retry)));
    let items = kept.items.into_inner();
    assert_eq!(items[0], json!({ "topic": "a/1", "qos": 1, "retained": false, "json": { "x": 1 } }));
    assert_eq!((&items[1]["text"], &items[2]["base64"]), (&json!("text"), &json!("/w==")));
    assert_eq!(kept.ids.into_inner(), BTreeSet::from([3]));
    assert!(heard.ends_with(&[packet::acknowledge(&[1, 2]), packet::acknowledge(&[3])].concat()));
}

#[test]
fn what_was_captured_and_comes_again_is_only_acknowledged() {
    let kept = Kept { before: BTreeSet::from([4, 5]), ..Kept::default() };
    let says = [message("a", b"old", 4, true), message("a", b"new", 5, false), message("a", b"lost", 6, true)].concat();
    let (_, heard) = subscribe(&kept, &[KNOWN, SUBACK, &says]);
    let texts: Vec<Value> = kept.items.into_inner().into_iter().map(|mut item| item["text"].take()).collect();
    assert_eq!(texts, ["new", "lost"], "an id that is used anew is another message");
    assert!(heard.ends_with(&packet::acknowledge(&[4, 5, 6])));
    // A broker that does not know the session sends nothing again.
    let kept = Kept { before: BTreeSet::from([4]), ..Kept::default() };
    subscribe(&kept, &[CONNACK, SUBACK, &message("a", b"x", 4, true)]);
    assert_eq!(kept.items.into_inner().len(), 1);
}

#[test]
fn packets_do_not_depend_on_how_they_come() {
    let bytes = message("a/b", &[7; 300], 9, true);
    for end in 0..bytes.len() {
        assert_eq!(packet::read(&bytes[..end]).unwrap(), None, "{end}");
    }
    let (read, length) = packet::read(&bytes).unwrap().unwrap();
    assert_eq!(length, bytes.len());
    let expected = Message { topic: "a/b".into(), payload: vec![7; 300], qos: 1, retained: false, again: true, id: 9 };
    assert_eq!(read, Packet::Publish(expected));
    assert!(packet::read(&[0x30, 0x80, 0x80, 0x80, 0x01]).is_err(), "too large is refused before it has come");
}

#[test]
fn every_mistake_has_its_place() {
    let refused = |config: &Value| -> Vec<String> {
        let found = crate::validate::validate(&call(config, &json!(null)).config).err().unwrap_or_default();
        found.into_iter().map(|issue| format!("{} {}", issue.pointer, issue.code)).collect()
    };
    assert!(refused(&json!({ "publish": { "topic": "a/{{ b }}" } })).is_empty());
    assert_eq!(refused(&json!({})), [" required"]);
    let both = json!({ "publish": { "topic": "a" }, "subscribe": { "topics": ["a"] } });
    assert_eq!(refused(&both), ["/subscribe conflict"]);
    assert_eq!(refused(&json!({ "publish": { "topic": "a/#" } })), ["/publish/topic invalid_topic"]);
    assert_eq!(
        refused(&json!({ "subscribe": { "topics": ["a/#/b", "a+", "+/b", "#", ""] } })),
        ["/subscribe/topics/0 invalid_topic", "/subscribe/topics/1 invalid_topic", "/subscribe/topics/4 invalid_topic"]
    );
    assert_eq!(
        refused(&json!({ "subscribe": { "topics": [] }, "password": "x" })),
        ["/password conflict", "/subscribe/topics empty"]
    );
    assert_eq!(
        refused(&json!({ "publish": { "topic": "a", "qos": 2 }, "security": "none", "tls": {} })),
        ["/tls conflict", "/publish/qos out_of_range"]
    );
}

#[test]
fn the_examples_fit_the_schema() {
    let descriptor = crate::describe::descriptor();
    let schema: Value = serde_json::from_str(&descriptor.config_schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for example in &descriptor.examples {
        let mut config: Value = serde_json::from_str(&example.config).unwrap();
        if config.get("password").is_some() {
            config["password"] = "sec_0".into();
        }
        assert!(validator.is_valid(&config), "{}: {schema}", example.name);
    }
    let wrong = json!({ "address": "a:1", "publish": { "topic": "a" }, "other": 1 });
    assert!(!validator.is_valid(&wrong), "{schema}");
}
