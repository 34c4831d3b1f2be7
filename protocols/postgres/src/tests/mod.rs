//! How messages are read and configs looked at; what a server makes of it, tests/it/protocols shows.

use action_protocol::net::Script;
use action_protocol::{Advice, Call, Effect, FailureKind, Payload, Protocol, Trigger, config};
use serde_json::{Value, json};

use crate::Postgres;
use crate::config::Config;

fn call(config: Value) -> Call<Config> {
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
        input: Payload::json(&json!({})).unwrap(),
    }
}

fn with(name: &str, value: Value) -> Value {
    let mut config = json!({ "address": "a.example:5432", "user": "u", "security": "none" });
    config[name] = value;
    config
}

fn insert() -> Value {
    with("execute", json!([{ "sql": "INSERT INTO t VALUES (1)" }]))
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}

/// A server up to the answer to COMMIT.
fn server(last: Vec<u8>) -> Vec<Vec<u8>> {
    vec![
        [message(b'R', &[0; 4]), message(b'S', b"server_version\x0015.1\0"), message(b'Z', b"I")].concat(),
        [message(b'C', b"BEGIN\0"), message(b'C', b"SET\0"), message(b'Z', b"T")].concat(),
        [message(b'1', b""), message(b't', &[0, 0]), message(b'n', b""), message(b'Z', b"T")].concat(),
        [message(b'2', b""), message(b'C', b"INSERT 0 1\0"), message(b'Z', b"T")].concat(),
        last,
    ]
}

#[test]
fn an_attempt_is_in_doubt_only_behind_commit() {
    let done = [message(b'C', b"COMMIT\0"), message(b'Z', b"I")].concat();
    let outcome = crate::run::execute(&call(insert()), &Script::new(server(done))).unwrap();
    let output: Value = serde_json::from_slice(&outcome.output.data).unwrap();
    assert_eq!(output, json!({ "results": [{ "command": "INSERT", "rows_affected": 1, "rows": [] }] }));
    for pieces in 0..=4 {
        let script = Script::new(server(Vec::new()).into_iter().take(pieces));
        let failure = crate::run::execute(&call(insert()), &script).unwrap_err();
        assert_eq!(matches!(failure.advice, Advice::InDoubt), pieces == 4, "{pieces}: {}", failure.message);
        assert!(matches!(failure.advice, Advice::InDoubt | Advice::Retry));
    }
}

#[test]
fn a_server_that_does_not_prove_itself_is_not_believed() {
    let mut config = insert();
    config["password"] = "p".into();
    let pieces = [message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"), message(b'R', &[0; 4])];
    let failure = crate::run::execute(&call(config), &Script::new(pieces)).unwrap_err();
    assert!(failure.message.contains("prove"), "{}", failure.message);
    let failure = crate::run::execute(&call(insert()), &Script::new([message(b'R', b"\0\0\0\x03")])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthenticated, "{}", failure.message);
}

#[test]
fn what_could_stand_before_tls_is_refused() {
    let mut config = insert();
    config["security"] = "tls".into();
    let script = Script::new([b"Sinjected".to_vec()]);
    let failure = crate::run::execute(&call(config.clone()), &script).unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadResponse);
    let failure = crate::run::execute(&call(config), &Script::new([b"N".to_vec()])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidConfig);
}

#[test]
fn no_bytes_make_it_trap() {
    let kinds = b"RSZKETDtn12CsINA";
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap()
    };
    for _ in 0..20_000 {
        let mut pieces = server(Vec::new());
        let mut body: Vec<u8> = (0..random() % 12).map(|_| (random() % 256) as u8).collect();
        if random() % 2 == 0 {
            body.iter_mut().for_each(|byte| *byte %= 3);
        }
        let at = random() % pieces.len();
        let odd = message(kinds[random() % kinds.len()], &body);
        pieces[at] = [odd, pieces[at].clone()].concat();
        let _ = crate::run::execute(&call(insert()), &Script::new(pieces));
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let config = json!({
        "address": "a.example:5432", "user": "", "security": "none", "tls": {}, "timeout_ms": 0, "effect": "read",
        "query": { "sql": " ", "parameters": ["{{ a", [{ "{{ b }}": 1 }]], "rows_max": 0 }, "execute": [],
    });
    let text = config.to_string();
    let parsed = config::parse::<Config>(&text).unwrap();
    let mut found: Vec<_> =
        Postgres::validate(&parsed).unwrap_err().iter().map(|i| format!("{} {}", i.pointer, i.code)).collect();
    found.sort();
    let expected = [
        "/effect conflict",
        "/execute conflict",
        "/execute empty",
        "/query/parameters/0 invalid_template",
        "/query/parameters/1/0/{{ b }} template_in_name",
        "/query/rows_max out_of_range",
        "/query/sql empty",
        "/timeout_ms out_of_range",
        "/tls conflict",
        "/user invalid_name",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_query_reads_and_the_rest_may_act_twice() {
    let effect = |config: Value| Postgres::validate(&serde_json::from_value(config).unwrap()).unwrap().effect;
    assert_eq!(effect(with("query", json!({ "sql": "SELECT 1" }))), Effect::Read);
    assert_eq!(effect(insert()), Effect::Unsafe);
    let mut upsert = insert();
    upsert["effect"] = "idempotent".into();
    assert_eq!(effect(upsert), Effect::Idempotent);
}

#[test]
fn the_schema_says_what_may_be_reached_and_what_is_secret() {
    let schema: Value = serde_json::from_str(&Postgres::describe().config_schema).unwrap();
    assert_eq!(schema["properties"]["address"]["x-egress"], "tcp");
    assert_eq!(schema.to_string().matches("\"writeOnly\":true").count(), 2, "the password and the certificate's key");
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert!(validator.is_valid(&insert()));
    assert!(!validator.is_valid(&json!({ "address": "a:1", "user": "u" })), "neither query nor execute");
}
