//! Makes the output of the answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use action_protocol::http::Followed;
use action_protocol::{Failure, HttpResponse, Payload};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::config::{Config, Output};

/// The output as `envelope`. Borrowed where it can be: a body is not copied to be embedded.
#[derive(Serialize)]
struct Envelope<'a> {
    status: u16,
    headers: BTreeMap<String, HeaderValue<'a>>,
    body: Body<'a>,
    body_encoding: Encoding,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

/// Several headers of one name are one, joined by commas (RFC 9110, 5.3); only Set-Cookie
/// cannot be joined.
#[derive(Serialize)]
#[serde(untagged)]
enum HeaderValue<'a> {
    Joined(Cow<'a, str>),
    List(Vec<Cow<'a, str>>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    None(()),
    Json(&'a RawValue),
    Text(Cow<'a, str>),
}

/// How the body stands in the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    None,
    Json,
    Text,
    Base64,
}

/// The output of an execution.
pub fn of(followed: Followed, config: &Config) -> Result<Payload, Failure> {
    let Followed { response, url, hops } = followed;
    if config.output == Output::Body {
        return Ok(response.into_payload());
    }
    let (body, body_encoding) = body(&response);
    Payload::json(&Envelope {
        status: response.status,
        headers: headers(&response),
        body,
        body_encoding,
        url: (hops > 0).then_some(url.as_str()),
    })
}

/// The schema of the output.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "anyOf": [
            envelope_schema(),
            poll_schema(),
            { "description": "With output \"body\": the answer's body, whatever that is." },
        ],
    })
}

/// The schema of what is said with poll.
pub fn poll_schema() -> Value {
    json!({
        "description": "With poll.",
        "type": "object",
        "required": ["result", "status", "items"],
        "properties": {
            "result": {
                "description": "Whether something was captured; or the remote said that nothing is new; or gave again what it gave.",
                "enum": ["captured", "not_modified", "unchanged"],
            },
            "status": { "type": "integer" },
            "items": { "description": "How many were given to be captured.", "type": "integer" },
        },
    })
}

/// The schema of the envelope.
pub fn envelope_schema() -> Value {
    json!({
        "description": "With output \"envelope\".",
        "type": "object",
        "required": ["status", "headers", "body", "body_encoding"],
        "properties": {
            "status": { "type": "integer" },
            "headers": {
                "description": "By names in lower case. Those of one name are joined by commas.",
                "type": "object",
                "properties": { "set-cookie": { "type": "array", "items": { "type": "string" } } },
                "additionalProperties": { "type": "string" },
            },
            "body": {
                "description": "JSON as it is, text as a string, other bytes in base64, null where there are none.",
            },
            "body_encoding": { "enum": ["none", "json", "text", "base64"] },
            "url": { "description": "Who answered, where redirects led there.", "type": "string" },
        },
    })
}

fn headers(response: &HttpResponse) -> BTreeMap<String, HeaderValue<'_>> {
    let mut headers = BTreeMap::new();
    for header in &response.headers {
        let name = header.name.to_ascii_lowercase();
        let value = String::from_utf8_lossy(&header.value);
        let is_cookie = name == "set-cookie";
        match headers.get_mut(&name) {
            None => {
                let first = if is_cookie { HeaderValue::List(vec![value]) } else { HeaderValue::Joined(value) };
                headers.insert(name, first);
            }
            Some(HeaderValue::List(values)) => values.push(value),
            Some(HeaderValue::Joined(joined)) => {
                let joined = joined.to_mut();
                joined.push_str(", ");
                joined.push_str(&value);
            }
        }
    }
    headers
}

/// JSON that says that it is JSON and is; text; else base64.
fn body(response: &HttpResponse) -> (Body<'_>, Encoding) {
    if response.body.is_empty() {
        return (Body::None(()), Encoding::None);
    }
    let base64 = || (Body::Text(STANDARD.encode(&response.body).into()), Encoding::Base64);
    let utf8 = std::str::from_utf8(&response.body).ok();
    if let (true, Some(text)) = (response.is_json(), utf8)
        && let Ok(json) = serde_json::from_str(text)
    {
        return (Body::Json(json), Encoding::Json);
    }
    let content_type = response.content_type().unwrap_or_default().to_ascii_lowercase();
    match utf8 {
        Some(text) if is_text(response, &content_type) => (Body::Text(text.into()), Encoding::Text),
        None if content_type.contains("iso-8859-1") => {
            // In this encoding each byte is the character of its number.
            let text: String = response.body.iter().copied().map(char::from).collect();
            (Body::Text(text.into()), Encoding::Text)
        }
        _ => base64(),
    }
}

/// Whether a content type is that of text. One that is missing is taken for text, if the
/// bytes are.
fn is_text(response: &HttpResponse, content_type: &str) -> bool {
    let media_type = response.media_type().unwrap_or_default().to_ascii_lowercase();
    media_type.is_empty()
        || media_type.starts_with("text/")
        || content_type.contains("charset=")
        || response.is_json()
        || media_type.ends_with("+xml")
        || matches!(
            media_type.as_str(),
            "application/xml"
                | "application/javascript"
                | "application/x-www-form-urlencoded"
                | "application/x-ndjson"
                | "application/jsonl"
                | "application/yaml"
                | "application/toml"
                | "application/sql"
                | "application/graphql"
        )
}
