//! The config as types. Its JSON Schema is derived from them and their doc comments, so what
//! people read is here.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::status::StatusPattern;

/// As many as browsers and curl follow would hide a loop; APIs need one or two.
const REDIRECTS_DEFAULT: u32 = 5;

/// As many as browsers follow.
pub const REDIRECTS_MAX: u32 = 20;

/// The longest that an attempt may take, 15 minutes.
pub const TIMEOUT_MS_MAX: u32 = 900_000;

/// What an action sends, and what it takes for an answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the request goes: http or https. It may hold templates behind scheme, host and
    /// port; what they give is percent-encoded. The execution may reach this host and port.
    #[schemars(length(min = 1), extend("x-egress" = "http"))]
    pub url: String,

    /// The method: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, or any other token.
    #[serde(default = "get")]
    #[schemars(regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"))]
    pub method: String,

    /// Headers by name. A value may hold templates, may be a secret, and may be a list for a
    /// header that is sent several times.
    #[serde(default)]
    #[schemars(schema_with = "map_of_values")]
    pub headers: BTreeMap<String, Values>,

    /// Parameters that are added to the URL's query, percent-encoded. A value may hold
    /// templates and may be a secret; a list gives the parameter several times.
    #[serde(default)]
    #[schemars(schema_with = "map_of_values")]
    pub query: BTreeMap<String, Values>,

    /// The body. Where it is left out, POST, PUT and PATCH send the input as it is with its
    /// content type, and other methods send none.
    pub body: Option<Body>,

    /// Who asks. Passwords and tokens are secrets, given as {"$secret": "name"}.
    pub auth: Option<Auth>,

    /// Statuses that are a success: a code (201), a class ("2xx") or a range ("200-299").
    #[serde(default = "success")]
    #[schemars(length(min = 1))]
    pub expect: Vec<StatusPattern>,

    /// What other statuses mean. The first rule that fits holds; where none does, the
    /// defaults of the documentation hold.
    #[serde(default)]
    pub failures: Vec<Rule>,

    /// How long one request may take, within the limit of the action.
    #[schemars(range(min = 1, max = TIMEOUT_MS_MAX))]
    pub timeout_ms: Option<u32>,

    /// Whether the execution's idempotency key is sent. "send": with all methods but GET and
    /// HEAD. "keyed": with all methods, and the remote is known to drop repeats with the same
    /// key, so that an unanswered POST may be repeated. "off": never.
    #[serde(default)]
    pub idempotency: Idempotency,

    /// The header that the idempotency key goes into.
    #[serde(default = "idempotency_key")]
    #[schemars(length(min = 1))]
    pub idempotency_header: String,

    /// What a repeat can do at the remote, where the method does not tell: a POST that only
    /// searches is "read", a GET that sets something off is "unsafe".
    pub effect: Option<EffectWord>,

    /// Whether the trace context of the attempt (W3C traceparent) goes to the remote.
    #[serde(default = "yes")]
    pub traceparent: bool,

    /// How many redirects are followed. Where it is left out: 5 for GET, HEAD and OPTIONS, and
    /// none for other methods.
    #[schemars(range(min = 0, max = REDIRECTS_MAX))]
    pub max_redirects: Option<u32>,

    /// URLs of further hosts that redirects may lead to. Scheme, host and port of each count.
    /// Headers other than Authorization and Cookie go there too.
    #[serde(default)]
    #[schemars(schema_with = "further_urls")]
    pub redirect_urls: Vec<String>,

    /// For a private certificate authority, or a client certificate.
    pub tls: Option<Tls>,

    /// What the output is. "envelope": a JSON object with status, headers and body. "body":
    /// the bytes of the answer with their content type.
    #[serde(default)]
    pub output: Output,

    /// What the connection test sends.
    #[serde(default)]
    pub test: Test,
}

/// A value that is given once or several times.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a string, a number, a boolean, or a list of them")]
pub enum Values {
    /// Once.
    One(Scalar),
    /// As often as there are elements; not at all where there are none.
    Many(Vec<Scalar>),
}

impl Values {
    /// All of them.
    pub fn all(&self) -> &[Scalar] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// A value that is text in the end.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a string, a number or a boolean")]
pub enum Scalar {
    /// Text, which may hold templates.
    Text(String),
    /// A number, for convenience.
    Number(Number),
    /// A boolean, for convenience.
    Flag(bool),
}

fn map_of_values(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {
            "type": ["string", "number", "boolean", "array"],
            "items": { "type": ["string", "number", "boolean"] },
        },
    })
}

fn further_urls(_: &mut schemars::SchemaGenerator) -> Schema {
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
    #[schemars(extend("writeOnly" = true))]
    pub password: String,
}

/// A token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bearer {
    /// The token, without "Bearer".
    #[schemars(extend("writeOnly" = true))]
    pub token: String,
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

/// What a repeat can do.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract explains the words; a list of bare words is easier in forms")]
pub enum EffectWord {
    Read,
    Idempotent,
    Unsafe,
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

/// How TLS differs from the usual.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificates (PEM) of authorities to trust beside the well-known ones.
    pub extra_roots: Option<String>,
    /// The name that the remote's certificate bears, where it is not the URL's host.
    pub server_name: Option<String>,
    /// A certificate that says who asks.
    pub client_certificate: Option<ClientCertificate>,
}

/// A certificate and its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The certificate and those above it (PEM), leaf first.
    pub chain: String,
    /// The private key (PEM).
    #[schemars(extend("writeOnly" = true))]
    pub key: String,
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

impl Config {
    /// Whether the method only reads, by its definition.
    pub fn method_reads(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }

    /// How many redirects are followed.
    pub fn redirects_max(&self) -> u32 {
        let default = if self.method_reads() { REDIRECTS_DEFAULT } else { 0 };
        self.max_redirects.unwrap_or(default)
    }

    /// Whether a status is a success.
    pub fn expects(&self, status: u16) -> bool {
        self.expect.iter().any(|pattern| pattern.holds(status))
    }

    /// Whether the idempotency key goes to the remote.
    pub fn sends_key(&self) -> bool {
        match self.idempotency {
            Idempotency::Send => !matches!(self.method.as_str(), "GET" | "HEAD"),
            Idempotency::Keyed => true,
            Idempotency::Off => false,
        }
    }

    /// The body, with what the method sends where nothing is said.
    pub fn body(&self) -> &Body {
        match &self.body {
            Some(body) => body,
            None if matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") => &Body::Input,
            None => &Body::None,
        }
    }
}

fn get() -> String {
    "GET".into()
}

fn success() -> Vec<StatusPattern> {
    vec![StatusPattern::SUCCESS]
}

fn idempotency_key() -> String {
    "Idempotency-Key".into()
}

fn yes() -> bool {
    true
}
