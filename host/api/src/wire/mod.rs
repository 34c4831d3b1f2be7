//! What stands in bodies: the forms that others see, and their ways from and to the domain's.
//!
//! A form that the event log keeps too (an execution's error, a receipt, a connection test) is
//! written by the domain's own `Serialize`, so that it looks the same in both; [`shared`]
//! describes those for the document, and a test compares.

pub(crate) mod action;
pub(crate) mod config;
pub(crate) mod consumer;
pub(crate) mod draft;
pub(crate) mod egress;
pub(crate) mod event;
pub(crate) mod execution;
pub(crate) mod form;
pub(crate) mod item;
pub(crate) mod page;
pub(crate) mod plan;
pub(crate) mod protocol;
pub(crate) mod rules;
pub(crate) mod saved_action;
pub(crate) mod schedule;
pub(crate) mod seal;
pub(crate) mod secret;
pub(crate) mod shared;
pub(crate) mod token;
pub(crate) mod transform;
pub(crate) mod trigger;
pub(crate) mod upgrade;

use crate::error::{Answer, Problem};
use action_domain::payload::Payload;
use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    // Most answers fit into this; it saves growing step by step.
    let mut bytes = Vec::with_capacity(1024);
    serde_json::to_writer(&mut bytes, body).map_err(|error| {
        tracing::error!(%error, "api.answer.serialize");
        Problem::internal()
    })?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// An answer 200 with a JSON body.
pub(crate) fn ok(body: &impl Serialize) -> Answer {
    json(StatusCode::OK, body)
}

/// Bytes from outside, under their own media type. Browsers save them and do not show them.
pub(crate) fn bytes(payload: Payload) -> Response {
    let mut response = Response::new(Body::from(payload.data));
    // A protocol may name anything as its media type; what no header can hold is just bytes.
    let content_type = HeaderValue::from_str(&payload.content_type)
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    response
}

/// Where a thing is; ids, names and versions are always legal in a header.
pub(crate) fn location(path: &str) -> HeaderValue {
    HeaderValue::from_str(path).unwrap_or_else(|_| HeaderValue::from_static("/"))
}
