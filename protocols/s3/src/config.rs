//! The config as types. Its JSON Schema is derived from them and their doc comments, so what people
//! read is here.

use action_protocol::net::TIMEOUT_MS_MAX;
use action_protocol::secrets::Secret;
use action_protocol::tls::Tls;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most that a server gives at once.
pub const KEYS_MAX: u32 = 1_000;

/// A bucket, and what is done with its objects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the server is: https://s3.eu-central-1.amazonaws.com, with the bucket's name before it where
    /// bucket is left out. The execution may reach this host and port.
    #[schemars(length(min = 1), extend("x-egress" = "http"))]
    pub endpoint: String,

    /// The region that signatures name. Servers other than AWS mostly take any.
    #[serde(default = "region")]
    #[schemars(length(min = 1))]
    pub region: String,

    /// The bucket, as the first part of the path. Leave it out where the endpoint's host names it.
    #[schemars(length(min = 3))]
    pub bucket: Option<String>,

    /// The id of the key. It is no secret.
    #[schemars(length(min = 1))]
    pub access_key_id: String,

    /// The key, given as {"$secret": "name"}. The service signs with it; the protocol does not see it.
    pub secret_access_key: Secret,

    /// The token of temporary credentials. It is part of what is signed, so the action has to let this
    /// protocol see it: the secret's name belongs into grants.reveal.
    pub session_token: Option<Secret>,

    /// For a private certificate authority, or a client certificate.
    pub tls: Option<Tls>,

    /// What is done.
    pub operation: Operation,

    /// How long a request may take, within the limit of the action.
    #[schemars(range(min = 1, max = TIMEOUT_MS_MAX))]
    pub timeout_ms: Option<u32>,
}

/// What is done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Writes an object, over what was there.
    Put(Put),
    /// Reads an object; the output is what is in it.
    Get(Get),
    /// Lists objects.
    List(List),
    /// Deletes an object.
    Delete(Delete),
}

/// An object to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The object's key. It may hold templates.
    #[schemars(length(min = 1))]
    pub key: String,
    /// What is written.
    #[serde(default)]
    pub content: Content,
    /// Its media type. Where it is left out, that of the content.
    pub content_type: Option<String>,
    /// Whether an object that is there already is left as it is, and the execution fails.
    #[serde(default)]
    pub only_if_absent: bool,
}

/// What is written.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The input as it came.
    #[default]
    Input,
    /// A JSON value, whose strings may hold templates.
    Json(Value),
    /// Text, which may hold templates.
    Text(String),
    /// Bytes in base64, for instance a template that gives all of it.
    Base64(String),
}

/// An object to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The object's key. It may hold templates.
    #[schemars(length(min = 1))]
    pub key: String,
}

/// An object to delete.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The object's key. It may hold templates.
    #[schemars(length(min = 1))]
    pub key: String,
}

/// Objects to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// How their keys begin. It may hold templates.
    #[serde(default)]
    pub prefix: String,
    /// Keys are grouped at this sign, mostly /.
    pub delimiter: Option<String>,
    /// Only keys behind this one. It may hold templates; nothing where they give nothing.
    pub after: Option<String>,
    /// How many at most.
    #[serde(default = "keys_max")]
    #[schemars(range(min = 1, max = KEYS_MAX))]
    pub keys_max: u32,
}

fn region() -> String {
    "us-east-1".into()
}

fn keys_max() -> u32 {
    KEYS_MAX
}
