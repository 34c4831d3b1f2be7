//! What the config is put together from.

use std::collections::BTreeMap;

use action_protocol::secrets::Secret;
use action_protocol::template::Values;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::status::StatusPattern;

pub(super) fn map_of_values(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {
            "type": ["string", "number", "boolean", "array"],
            "items": { "type": ["string", "number", "boolean"] },
        },
    })
}

/// The same where each value may be a secret: the service puts it in when the request leaves.
pub(super) fn map_of_secret_values(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {
            "type": ["string", "number", "boolean", "array"],
            "items": { "type": ["string", "number", "boolean"], "writeOnly": true },
            "writeOnly": true,
        },
    })
}

pub(super) fn further_urls(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string", "minLength": 1, "x-egress": "http" } })
}

/// What is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// No body.
    None,
    /// The input as it is, with its content type.
    Input,
    /// A JSON value. Strings in it may hold templates; a string that is one template and
    /// nothing else is replaced by the value itself, whatever its type.
    Json(Value),
    /// An HTML form (application/x-www-form-urlencoded). Values may hold templates.
    Form(#[schemars(schema_with = "map_of_values")] BTreeMap<String, Values>),
    /// Text, which may hold templates.
    Text(String),
    /// Bytes in base64. It may hold templates, for instance one that gives all of it.
    Base64(String),
}

/// Credentials in the header Authorization.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// User name and password (RFC 7617).
    Basic(Basic),
    /// A token (RFC 6750).
    Bearer(Bearer),
}

/// User name and password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user name. It cannot hold a colon.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bearer {
    /// The token, without "Bearer".
    pub token: Secret,
}

/// What some statuses mean.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The statuses, as in expect.
    #[schemars(length(min = 1))]
    pub status: Vec<StatusPattern>,
    /// What kind of failure they are.
    pub kind: Kind,
    /// What to do then. Where it is left out, the kind says: retry for rate_limited and
    /// unavailable, else give_up. With retry, the answer's Retry-After is kept to.
    pub advice: Option<AdviceWord>,
    /// With retry: not before this many milliseconds, where the answer does not say.
    #[schemars(range(min = 0))]
    pub retry_after_ms: Option<u32>,
}

/// Kinds of failures that a status can mean.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract explains the kinds; a list of bare words is easier in forms")]
pub enum Kind {
    InvalidConfig,
    InvalidInput,
    Unauthenticated,
    Rejected,
    RateLimited,
    Unavailable,
    BadResponse,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract explains the words; a list of bare words is easier in forms")]
pub enum AdviceWord {
    GiveUp,
    Retry,
    InDoubt,
}

/// Whether the idempotency key is sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "explained where it is used; a list of bare words is easier in forms")]
pub enum Idempotency {
    #[default]
    Send,
    Keyed,
    Off,
}

/// What the output is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "explained where it is used; a list of bare words is easier in forms")]
pub enum Output {
    #[default]
    Envelope,
    Body,
}

/// What is captured of an answer that is new.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// The kind of the items.
    #[serde(default = "kind")]
    #[schemars(regex(pattern = r"^[a-z0-9_]{1,63}$"))]
    pub kind: String,
    /// Where in an answer in JSON the list is whose entries are captured, as a JSON Pointer: "/orders", or "" for an
    /// answer that is a list itself. Where it is left out, the answer is one item, made as output says.
    #[schemars(regex(pattern = "^(/.*)?$"))]
    pub items: Option<String>,
    /// With items: where in an entry its key is, a text or a number, as a JSON Pointer: "/id". An entry with a key that
    /// was captured before is not captured again. Where it is left out, an entry is known by its text.
    #[schemars(regex(pattern = "^(/.*)?$"))]
    pub key: Option<String>,
}

fn kind() -> String {
    "answer".to_owned()
}

/// What the connection test sends.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// A method that changes nothing.
    #[serde(default)]
    pub method: TestMethod,
    /// A path at the URL's host, with its query. Where it is left out: the URL's own path, or /
    /// if that holds templates.
    #[schemars(regex(pattern = "^/"))]
    pub path: Option<String>,
}

/// A method that changes nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "HTTP explains them")]
pub enum TestMethod {
    #[default]
    Head,
    Get,
    Options,
}

impl TestMethod {
    /// As it is sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "HEAD",
            Self::Get => "GET",
            Self::Options => "OPTIONS",
        }
    }
}
