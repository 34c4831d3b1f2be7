//! How a mail is made and replies are read; what a server makes of it, tests/it/protocols shows.

use action_protocol::net::Script;
use action_protocol::{Advice, Call, Failure, FailureKind, Payload, Protocol, Trigger, config};
use serde_json::{Value, json};

use crate::Smtp;
use crate::config::Config;
use crate::message::{build, stuffed};

fn call(changes: Value, input: &Value) -> Call<Config> {
    let mut config = json!({
        "address": "a.example:25", "security": "none", "from": "f@a.example", "to": "t@a.example", "text": "x",
    });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
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

fn run(changes: Value, says: &[&str]) -> (Result<(), Failure>, String) {
    let script = Script::new(says.iter().map(|piece| piece.as_bytes().to_vec()));
    let outcome = crate::send::execute(&call(changes, &json!({})), &script).map(|_| ());
    let heard = String::from_utf8_lossy(&script.heard().bytes).into_owned();
    (outcome, heard)
}

const GOOD: [&str; 7] = [
    "220 hi\r\n",
    "250-a\r\n250 SIZE 99999\r\n",
    "250 ok\r\n",
    "250 ok\r\n",
    "354 go\r\n",
    "250 taken\r\n",
    "221 bye\r\n",
];

#[test]
fn an_attempt_is_in_doubt_only_behind_the_end_of_the_mail() {
    let (outcome, heard) = run(json!({}), &GOOD);
    outcome.unwrap();
    assert!(heard.contains("\r\nMAIL FROM:<f@a.example> SIZE="), "{heard}");
    assert!(heard.ends_with("\r\n.\r\nQUIT\r\n"), "{heard}");
    for pieces in 0..6 {
        let failure = run(json!({}), &GOOD[..pieces]).0.unwrap_err();
        assert_eq!(matches!(failure.advice, Advice::InDoubt), pieces == 5, "{pieces}: {}", failure.message);
    }
}

#[test]
fn replies_mean_what_they_say() {
    for (reply, kind) in [
        ("421 closing\r\n", FailureKind::Unavailable),
        ("451 greylisted\r\n", FailureKind::Unavailable),
        ("530 who are you\r\n", FailureKind::Unauthenticated),
        ("552 too large\r\n", FailureKind::Rejected),
        ("250-a\r\n251 b\r\n", FailureKind::BadResponse),
        ("250x\r\n", FailureKind::BadResponse),
        ("HTTP/1.1 400 Bad Request\r\n", FailureKind::BadResponse),
        ("\r\n", FailureKind::BadResponse),
        ("ä\r\n", FailureKind::BadResponse),
    ] {
        let failure = run(json!({}), &[GOOD[0], GOOD[1], reply]).0.unwrap_err();
        assert_eq!(failure.kind, kind, "{reply}: {}", failure.message);
    }
    let endless = "250-x\r\n".repeat(1_000);
    assert_eq!(run(json!({}), &[GOOD[0], &endless]).0.unwrap_err().kind, FailureKind::BadResponse);
}

#[test]
fn one_who_is_refused_keeps_the_mail_from_all() {
    let to = json!({ "to": ["a@b", "c@d"], "bcc": "a@b" });
    let says = [GOOD[0], GOOD[1], GOOD[2], "250 ok\r\n", "550 nobody\r\n"];
    let (outcome, heard) = run(to, &says);
    let failure = outcome.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert!(failure.details.unwrap().contains("c@d") && !heard.contains("DATA"));
}

#[test]
fn without_starttls_nothing_is_said() {
    let (outcome, heard) = run(json!({ "security": "starttls", "username": "u", "password": "p" }), &GOOD);
    assert_eq!(outcome.unwrap_err().kind, FailureKind::InvalidConfig);
    assert!(!heard.contains("AUTH") && !heard.contains("MAIL"), "{heard}");
    let injected = [GOOD[0], "250-a\r\n250 STARTTLS\r\n", "220 go\r\n250 injected\r\n"];
    assert_eq!(run(json!({ "security": "starttls" }), &injected).0.unwrap_err().kind, FailureKind::BadResponse);
}

#[test]
fn no_input_becomes_a_header_a_command_or_markup() {
    let evil = json!({ "x": "a@b\r\nBcc: evil@c", "html": "<script>&\"'" });
    for changes in [
        json!({ "to": "{{ x }}" }),
        json!({ "from": "{{ x }}" }),
        json!({ "subject": "{{ x }}" }),
        json!({ "headers": { "X-A": "{{ x }}" } }),
        json!({ "attachments": [{ "name": "{{ x }}", "content": "input" }] }),
    ] {
        assert_eq!(build(&call(changes.clone(), &evil)).unwrap_err().kind, FailureKind::InvalidInput, "{changes}");
    }
    let mail = build(&call(json!({ "html": "<p>{{ html }}</p>", "bcc": "b@c" }), &evil)).unwrap();
    let text = String::from_utf8(mail.bytes).unwrap();
    assert!(text.contains("<p>&lt;script&gt;&amp;&quot;&#39;</p>"), "{text}");
    assert!(!text.contains("b@c") && mail.recipients.contains(&"b@c".to_owned()), "{text}");
    assert!(text.contains("Message-ID: <exe_1@a.example>"), "{text}");
}

#[test]
fn a_dot_does_not_end_the_mail_early() {
    assert_eq!(stuffed(b".\r\n..a\nb\r.\rc"), b"..\r\n...a\r\nb.c\r\n");
}

#[test]
fn everything_wrong_is_said_at_once() {
    let config = json!({
        "address": "a.example:25", "security": "none", "tls": {}, "username": "u", "from": "nobody", "to": ["a@b", "c", 1],
        "subject": "{{", "headers": { "Subject": "x", "a b": "y" }, "hello": "a b", "timeout_ms": 0,
        "attachments": [{ "name": "n", "content": { "base64": "?" } }],
    });
    let parsed = config::parse::<Config>(&config.to_string()).unwrap();
    let mut found: Vec<_> =
        Smtp::validate(&parsed).unwrap_err().iter().map(|i| format!("{} {}", i.pointer, i.code)).collect();
    found.sort();
    let expected = [
        " empty",
        "/attachments/0/content/base64 invalid_base64",
        "/from invalid_address",
        "/headers/Subject reserved_header",
        "/headers/a b invalid_header_name",
        "/hello invalid_name",
        "/subject invalid_template",
        "/timeout_ms out_of_range",
        "/tls conflict",
        "/to/1 invalid_address",
        "/to/2 invalid_address",
        "/username conflict",
    ];
    assert_eq!(found, expected);
}
