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
            outcome(&state, dispatched, component_verifies).await
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
}
