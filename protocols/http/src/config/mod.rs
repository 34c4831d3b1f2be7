//! The config as types. Its JSON Schema is derived from them and their doc comments, so what
//! people read is here.

mod parts;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use action_protocol::config::EffectWord;
pub use action_protocol::net::TIMEOUT_MS_MAX;
use action_protocol::template::Values;
use action_protocol::tls::Tls;
pub use parts::{AdviceWord, Auth, Basic, Bearer, Body, Idempotency, Kind, Output, Poll, Rule, Test, TestMethod};
use parts::{further_urls, map_of_secret_values};

use crate::status::StatusPattern;

/// As many as browsers and curl follow would hide a loop; APIs need one or two.
const REDIRECTS_DEFAULT: u32 = 5;

/// As many as browsers follow.
pub const REDIRECTS_MAX: u32 = 20;

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
    #[schemars(schema_with = "map_of_secret_values")]
    pub headers: BTreeMap<String, Values>,

    /// Parameters that are added to the URL's query, percent-encoded. A value may hold
    /// templates and may be a secret; a list gives the parameter several times.
    #[serde(default)]
    #[schemars(schema_with = "map_of_secret_values")]
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

    /// URLs of further hosts that redirects may lead to. Host and port of each count.
    /// Headers other than Authorization, Cookie and those with secrets go there too.
    #[serde(default)]
    #[schemars(schema_with = "further_urls")]
    pub redirect_urls: Vec<String>,

    /// For a private certificate authority, or a client certificate.
    pub tls: Option<Tls>,

    /// What the output is. "envelope": a JSON object with status, headers and body. "body":
    /// the bytes of the answer with their content type.
    #[serde(default)]
    pub output: Output,

    /// Looks whether something is new since the last execution, and captures it as items. With GET and HEAD, and
    /// without templates in url and query.
    pub poll: Option<Poll>,

    /// What the connection test sends.
    #[serde(default)]
    pub test: Test,
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
