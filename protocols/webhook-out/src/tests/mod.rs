//! What is signed and what an answer means; what a receiver's library makes of it, tests/it/protocols shows.

use std::cell::RefCell;

use action_protocol::secrets::{Secret, SecretError};
use action_protocol::{
    Advice, Call, Failure, FailureKind, HttpRequest, HttpResponse, OutboundError, Outcome, Payload, Trigger,
};
use serde_json::{Value, json};

use crate::Sign;
use crate::config::Config;

/// A handle, as the service makes them.
const HANDLE: &str = "sec_0123456789abcdef0123456789abcdef";

/// Gives back what it was asked to sign, so that a test sees it.
struct Mirror(RefCell<Vec<Vec<u8>>>);

impl Sign for Mirror {
    fn sign(&self, _: &Secret, message: &[u8]) -> Result<Vec<u8>, SecretError> {
        self.0.borrow_mut().push(message.to_vec());
        Ok(b"signed".to_vec())
    }
}

fn call(config: &Value) -> Call<Config> {
    let mut full = json!({ "url": "https://a.example/hook", "secret": HANDLE });
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
        input: Payload { content_type: "application/json".into(), data: b"{\"a\":1}".to_vec() },
    }
}

fn deliver(
    config: &Value,
    status: u16,
    headers: &[(&str, &str)],
) -> (Result<Outcome, Failure>, HttpRequest, Vec<String>) {
    let mirror = Mirror(RefCell::default());
    let sent = RefCell::new(None);
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| action_protocol::Header { name: (*name).into(), value: value.as_bytes().into() })
        .collect();
    let transport = |request: &HttpRequest| -> Result<HttpResponse, OutboundError> {
        sent.replace(Some(request.clone()));
        Ok(HttpResponse { status, headers: headers.clone(), body: b"no".to_vec() })
    };
    let outcome = crate::execute(&call(config), &transport, &mirror, 1_700_000_000);
    let signed = mirror.0.into_inner().into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect();
    (outcome, sent.into_inner().unwrap(), signed)
}

fn header(request: &HttpRequest, name: &str) -> String {
    let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    String::from_utf8(found.map(|header| header.value.clone()).unwrap_or_default()).unwrap()
}

#[test]
fn id_time_and_body_are_signed() {
    let (outcome, request, signed) = deliver(&json!({}), 204, &[]);
    assert!(outcome.is_ok());
    assert_eq!(signed, ["exe_1.1700000000.{\"a\":1}"]);
    assert_eq!(header(&request, "webhook-id"), "exe_1");
    assert_eq!(header(&request, "webhook-timestamp"), "1700000000");
    assert_eq!(header(&request, "webhook-signature"), "v1,c2lnbmVk");
    assert_eq!(header(&request, "content-type"), "application/json");
    assert_eq!(request.body.as_deref(), Some(&b"{\"a\":1}"[..]));
}

#[test]
fn while_a_secret_is_replaced_both_sign() {
    let (_, request, signed) = deliver(&json!({ "old_secret": HANDLE, "headers": { "X-A": "b" } }), 200, &[]);
    assert_eq!(signed.len(), 2);
    assert_eq!(header(&request, "webhook-signature"), "v1,c2lnbmVk v1,c2lnbmVk");
    assert_eq!(header(&request, "x-a"), "b");
}

#[test]
fn whatever_is_no_success_is_tried_again_but_what_is_gone() {
    for (status, retries) in
        [(200, None), (299, None), (302, Some(true)), (404, Some(true)), (410, Some(false)), (500, Some(true))]
    {
        let (outcome, ..) = deliver(&json!({}), status, &[]);
        let advice = outcome.err().map(|failure| !matches!(failure.advice, Advice::GiveUp));
        assert_eq!(advice, retries, "{status}");
    }
    let (outcome, ..) = deliver(&json!({}), 429, &[("retry-after", "7")]);
    let failure = outcome.unwrap_err();
    assert!(matches!((failure.kind, failure.advice), (FailureKind::RateLimited, Advice::RetryAfter(7000))));
}

#[test]
fn every_mistake_has_its_place() {
    let refused = |config: &Value| -> Vec<String> {
        let found = crate::validate::validate(&call(config).config).err().unwrap_or_default();
        found.into_iter().map(|issue| format!("{} {}", issue.pointer, issue.code)).collect()
    };
    assert!(refused(&json!({})).is_empty());
    assert_eq!(refused(&json!({ "url": "ftp://a" })), ["/url invalid_url"]);
    assert_eq!(
        refused(&json!({ "secret": "plain", "old_secret": "plain" })),
        ["/secret not_a_secret", "/old_secret not_a_secret"]
    );
    assert_eq!(
        refused(&json!({ "headers": { "a b": "x", "Webhook-Id": "x", "X-A": "a\nb" } })),
        [
            "/headers/Webhook-Id reserved_header",
            "/headers/a b invalid_header_name",
            "/headers/X-A invalid_header_value"
        ]
    );
}

#[test]
fn the_examples_fit_the_schema() {
    let descriptor = crate::describe::descriptor();
    let schema: Value = serde_json::from_str(&descriptor.config_schema).unwrap();
    assert_eq!(schema["properties"]["url"]["x-egress"], "http");
    assert_eq!(schema["properties"]["secret"]["writeOnly"], true);
    let validator = jsonschema::validator_for(&schema).unwrap();
    for example in &descriptor.examples {
        let mut config: Value = serde_json::from_str(&example.config).unwrap();
        for name in ["secret", "old_secret"] {
            if config.get(name).is_some() {
                config[name] = HANDLE.into();
            }
        }
        assert!(validator.is_valid(&config), "{}", example.name);
    }
}
