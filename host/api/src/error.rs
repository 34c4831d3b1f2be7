//! The one form of an error: a problem document (RFC 9457).

use crate::wire::upgrade::VersionsBody;
use action_domain::{failure::Issue, limits::ISSUES_MAX, repositories::StoreUnavailable};
use action_engine::{EngineError, RefusedMove};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use std::{any::Any, borrow::Cow, time::Duration};
use utoipa::ToSchema;

/// The media type of every error.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was not done.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    errors: Vec<Issue>,
    refused_move: Option<Box<RefusedMove>>,
    /// Boxed: it is rare, and every answer carries the space.
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

/// A handler's answer.
pub(crate) type Answer<T = Response> = Result<T, Problem>;

/// An error (RFC 9457). Branch on `code`; the texts are for people and may change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Always `about:blank`: `code` says what it is.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: &'a str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What happened, for people.
    detail: &'a str,
    /// Stable word.
    #[schema(example = "action_not_found")]
    code: &'a str,
    /// Each thing that is wrong with the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<Vec<IssueBody<'a>>>,
    /// How the versions differ, where the document would have moved an action to another version of its protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    upgrade: Option<VersionsBody<'a>>,
}

/// One thing that is wrong with a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Issue)]
pub(crate) struct IssueBody<'a> {
    /// JSON Pointer (RFC 6901) to the place; empty for the whole of it.
    #[schema(example = "/config/url")]
    pointer: &'a str,
    /// Stable word.
    code: &'a str,
    /// For people.
    message: &'a str,
    /// In a text at `pointer`, an expression for instance: the line, 1 for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    line: Option<u32>,
    /// The character in that line, 1 for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    column: Option<u32>,
}

impl<'a> From<&'a Issue> for IssueBody<'a> {
    fn from(Issue { pointer, code, message, place }: &'a Issue) -> Self {
        let (line, column) = place.map(|place| (place.line, place.column)).unzip();
        Self { pointer, code, message, line, column }
    }
}

impl Problem {
    /// A problem with this status and stable code.
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code: code.into(), detail: detail.into(), errors: Vec::new(), refused_move: None, header: None }
    }

    /// 400.
    pub(crate) fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 404: there is no such thing.
    pub(crate) fn not_found(what: &str) -> Self {
        let code = format!("{}_not_found", what.replace(' ', "_"));
        Self::new(StatusCode::NOT_FOUND, code, format!("there is no such {what}"))
    }

    /// 413, with what would fit.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let detail = format!("the body may have at most {bytes_max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    /// 415, with what is taken.
    pub(crate) fn unsupported(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 503: come back later.
    pub(crate) fn busy(detail: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(retry_after)
    }

    /// 429: too many bearers from there were nobody's.
    pub(crate) fn too_many_failed_logins(retry_after: Duration) -> Self {
        let detail = "too many tokens that are not valid came from this address";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failed_logins", detail).retry_after(retry_after)
    }

    /// 429: too many deliveries from there did not prove who sent them.
    pub(crate) fn too_many_failed_deliveries(retry_after: Duration) -> Self {
        let detail = "too many deliveries that do not prove who sent them came from this address";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failed_deliveries", detail).retry_after(retry_after)
    }

    /// 422, with each thing that is wrong.
    pub(crate) fn invalid(code: &'static str, detail: &'static str, errors: Vec<Issue>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).errors(errors)
    }

    /// 422: a document with each thing that is wrong with it.
    pub(crate) fn invalid_document(errors: Vec<Issue>) -> Self {
        Self::invalid("invalid_document", "the document is not valid", errors)
    }

    /// 412.
    pub(crate) fn revision_mismatch(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "revision_mismatch", detail)
    }

    /// With each thing that is wrong; not more than anybody reads.
    pub(crate) fn errors(mut self, mut errors: Vec<Issue>) -> Self {
        errors.truncate(ISSUES_MAX);
        self.errors = errors;
        self
    }

    /// With a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    fn retry_after(self, duration: Duration) -> Self {
        // Rounded up: who comes back a little early is sent away again.
        let seconds = duration.as_millis().div_ceil(1000).max(1);
        self.header(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: &self.code,
            errors: (!self.errors.is_empty()).then(|| self.errors.iter().map(IssueBody::from).collect()),
            upgrade: self.refused_move.as_deref().map(VersionsBody::from),
        };
        // Strings and numbers always have a JSON form.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some((name, value)) = self.header.map(|header| *header) {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NotFound(what) => Self::not_found(what),
            EngineError::Invalid(errors) => Self::invalid_document(errors),
            EngineError::MoveRefused(mut refused) => {
                let detail = format!("the document is not valid under {}", refused.to);
                let errors = std::mem::take(&mut refused.issues);
                let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_document", detail).errors(errors);
                Self { refused_move: Some(refused), ..problem }
            }
            EngineError::ComponentRefused(errors) => {
                Self::invalid("component_refused", "the component is refused", errors)
            }
            EngineError::InvalidInput(errors) => {
                Self::invalid("invalid_input", "the input does not fit the protocol's schema", errors)
            }
            EngineError::TransformFailed(message) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "transform_failed", message)
            }
            EngineError::Conflict { code, message } => Self::new(StatusCode::CONFLICT, code, message),
            EngineError::RevisionMismatch { current } => {
                let problem = Self::revision_mismatch(format!("the current revision is {current}"));
                let tag = HeaderValue::from_str(&format!("\"{current}\""));
                tag.map_or_else(|_| problem.clone(), |tag| problem.clone().header(header::ETAG, tag))
            }
            EngineError::KeyReused { execution } => {
                let detail = format!("this idempotency key came before with another body, and led to {execution}");
                let first = crate::wire::location(&format!("/v1/executions/{execution}"));
                let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail);
                problem.header(header::LOCATION, first)
            }
            EngineError::Busy { retry_after } => Self::busy("too much is under way", retry_after),
            EngineError::ComponentBroken { code, message } => {
                let errors = vec![Issue::new("", code, message)];
                Self::invalid("component_broken", "the component ended badly where it must not", errors)
            }
            EngineError::Unavailable(message) => {
                tracing::warn!(%message, "api.store.unavailable");
                let detail = "the store cannot be used now";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(Duration::from_secs(1))
            }
            EngineError::Internal(message) => {
                tracing::error!(%message, "api.request.failed");
                Self::internal()
            }
        }
    }
}

impl From<StoreUnavailable> for Problem {
    fn from(error: StoreUnavailable) -> Self {
        EngineError::from(error).into()
    }
}

impl Problem {
    /// 500. What it was is in the log: it may name what callers should not see.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a defect of the service; its log says more")
    }
}

/// What a caller gets when a handler panicked.
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(message, "api.request.panicked");
    Problem::internal().into_response()
}

/// 404 for a path that no route has.
pub(crate) async fn no_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "there is nothing at this path; /openapi.json lists what is")
}

/// 405; the router adds `Allow`.
pub(crate) async fn no_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "the path takes other methods: see Allow")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_error_has_its_status_and_code() {
        let issue = || vec![Issue::new("/a", "b", "c")];
        let first = "exe_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        let cases: [(EngineError, u16, &str); 11] = [
            (EngineError::NotFound("action"), 404, "action_not_found"),
            (EngineError::Invalid(issue()), 422, "invalid_document"),
            (EngineError::ComponentRefused(issue()), 422, "component_refused"),
            (EngineError::InvalidInput(issue()), 422, "invalid_input"),
            (EngineError::Conflict { code: "in_use", message: "x".into() }, 409, "in_use"),
            (EngineError::RevisionMismatch { current: 3 }, 412, "revision_mismatch"),
            (EngineError::KeyReused { execution: first }, 422, "idempotency_key_reused"),
            (EngineError::Busy { retry_after: Duration::from_millis(1500) }, 503, "busy"),
            (EngineError::ComponentBroken { code: "trapped", message: "x".into() }, 422, "component_broken"),
            (EngineError::Unavailable("secret".into()), 503, "unavailable"),
            (EngineError::Internal("secret".into()), 500, "internal"),
        ];
        for (error, status, code) in cases {
            let problem = Problem::from(error);
            assert_eq!((problem.status.as_u16(), &*problem.code), (status, code));
            assert!(!problem.detail.contains("secret"));
            let response = problem.into_response();
            assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
            match code {
                "idempotency_key_reused" => {
                    let first = "/v1/executions/exe_01h455vb4pex5vsknk084sn02q";
                    assert_eq!(response.headers()[header::LOCATION], first);
                }
                "busy" => assert_eq!(response.headers()[header::RETRY_AFTER], "2"),
                "unavailable" => assert_eq!(response.headers()[header::RETRY_AFTER], "1"),
                "revision_mismatch" => assert_eq!(response.headers()[header::ETAG], "\"3\""),
                _ => {}
            }
        }
    }
}
