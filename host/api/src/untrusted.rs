//! What reads bytes of strangers, as the targets in `fuzz/` call it: without a listener before it.
//!
//! Nothing else uses this, and it is no part of the crate's face.

use crate::{
    guard,
    private::position,
    public::hooks,
    request::{headers, if_match, json, prefer::Prefer},
    wire::page::{Cursor, SecretName},
};
use action_domain::{
    event::Position,
    id::{ExecutionId, TokenId},
    name::Name,
    protocol::Pin,
    services::{WebhookReply, WebhookRequest},
};
use http::{HeaderMap, HeaderValue, StatusCode, request::Parts};
use std::{sync::Arc, time::Duration};

/// A JSON document as every handler reads it, or nothing where it is refused.
pub fn document(bytes: &[u8]) -> Option<serde_json::Value> {
    json::parse(bytes).ok()
}

/// What the headers of a request were read as; `Err` where one is refused.
#[derive(Debug)]
pub struct Read {
    /// `X-Correlation-Id`.
    pub correlation_id: Result<Option<Arc<str>>, ()>,
    /// `Idempotency-Key`.
    pub idempotency_key: Result<Option<Arc<str>>, ()>,
    /// `Content-Type`.
    pub content_type: Result<Arc<str>, ()>,
    /// `If-Match`: no condition, any revision (an empty list), or one of these.
    pub if_match: Result<Option<Vec<u32>>, ()>,
    /// `traceparent`.
    pub traceparent: Option<Arc<str>>,
    /// `Prefer`: how long to wait.
    pub wait: Option<Duration>,
    /// `Preference-Applied`, of an answer that has ended and of one that has not.
    pub applied: [Option<HeaderValue>; 2],
    /// `Authorization`: the bearer.
    pub bearer: Result<Option<String>, ()>,
    /// `Accept`: whether a stream is wanted.
    pub wants_stream: bool,
}

/// Reads all headers that the service looks at.
pub fn headers(headers: &HeaderMap) -> Read {
    let prefer = Prefer::of(headers);
    let condition = if_match::if_match(headers).map_err(drop);
    Read {
        correlation_id: headers::correlation_id(headers).map_err(drop),
        idempotency_key: headers::idempotency_key(headers).map_err(drop),
        content_type: headers::content_type(headers).map_err(drop),
        if_match: condition.map(|condition| {
            condition.map(|condition| match condition {
                if_match::Condition::Any => Vec::new(),
                if_match::Condition::OneOf(revisions) => revisions,
            })
        }),
        traceparent: headers::traceparent(headers),
        wait: prefer.wait(),
        applied: [prefer.applied(true), prefer.applied(false)],
        bearer: guard::bearer(headers).map(|bearer| bearer.map(str::to_owned)).map_err(drop),
        wants_stream: headers::accepts(headers, "text/event-stream"),
    }
}

/// `after` of each list that takes it for one of its cursors: the list's kind, and its place
/// written again.
pub fn cursors(text: &str) -> Vec<(&'static str, String)> {
    fn of<K: Cursor>(text: &str) -> Option<(&'static str, String)> {
        K::decode(text).map(|key| (K::KIND, key.encode()))
    }
    let lists = [of::<Name>, of::<Pin>, of::<ExecutionId>, of::<TokenId>, of::<SecretName>];
    lists.into_iter().filter_map(|list| list(text)).collect()
}

/// A position as `after` and `Last-Event-ID` give it.
pub fn event_position(text: &str) -> Option<Position> {
    position(text).ok()
}

/// The head of a delivery to a webhook, or nothing where it is refused.
pub fn webhook_head(parts: &Parts) -> Option<WebhookRequest> {
    hooks::head(parts).ok()
}

/// What the sender of a delivery is answered where a component says it: status and headers.
pub fn webhook_reply(reply: WebhookReply) -> (StatusCode, HeaderMap) {
    let (parts, _) = hooks::replied(reply).into_parts();
    (parts.status, parts.headers)
}
