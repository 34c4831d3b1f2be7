//! Whole paths through the protocol, with a remote that is a closure.

mod answers;
mod connections;
mod polls;
mod refusals;
mod requests;
mod schema;
mod validation;

use std::cell::RefCell;

use action_protocol::{Call, Failure, Header, HttpRequest, HttpResponse, OutboundError, Outcome, Payload, Trigger};
use serde_json::{Value, json};

use crate::config::Config;

/// A call with this config and a JSON input.
fn call(config: Value, input: &Value) -> Call<Config> {
    call_with(config, Payload::json(input).unwrap())
}

fn call_with(config: Value, input: Payload) -> Call<Config> {
    Call {
        action: "act_1".into(),
        execution: "exe_1".into(),
        correlation: "cor_1".into(),
        attempt: 2,
        idempotency_key: "key-1".into(),
        deadline: "2026-11-23T05:08:00Z".into(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        trigger: Trigger::Call,
        config: serde_json::from_value(config).unwrap(),
        input,
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> HttpResponse {
    let header = |(name, value): &(&str, &str)| Header { name: (*name).into(), value: (*value).into() };
    HttpResponse { status, headers: headers.iter().map(header).collect(), body: body.into() }
}

/// What the remote would have been asked.
fn request(config: Value, input: &Value) -> HttpRequest {
    crate::request::build(&call(config, input)).unwrap()
}

/// The message of an execution that fails before anything is sent.
fn refusal(config: Value, input: &Value) -> String {
    let failure = crate::request::build(&call(config, input)).unwrap_err();
    assert_eq!(failure.kind, action_protocol::FailureKind::InvalidInput);
    failure.message
}

/// Executes with a remote that gives this answer.
fn execute(config: Value, response: HttpResponse) -> Result<Outcome, Failure> {
    let transport = move |_: &HttpRequest| Ok(response.clone());
    crate::execute(&call(config, &json!({})), &transport)
}

/// Executes on a way out that fails.
fn execute_failing(config: Value, error: OutboundError) -> Failure {
    let transport = move |_: &HttpRequest| Err(error.clone());
    crate::execute(&call(config, &json!({})), &transport).unwrap_err()
}

/// Executes with a remote that gives these answers in turn; gives what it was asked as well.
fn execute_in_turn(
    config: Value,
    answers: Vec<Result<HttpResponse, OutboundError>>,
) -> (Result<Outcome, Failure>, Vec<HttpRequest>) {
    let asked = RefCell::new(Vec::new());
    let transport = |request: &HttpRequest| {
        asked.borrow_mut().push(request.clone());
        answers[asked.borrow().len() - 1].clone()
    };
    let result = crate::execute(&call(config, &json!({})), &transport);
    (result, asked.into_inner())
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(&found.value).ok()
}
