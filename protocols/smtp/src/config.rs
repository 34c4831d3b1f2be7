//! The config as types. Its JSON Schema is derived from them and their doc comments, so what people
//! read is here.

use std::collections::BTreeMap;

use action_protocol::net::{Address, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX};
use action_protocol::secrets::Secret;
use action_protocol::template::Values;
use action_protocol::tls::Tls;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};

/// A server, and a mail.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server, as host:port. The execution may reach this host and port.
    pub address: Address,

    /// How the connection is secured. "tls": TLS from the first byte (usually port 465). "starttls": TLS
    /// before anything is said (usually port 587); a server that does not offer it gets nothing. "none":
    /// everybody on the way can read what is sent.
    #[serde(default)]
    pub security: Security,

    /// For a private certificate authority, or a client certificate.
    pub tls: Option<Tls>,

    /// The user, where the server wants to know who sends.
    #[schemars(length(min = 1))]
    pub username: Option<String>,

    /// The password, given as {"$secret": "name"}. It is spoken on the connection, so the action has to
    /// let this protocol see it: the secret's name belongs into grants.reveal.
    pub password: Option<Secret>,

    /// Who sends: local@domain, or Name <local@domain>. It may hold templates, as all below may.
    #[schemars(length(min = 1))]
    pub from: String,

    /// To whom. A template alone may give a list.
    #[serde(default = "nobody")]
    #[schemars(schema_with = "texts")]
    pub to: Values,

    /// To whom a copy goes.
    #[serde(default = "nobody")]
    #[schemars(schema_with = "texts")]
    pub cc: Values,

    /// To whom a copy goes that the others do not see.
    #[serde(default = "nobody")]
    #[schemars(schema_with = "texts")]
    pub bcc: Values,

    /// To whom answers go.
    #[serde(default = "nobody")]
    #[schemars(schema_with = "texts")]
    pub reply_to: Values,

    /// The subject.
    #[serde(default)]
    pub subject: String,

    /// The mail as text.
    pub text: Option<String>,

    /// The mail as HTML. What templates give is escaped.
    pub html: Option<String>,

    /// Further headers, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,

    /// Files that go along.
    #[serde(default)]
    pub attachments: Vec<Attachment>,

    /// The name by which the service says hello, where the server wants a particular one.
    #[serde(default = "hello")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9.:\[\]-]+$"))]
    pub hello: String,

    /// How long all of it may take, within the limit of the action.
    #[serde(default = "timeout_ms_default")]
    #[schemars(range(min = 1, max = TIMEOUT_MS_MAX))]
    pub timeout_ms: u32,
}

/// A file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The file's name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its media type.
    #[serde(default = "octets")]
    #[schemars(length(min = 1))]
    pub content_type: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The input as it came.
    Input,
    /// Bytes in base64, for instance a template that gives all of it.
    Base64(String),
    /// Text.
    Text(String),
}

/// How the connection is secured.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "explained where it is used; a list of bare words is easier in forms")]
pub enum Security {
    #[default]
    Tls,
    Starttls,
    None,
}

fn timeout_ms_default() -> u32 {
    TIMEOUT_MS_DEFAULT
}

fn nobody() -> Values {
    Values::Many(Vec::new())
}

fn octets() -> String {
    "application/octet-stream".into()
}

fn hello() -> String {
    // Behind an address that is translated no name of ours would be true (RFC 5321, 4.1.3).
    "[127.0.0.1]".into()
}

fn texts(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
}
