//! The config as types. Its JSON Schema is derived from them and their doc comments, so what people
//! read is here.

use action_protocol::config::EffectWord;
use action_protocol::net::{Address, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX};
use action_protocol::secrets::Secret;
use action_protocol::template::Values;
use action_protocol::tls::Tls;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// As many commands as anybody lists by hand; what has to be done to many keys is a script or a
/// command with many keys.
pub const COMMANDS_MAX: usize = 100;

/// A server, and what is sent to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server, as host:port. The execution may reach this host and port.
    pub address: Address,

    /// How the connection is secured. "tls": TLS from the first byte. "none": everybody on the way can
    /// read and change what is sent, the password too.
    #[serde(default)]
    pub security: Security,

    /// For a private certificate authority, or a client certificate.
    pub tls: Option<Tls>,

    /// The user (Redis 6 and newer). Where it is left out, the password is that of the default user.
    #[schemars(length(min = 1))]
    pub username: Option<String>,

    /// The password, given as {"$secret": "name"}. It is spoken on the connection, so the action has to
    /// let this protocol see it: the secret's name belongs into grants.reveal.
    pub password: Option<Secret>,

    /// The number of the database.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub database: u32,

    /// The commands, each a list: its name and its arguments. An argument may hold templates; a
    /// template alone that gives a list is several arguments. {"json": …} is a JSON text, {"base64":
    /// "…"} bytes, {"raw": "input"} the input as it is.
    #[schemars(schema_with = "commands")]
    pub commands: Vec<Vec<Argument>>,

    /// Whether the commands are one transaction (MULTI, EXEC): none of another client comes between, and
    /// none is carried out where one of them is not understood.
    #[serde(default)]
    pub transaction: bool,

    /// What a repeat of the commands can do, where their names do not tell: of a script, for instance.
    pub effect: Option<EffectWord>,

    /// How long all of it may take, within the limit of the action.
    #[serde(default = "timeout_ms_default")]
    #[schemars(range(min = 1, max = TIMEOUT_MS_MAX))]
    pub timeout_ms: u32,
}

/// How the connection is secured.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "explained where it is used; a list of bare words is easier in forms")]
pub enum Security {
    #[default]
    Tls,
    None,
}

/// One argument of a command, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a string, a number, a boolean, a list of them, or an object with json, base64 or raw")]
pub enum Argument {
    /// Text, once or several times.
    Values(Values),
    /// Something that is no text.
    Special(Special),
}

/// An argument that is no text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Special {
    /// A value, written as JSON. Strings in it may hold templates; one that is a template alone becomes
    /// the value itself.
    Json(Value),
    /// Bytes, in base64. It may hold templates.
    Base64(String),
    /// Bytes as they came.
    Raw(Raw),
}

/// What is taken as it came.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Raw {
    /// The input.
    Input,
}

fn timeout_ms_default() -> u32 {
    TIMEOUT_MS_DEFAULT
}

fn commands(_: &mut schemars::SchemaGenerator) -> Schema {
    let one = |properties: Value| {
        let name = properties.as_object().and_then(|object| object.keys().next()).cloned();
        json_schema!({ "type": "object", "properties": properties, "required": [name], "additionalProperties": false })
    };
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": COMMANDS_MAX,
        "items": {
            "type": "array",
            "minItems": 1,
            "prefixItems": [{ "type": "string", "minLength": 1 }],
            "items": { "anyOf": [
                { "type": ["string", "number", "boolean"] },
                { "type": "array", "items": { "type": ["string", "number", "boolean"] } },
                one(serde_json::json!({ "json": true })),
                one(serde_json::json!({ "base64": { "type": "string" } })),
                one(serde_json::json!({ "raw": { "enum": ["input"] } })),
            ] },
        },
    })
}

impl Config {
    /// A command's name in upper case; nothing where its first element is no word.
    pub fn name_of(command: &[Argument]) -> Option<String> {
        match command.first()? {
            Argument::Values(Values::One(action_protocol::template::Scalar::Text(name)))
                if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) =>
            {
                Some(name.to_ascii_uppercase())
            }
            _ => None,
        }
    }
}
