//! `ANY /hooks/{path}`: what the outside world sends to actions. It has no token; each webhook says how a
//! delivery proves who sent it.
//!
//! It stands in no OpenAPI document, because what it takes and answers is each action's own.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{
        body,
        headers::{content_type, correlation_id, traceparent},
    },
    wire,
};
use action_domain::{
    execution::Status,
    failure::FailureKind,
    limits::INPUT_BYTES_MAX,
    payload::{Payload, is_json},
    services::{WebhookReply, WebhookRequest},
    webhook::{Respond, request},
};
use action_engine::{Delivery, Dispatched, EngineError, MALFORMED_JSON, Received};
use axum::{
    body::Body,
    extract::{Path, Request, State},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use serde_json::json;

/// What a reply may not say: it is about the connection, about this service, or would give a component
/// a voice in browsers beyond its own answer.
const NOT_THE_COMPONENTS: [&str; 17] = [
    "connection",
    "content-length",
    "content-security-policy",
    "date",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "referrer-policy",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-content-type-options",
    "x-frame-options",
];

/// Takes a delivery.
pub(super) async fn receive(State(state): State<ApiState>, Path(path): Path<String>, request: Request) -> Answer {
    let hook = match state.engine().hook(&path).await {
        Err(EngineError::NotFound(what)) => {
            tracing::debug!("api.webhook.unknown_path");
            return Err(Problem::not_found(what));
        }
        hook => hook?,
    };
    let (parts, body) = request.into_parts();
    let head = head(&parts)?;
    let correlation_id = correlation_id(&parts.headers)?;
    let declared = content_type(&parts.headers)?;
    let taken = body::take(&state, &parts.headers, body, INPUT_BYTES_MAX).await?;
    // A GET may name a type and have no body: that is nothing, and not JSON that is broken.
    let nothing = taken.bytes.is_empty() && is_json(&declared);
    let content_type = if nothing { "application/octet-stream".into() } else { declared };
    let delivery = Delivery {
        request: head,
        input: Payload { content_type, data: taken.bytes },
        correlation_id,
        traceparent: traceparent(&parts.headers),
    };
    match state.engine().receive(hook, delivery).await.map_err(problem)? {
        Received::Filtered => wire::json(StatusCode::ACCEPTED, &json!({"ignored": true})),
        Received::Refused { code, message } => Err(Problem::new(StatusCode::UNAUTHORIZED, code, message)),
        Received::Dispatched { dispatched, respond: Respond::Accepted, .. } => accepted(&dispatched),
        Received::Dispatched { dispatched, component_verifies, .. } => {
            outcome(&state, *dispatched, component_verifies).await
        }
    }
}

fn head(parts: &Parts) -> Answer<WebhookRequest> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), std::str::from_utf8(value.as_bytes()).ok()?.to_owned()))
    };
    let head = WebhookRequest {
        method: parts.method.to_string(),
        path_with_query: parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned(),
        headers: parts.headers.iter().filter_map(text).collect(),
    };
    request::check(&head).map_err(|error| match error {
        request::TooLarge::Path => Problem::new(StatusCode::URI_TOO_LONG, "path_too_long", error.to_string()),
        request::TooLarge::Headers => {
            Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", error.to_string())
        }
    })?;
    Ok(head)
}

fn problem(error: EngineError) -> Problem {
    match error {
        EngineError::InvalidInput(issues) if issues.iter().any(|issue| issue.code == MALFORMED_JSON) => {
            Problem::bad_request(MALFORMED_JSON, "the body is said to be JSON and is not").errors(issues)
        }
        EngineError::KeyReused { .. } => {
            let detail = "a delivery with this id came before, with another body";
            Problem::new(StatusCode::CONFLICT, "delivery_differs", detail)
        }
        error => error.into(),
    }
}

fn accepted(dispatched: &Dispatched) -> Answer {
    wire::json(StatusCode::ACCEPTED, &json!({"execution": dispatched.view.execution.id}))
}

/// What the protocol answers, and where it says nothing, its output.
async fn outcome(state: &ApiState, dispatched: Dispatched, component_verifies: bool) -> Answer {
    if !dispatched.ended {
        return accepted(&dispatched);
    }
    let view = dispatched.view;
    if view.execution.status != Status::Succeeded {
        let failure = view.execution.error.as_ref().and_then(|error| error.failure.as_ref());
        let unknown = failure.is_some_and(|failure| failure.kind == FailureKind::Unauthenticated);
        // What went wrong inside is nobody's business outside; the log has it.
        return Err(if component_verifies && unknown {
            Problem::new(StatusCode::UNAUTHORIZED, "webhook_unverified", "the delivery does not prove who sent it")
        } else {
            Problem::new(StatusCode::BAD_GATEWAY, "execution_failed", "the action did not succeed")
        });
    }
    if let Some(reply) = view.reply {
        return Ok(replied(reply));
    }
    let output = state.engine().output(view.execution.id).await?;
    let mut response = Response::new(Body::empty());
    if let Some(Payload { content_type, data }) = output {
        if let Ok(content_type) = HeaderValue::from_str(&content_type) {
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        }
        *response.body_mut() = Body::from(data);
    }
    Ok(in_a_box(response))
}

fn replied(reply: WebhookReply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            && may_say(&name)
        {
            headers.append(name, value);
        }
    }
    in_a_box(response)
}

fn may_say(name: &HeaderName) -> bool {
    !NOT_THE_COMPONENTS.contains(&name.as_str()) && !name.as_str().starts_with("access-control-")
}

/// Whatever a component says, no browser runs it as a page of this service.
fn in_a_box(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Api;
    use action_testkit::FakeClock;
    use serde_json::Value;
    use std::sync::Arc;

    #[test]
    fn a_reply_is_an_answer_and_no_more() {
        let headers = [
            ("Content-Type", "text/plain"),
            ("Set-Cookie", "a=b"),
            ("Access-Control-Allow-Origin", "*"),
            ("Transfer-Encoding", "chunked"),
            ("Link", "<a>"),
            ("Link", "<b>"),
            ("bad name", "x"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let response = replied(WebhookReply { status: 418, headers, body: "x".into() });
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        let said: Vec<_> =
            response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            said,
            [
                ("content-type", "text/plain"),
                ("link", "<a>"),
                ("link", "<b>"),
                ("content-security-policy", "sandbox; default-src 'none'")
            ]
        );
    }

    /// The example of GitHub's documentation.
    const SECRET: &str = "It's a Secret to Everybody";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    async fn with_hook(trigger: Value) -> Api {
        set_up(Api::new(), trigger).await
    }

    async fn set_up(api: Api, trigger: Value) -> Api {
        api.request("PUT", "/v1/secrets/hook").json(&json!({"value": SECRET})).send().await;
        api.upload("echo 0.1.0").await.is(201);
        let action = json!({"name": "a", "protocol": "echo", "config": {}, "triggers": [trigger]});
        api.post("/v1/actions").json(&action).send().await.is(201);
        api
    }

    async fn types(api: &Api) -> Vec<String> {
        let events = api.all_pages("/v1/events").await;
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_delivery_proves_who_sent_it_and_counts_once() {
        let verify = json!({"scheme": "github", "secret": "hook"});
        let api = with_hook(json!({"type": "webhook", "path": "git/push", "verify": verify})).await;
        let public = api.public();
        let send = |signature: &str, id: &str, body: &'static str| {
            let call = public.post("/hooks/git/push?x=1&key=k").bearer("").content_type("text/plain").body(body);
            call.with("x-hub-signature-256", signature).with("x-github-delivery", id).send()
        };
        let first = send(SIGNATURE, "1", "Hello, World!").await;
        first.is(202);
        let replayed = send(SIGNATURE, "1", "Hello, World!").await;
        replayed.is(202);
        assert_eq!(replayed.json(), first.json());
        assert_ne!(send(SIGNATURE, "2", "Hello, World!").await.json(), first.json());
        let before = types(&api).await.len();
        send(SIGNATURE, "3", "Hello, world!").await.is_problem(401, "webhook_unverified");
        send("sha256=75", "3", "Hello, World!").await.is_problem(401, "webhook_unverified");
        assert_eq!(
            types(&api).await[before..],
            ["trigger_received", "trigger_refused", "trigger_received", "trigger_refused"]
        );
        public.post("/hooks/other").bearer("").body("x").send().await.is_problem(404, "webhook_not_found");
        assert_eq!(types(&api).await.len(), before + 4, "a path that nobody has leaves no trace");
        let log = json!(api.all_pages("/v1/events").await).to_string();
        assert!(!log.contains("757107ea") && !log.contains("key=k") && log.contains("/hooks/git/push?x=1"), "{log}");
    }

    #[tokio::test]
    async fn a_key_is_used_as_often_as_it_may_be_and_no_more() {
        let verify = json!({"scheme": "key", "secret": "hook", "max_uses": 5});
        let api = with_hook(json!({"type": "webhook", "path": "k", "verify": verify})).await;
        let public = api.public();
        let sends = (0..50).map(|_| public.post("/hooks/k").bearer("").with("x-webhook-key", SECRET).body("x").send());
        let answers = futures_util::future::join_all(sends).await;
        let accepted = answers.iter().filter(|answer| answer.status == 202).count();
        assert_eq!(accepted, 5);
        for refused in answers.iter().filter(|answer| answer.status != 202) {
            refused.is_problem(401, "webhook_used_up");
        }
        let query = public.post("/hooks/k?key=wrong").bearer("").body("x").send().await;
        query.is_problem(401, "webhook_unverified");
    }

    #[tokio::test]
    async fn strangers_do_not_fill_the_log_and_outcomes_are_answered() {
        let verify = json!({"scheme": "key", "secret": "hook"});
        let hook = json!({"type": "webhook", "path": "k", "verify": verify, "respond": "outcome"});
        // Time stands still: a minute is not over by itself.
        let api = set_up(Api::with(Arc::new(FakeClock::default()), None, true), hook).await;
        let public = api.public();
        let large = vec![b'x'; 5000];
        for _ in 0..70 {
            public.post("/hooks/k").bearer("").body(large.clone()).send().await.is_problem(401, "webhook_unverified");
        }
        let events = api.all_pages("/v1/events").await;
        let received: Vec<_> = events.iter().filter(|event| event["type"] == "trigger_received").collect();
        assert_eq!(received.len(), 60);
        assert!(received.iter().all(|event| event["data"]["input"]["bytes"] == 0));
        let answered = public.post("/hooks/k").bearer("").with("x-webhook-key", SECRET);
        let answered = answered.content_type("text/plain").body("hello").send().await;
        answered.is(200);
        assert_eq!((&answered.bytes[..], answered.header("content-type")), (&b"hello"[..], "text/plain"));
        api.request("PATCH", "/v1/actions/a").json(&json!({"enabled": false})).send().await.is(200);
        let disabled = public.post("/hooks/k").bearer("").with("x-webhook-key", SECRET).body("x").send().await;
        disabled.is_problem(409, "action_disabled");
    }
}
