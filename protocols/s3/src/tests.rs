//! How requests are made and answers read; what a server makes of it, tests/it/protocols shows.

use std::cell::RefCell;

use action_protocol::{
    Advice, Call, Effect, FailureKind, Header, HttpRequest, HttpResponse, Payload, Protocol, Trigger, config,
};
use serde_json::{Value, json};

use crate::S3;
use crate::config::Config;

fn config_of(operation: Value) -> Value {
    json!({
        "endpoint": "https://s3.example/", "bucket": "bucket", "access_key_id": "ID", "secret_access_key": "key",
        "operation": operation,
    })
}

fn run(
    operation: Value,
    input: &Value,
    status: u16,
    body: &str,
) -> (Result<Value, action_protocol::Failure>, Vec<HttpRequest>) {
    let call = Call::<Config> {
        action: "act_1".into(),
        execution: "exe_1".into(),
        correlation: "cor_1".into(),
        attempt: 1,
        idempotency_key: "key-1".into(),
        deadline: String::new(),
        traceparent: None,
        trigger: Trigger::Call,
        config: serde_json::from_value(config_of(operation)).unwrap(),
        input: Payload::json(input).unwrap(),
    };
    let asked = RefCell::new(Vec::new());
    let transport = |request: &HttpRequest| {
        asked.borrow_mut().push(request.clone());
        let retry = Header { name: "Retry-After".into(), value: b"7".to_vec() };
        Ok(HttpResponse { status, headers: vec![retry], body: body.into() })
    };
    let outcome = crate::run::execute(&call, &transport);
    (outcome.map(|o| serde_json::from_slice(&o.output.data).unwrap_or_default()), asked.into_inner())
}

#[test]
fn a_key_stays_in_its_place() {
    let (_, asked) = run(json!({ "put": { "key": "a b/{{ k }}" } }), &json!({ "k": "ü?x/#" }), 200, "");
    assert_eq!(asked[0].url, "https://s3.example/bucket/a%20b/%C3%BC%3Fx/%23");
    for key in ["..", "a/../b", ".", ""] {
        let (outcome, asked) = run(json!({ "get": { "key": "{{ k }}" } }), &json!({ "k": key }), 200, "");
        assert_eq!((outcome.unwrap_err().kind, asked.len()), (FailureKind::InvalidInput, 0), "{key}");
    }
}

#[test]
fn lists_are_read() {
    let xml = "<ListBucketResult xmlns=\"x\"><IsTruncated>true</IsTruncated><Contents><Key>a&amp;b</Key><Size>3</Size>\
        <ETag>&quot;e&quot;</ETag></Contents><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>";
    let (output, asked) =
        run(json!({ "list": { "prefix": "a/ü", "delimiter": "/", "after": "{{ x? }}" } }), &json!({}), 200, xml);
    let objects = json!([{ "key": "a&b", "size": 3, "etag": "e", "modified": null }]);
    assert_eq!(output.unwrap(), json!({ "objects": objects, "prefixes": ["p/"], "truncated": true }));
    assert_eq!(asked[0].url, "https://s3.example/bucket?delimiter=%2F&list-type=2&max-keys=1000&prefix=a%2F%C3%BC");
    for body in ["", "<html>", "{}"] {
        assert_eq!(run(json!({ "list": {} }), &json!({}), 200, body).0.unwrap_err().kind, FailureKind::BadResponse);
    }
}

#[test]
fn refusals_mean_what_they_say() {
    for (status, code, kind) in [
        (403, "SignatureDoesNotMatch", FailureKind::Unauthenticated),
        (404, "NoSuchKey", FailureKind::Rejected),
        (404, "NoSuchBucket", FailureKind::InvalidConfig),
        (412, "PreconditionFailed", FailureKind::Rejected),
        (503, "SlowDown", FailureKind::RateLimited),
        (500, "", FailureKind::Unavailable),
        (101, "", FailureKind::BadResponse),
    ] {
        let body = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
        let failure = run(json!({ "get": { "key": "k" } }), &json!({}), status, &body).0.unwrap_err();
        assert_eq!(failure.kind, kind, "{status} {code}");
        assert_eq!(matches!(failure.advice, Advice::RetryAfter(7_000)), status >= 500, "{status} {code}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let mut config = config_of(json!({ "list": { "prefix": "{{", "keys_max": 0 } }));
    config["endpoint"] = "https://a.example/path".into();
    config["bucket"] = "a/b".into();
    config["region"] = "".into();
    config["timeout_ms"] = 0.into();
    let parsed = config::parse::<Config>(&config.to_string()).unwrap();
    let mut found: Vec<_> =
        S3::validate(&parsed).unwrap_err().iter().map(|i| format!("{} {}", i.pointer, i.code)).collect();
    found.sort();
    let expected = [
        "/bucket invalid_name",
        "/endpoint invalid_url",
        "/operation/list/keys_max out_of_range",
        "/operation/list/prefix invalid_template",
        "/region invalid_name",
        "/timeout_ms out_of_range",
    ];
    assert_eq!(found, expected);
    let effect = |operation| S3::validate(&serde_json::from_value(config_of(operation)).unwrap()).unwrap().effect;
    assert_eq!(effect(json!({ "get": { "key": "k" } })), Effect::Read);
    assert_eq!(effect(json!({ "put": { "key": "k" } })), Effect::Idempotent);
}
