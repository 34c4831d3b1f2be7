//! The config as types. Its JSON Schema is derived from them and their doc comments, so what people
//! read is here.

use std::collections::BTreeMap;

use action_protocol::secrets::Secret;
use action_protocol::tls::Tls;
use schemars::JsonSchema;
use serde::Deserialize;

/// As long an endpoint has to answer, where the config does not say. The specification asks for 15 to 30 s.
const TIMEOUT_MS_DEFAULT: u32 = 20_000;

/// An endpoint, and how deliveries to it are signed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The endpoint. The execution may reach its host and port.
    #[schemars(extend("x-egress" = "http"))]
    pub url: String,

    /// The secret that deliveries are signed with, given as {"$secret": "name"}: base64, behind whsec_ or not, as
    /// the receiver has it. The service signs, so this protocol does not see it.
    pub secret: Secret,

    /// A secret that is being replaced: deliveries are signed with both, and the receiver takes either.
    pub old_secret: Option<Secret>,

    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,

    /// For a private certificate authority, or a client certificate.
    pub tls: Option<Tls>,

    /// How long the endpoint has to answer, within the limit of the action.
    #[serde(default = "timeout_ms_default")]
    #[schemars(range(min = 1, max = 600_000))]
    pub timeout_ms: u32,
}

const fn timeout_ms_default() -> u32 {
    TIMEOUT_MS_DEFAULT
}
