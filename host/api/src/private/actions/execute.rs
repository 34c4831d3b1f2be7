//! `POST /v1/actions/{id}/execute`: calls an action. The hot path.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{
        body,
        caller::Caller,
        headers::{X_CORRELATION_ID, content_type, correlation_id, idempotency_key, traceparent},
        path::In,
        prefer::{PREFERENCE_APPLIED, Prefer},
    },
    wire::{self, execution::ExecutionBody, location},
};
use action_domain::{limits::INPUT_BYTES_MAX, payload::Payload};
use action_engine::{Dispatch, Dispatched, EngineError, MALFORMED_JSON};
use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;

/// Execute an action
///
/// The whole body is the input, whatever its media type. Waits until the execution has ended, 30
/// seconds at most or as `Prefer: wait` says. What was accepted is durable and goes on whether
/// somebody waits or not. A failed execution is a successful answer: `status` says how it ended.
#[utoipa::path(
    post,
    path = "/v1/actions/{id}/execute",
    tag = "actions",
    params(
        ("id" = String, Path, description = "The action's id or name."),
        ("Prefer" = Option<String>, Header,
            description = "`respond-async`: do not wait. `wait=SECONDS`: wait so long, 30 at most (RFC 7240)."),
        ("Idempotency-Key" = Option<String>, Header,
            description = "The same key for the same action leads to the same execution for 24 hours, also when two \
                come at once: the answer is the first one's, and waits like it. 1 to 255 printable ASCII characters, \
                quoted or not (draft-ietf-httpapi-idempotency-key-header)."),
        ("X-Correlation-Id" = Option<String>, Header,
            description = "Taken over, else made: 1 to 128 printable ASCII characters."),
        ("traceparent" = Option<String>, Header, description = "W3C trace context; passed on."),
    ),
    request_body(
        content(
            (Value = "application/json"),
            (Vec<u8> = "application/octet-stream"),
            (Vec<u8> = "*/*"),
        ),
        description = "The input, at most 16 MiB, of any media type. What is said to be JSON has to be JSON.",
    ),
    responses(
        (status = 200, description = "The execution has ended.", body = ExecutionBody, headers(
            ("X-Correlation-Id" = String, description = "The execution's."),
            ("Preference-Applied" = String, description = "What of `Prefer` was honoured."),
        )),
        (status = 202, description = "The execution was accepted and has not ended, or is held in doubt.",
            body = ExecutionBody, headers(
            ("Location" = String, description = "Where to look for how it goes on."),
            ("X-Correlation-Id" = String, description = "The execution's."),
            ("Preference-Applied" = String, description = "What of `Prefer` was honoured."),
        )),
        (status = 400, description = "The path, a header or the body makes no sense: `invalid_path`, \
            `invalid_correlation_id`, `invalid_idempotency_key`, `invalid_content_type`, `malformed_json`, `body_broken`."),
        (status = 404, description = "There is no such action: `action_not_found`."),
        (status = 408, description = "The body did not come in time: `body_timeout`."),
        (status = 409, description = "The action is disabled: `action_disabled`."),
        (status = 413, description = "More than 16 MiB: `body_too_large`."),
        (status = 415, description = "The body has a Content-Encoding: `unsupported_media_type`."),
        (status = 422, description = "The input does not fit the protocol's schema, for all of `errors`: \
            `invalid_input`; or the idempotency key came before with another body: `idempotency_key_reused`.", headers(
            ("Location" = String, description = "Where the execution is that the key led to before."),
        )),
    )
)]
pub(crate) async fn execute_action(State(state): State<ApiState>, In(id): In<String>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let caller = Caller::of(&parts)?;
    let action = caller.action(&state, &id).await?;
    let correlation_id = correlation_id(&parts.headers)?;
    let idempotency_key = idempotency_key(&parts.headers)?;
    let prefer = Prefer::of(&parts.headers);
    let content_type = content_type(&parts.headers)?;
    let taken = body::take(&state, &parts, body, INPUT_BYTES_MAX).await?;
    let input = Payload { content_type, data: taken.bytes };
    let dispatch = Dispatch {
        action,
        input,
        correlation_id: correlation_id.clone(),
        traceparent: traceparent(&parts.headers),
        idempotency_key,
        wait: prefer.wait(),
        by: caller.actor().clone(),
    };
    match state.engine().dispatch(dispatch).await {
        Ok(dispatched) => accepted(&dispatched, prefer),
        Err(error) => Ok(refused(problem(error), correlation_id)),
    }
}

fn accepted(dispatched: &Dispatched, prefer: Prefer) -> Answer {
    let Dispatched { view, ended } = dispatched;
    let status = if *ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut response = wire::json(status, &ExecutionBody::from(view))?;
    let headers = response.headers_mut();
    if !ended {
        headers.insert(header::LOCATION, location(&format!("/v1/executions/{}", view.execution.id)));
    }
    if let Some(applied) = prefer.applied(*ended) {
        headers.insert(PREFERENCE_APPLIED, applied);
    }
    if let Ok(id) = HeaderValue::from_str(&view.execution.correlation_id) {
        headers.insert(X_CORRELATION_ID, id);
    }
    Ok(response)
}

/// Input that is no JSON at all is no document either: it is refused as other bodies are.
pub(super) fn problem(error: EngineError) -> Problem {
    match error {
        EngineError::InvalidInput(issues) if issues.iter().any(|issue| issue.code == MALFORMED_JSON) => {
            Problem::bad_request(MALFORMED_JSON, "the input is said to be JSON and is not").errors(issues)
        }
        error => error.into(),
    }
}

/// A refusal carries the caller's correlation id too: it is in the events of the refusal.
fn refused(problem: Problem, correlation_id: Option<Arc<str>>) -> Response {
    let mut response = problem.into_response();
    if let Some(id) = correlation_id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert(X_CORRELATION_ID, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use crate::{
        Scope,
        testing::{Api, tokens},
    };
    use action_domain::limits::INPUT_BYTES_MAX;
    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::stream;
    use serde_json::{Value, json};
    use std::convert::Infallible;

    #[tokio::test]
    async fn it_waits_and_answers_with_the_execution() {
        let api = Api::new();
        let id = api.protocol_and_action("a").await;
        let ran = api.post("/v1/actions/a/execute").bearer(tokens(Scope::Invoke)).content_type("application/json");
        let ran = ran.body(r#"{"x": [1, 2.50]}"#).with("x-correlation-id", "order 7").send().await;
        ran.is(200);
        let execution = ran.json();
        for member in [
            "id",
            "action",
            "revision",
            "protocol",
            "status",
            "attempts",
            "output",
            "error",
            "receipt",
            "created_at",
            "started_at",
            "ended_at",
            "correlation_id",
        ] {
            assert!(execution.get(member).is_some(), "{member}");
        }
        assert_eq!(execution["action"], id.as_str());
        assert_eq!(execution["protocol"], "echo@0.1.0");
        assert_eq!(execution["status"], "succeeded");
        assert_eq!(execution["output"], json!({"x": [1, 2.50]}));
        assert!(String::from_utf8_lossy(&ran.bytes).contains("2.50"), "the output stands there as it came");
        assert_eq!(execution["error"], Value::Null);
        assert!(execution.get("retry_at").is_none());
        assert_eq!(ran.header("x-correlation-id"), "order 7");
        assert_eq!(execution["correlation_id"], "order 7");
        assert!(ran.headers.get("location").is_none());
    }

    #[tokio::test]
    async fn any_bytes_are_an_input() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let plain = api.post("/v1/actions/a/execute").content_type("text/plain").body("x").send().await;
        assert_eq!(plain.json()["output"], json!({"content_type": "text/plain", "base64": "eA=="}));
        let none = api.post("/v1/actions/a/execute").send().await;
        assert_eq!(none.json()["output"], json!({"content_type": "application/octet-stream", "base64": ""}));
        let large = api.post("/v1/actions/a/execute").body(vec![b'x'; 70_000]).send().await;
        assert_eq!(large.json()["output"]["bytes"], 70_000);
        assert_eq!(large.json()["output"]["content_type"], "application/octet-stream");
        let refused = api.post("/v1/actions/a/execute").content_type("nonsense").body("x").send().await;
        refused.is_problem(400, "invalid_content_type");
    }

    #[tokio::test]
    async fn it_does_not_wait_when_it_is_asked_not_to() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let accepted = api.post("/v1/actions/a/execute").with("prefer", "respond-async").body("x").send().await;
        accepted.is(202);
        assert_eq!(accepted.json()["status"], "queued");
        assert_eq!(accepted.json()["started_at"], Value::Null);
        assert_eq!(accepted.header("preference-applied"), "respond-async");
        let path = accepted.header("location").to_owned();
        assert_eq!(path, format!("/v1/executions/{}", accepted.json()["id"].as_str().unwrap()));
        assert_eq!(accepted.header("x-correlation-id"), accepted.json()["correlation_id"].as_str().unwrap());
        api.start().await;
        api.until(&path, |execution| execution["status"] == "succeeded").await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_as_long_as_it_is_asked_to() {
        let api = Api::new();
        api.action("slow", json!({"mode": "slow"})).await;
        let started = tokio::time::Instant::now();
        let accepted = api.post("/v1/actions/slow/execute").with("prefer", "wait=3").body("x").send().await;
        accepted.is(202);
        assert_eq!(accepted.json()["status"], "running");
        assert_eq!(accepted.header("preference-applied"), "wait=3");
        assert_eq!(started.elapsed().as_secs(), 3);
        let accepted = api.post("/v1/actions/slow/execute").with("prefer", "wait=1000").body("x").send().await;
        accepted.is(202);
        assert_eq!(started.elapsed().as_secs(), 33);
    }

    #[tokio::test]
    async fn a_failed_execution_is_a_successful_answer() {
        let api = Api::new();
        api.action("fail", json!({"mode": "fail"})).await;
        let failed = api.post("/v1/actions/fail/execute").body("x").send().await;
        failed.is(200);
        let execution = failed.json();
        assert_eq!(execution["status"], "failed");
        assert_eq!(execution["output"], Value::Null);
        assert_eq!(execution["error"]["code"], "protocol_failed");
        assert_eq!(execution["error"]["failure"]["kind"], "rejected");
    }

    #[tokio::test]
    async fn what_cannot_run_is_refused() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        api.post("/v1/actions/b/execute").send().await.is_problem(404, "action_not_found");
        api.post("/v1/actions/a/execute").bearer(tokens(Scope::Read)).send().await.is_problem(403, "scope_missing");
        let bad_id = api.post("/v1/actions/a/execute").with("x-correlation-id", &"x".repeat(129)).send().await;
        bad_id.is_problem(400, "invalid_correlation_id");
        let misfit = api.post("/v1/actions/a/execute").json(&json!("no object")).with("x-correlation-id", "c");
        let misfit = misfit.send().await;
        misfit.is_problem(422, "invalid_input");
        assert_eq!(misfit.header("x-correlation-id"), "c");
        api.request("PATCH", "/v1/actions/a").json(&json!({"enabled": false})).send().await.is(200);
        api.post("/v1/actions/a/execute").send().await.is_problem(409, "action_disabled");
    }

    #[tokio::test]
    async fn every_refused_trigger_is_in_the_log() {
        let api = Api::new();
        api.protocol_and_action("with-schema").await;
        api.upload("plain 0.1.0").await.is(201);
        let plain = json!({"name": "plain", "protocol": "plain", "config": {}});
        api.post("/v1/actions").json(&plain).send().await.is(201);
        for (action, input, content_type, status, code) in [
            ("with-schema", &b"{"[..], "application/json", 400, "malformed_json"),
            ("plain", b"{\"a\": 1", "application/json; charset=utf-8", 400, "malformed_json"),
            ("plain", b"\"\xff\"", "application/vnd.x+json", 400, "malformed_json"),
            ("plain", b"", "application/json", 400, "malformed_json"),
            ("with-schema", b"7", "application/json", 422, "invalid_input"),
        ] {
            let before = api.all_pages("/v1/events").await.len();
            let call = api.post(&format!("/v1/actions/{action}/execute")).content_type(content_type).body(input);
            let refused = call.with("x-correlation-id", "c").send().await;
            refused.is_problem(status, code);
            assert_eq!(refused.header("x-correlation-id"), "c");
            let events = api.all_pages("/v1/events").await;
            let [received, told] = &events[before..] else { panic!("{action} {input:?}: {events:?}") };
            assert_eq!((&received["type"], &told["type"]), (&json!("trigger_received"), &json!("trigger_refused")));
            assert_eq!(told["data"]["errors"][0]["code"], refused.json()["errors"][0]["code"], "{told}");
        }
        api.post("/v1/actions/plain/execute").content_type("application/json").body("[1]").send().await.is(200);
    }

    #[tokio::test]
    async fn the_same_key_is_the_same_execution() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        api.action("b", json!({})).await;
        let call = |action: &str, key: &str, body: &'static str| {
            api.post(&format!("/v1/actions/{action}/execute")).with("idempotency-key", key).body(body).send()
        };
        let first = call("a", "order-7", "x").await;
        first.is(200);
        for key in ["order-7", "\"order-7\""] {
            let again = call("a", key, "x").await;
            again.is(200);
            assert_eq!(again.json(), first.json());
        }
        let other = call("a", "order-7", "y").await;
        other.is_problem(422, "idempotency_key_reused");
        let id = first.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(other.header("location"), format!("/v1/executions/{id}"));
        assert!(other.json()["detail"].as_str().unwrap().contains(&id));
        for (action, key) in [("a", "order-8"), ("b", "order-7")] {
            let another = call(action, key, "x").await;
            another.is(200);
            assert_ne!(another.json()["id"], first.json()["id"]);
        }
        call("a", "", "x").await.is_problem(400, "invalid_idempotency_key");
        assert_eq!(api.all_pages("/v1/events?type=trigger_received").await.len(), 3);
    }

    #[tokio::test]
    async fn a_repeated_call_waits_like_the_first() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let call = || api.post("/v1/actions/a/execute").with("idempotency-key", "k").body("x");
        let first = call().with("prefer", "respond-async").send().await;
        first.is(202);
        let again = call().with("prefer", "respond-async").send().await;
        again.is(202);
        assert_eq!((again.header("location"), again.json()), (first.header("location"), first.json()));
        let waits = call();
        let waits = tokio::spawn(async move { waits.send().await });
        api.start().await;
        let waited = waits.await.unwrap();
        waited.is(200);
        assert_eq!((&waited.json()["id"], &waited.json()["status"]), (&first.json()["id"], &json!("succeeded")));
    }

    #[tokio::test]
    async fn an_input_is_bounded() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let declared = api.post("/v1/actions/a/execute").with("content-length", "16777217").stream(never);
        declared.send().await.is_problem(413, "body_too_large");
        let chunk = Bytes::from(vec![0; 1 << 20]);
        let chunks = (0..=INPUT_BYTES_MAX >> 20).map(move |_| Ok::<_, Infallible>(chunk.clone()));
        let streamed = api.post("/v1/actions/a/execute").stream(Body::from_stream(stream::iter(chunks)));
        streamed.send().await.is_problem(413, "body_too_large");
    }
}
