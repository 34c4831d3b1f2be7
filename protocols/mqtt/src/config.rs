//! The config as types. Its JSON Schema is derived from them and their doc comments, so what people
//! read is here.

use action_protocol::config::EffectWord;
use action_protocol::net::{Address, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX};
use action_protocol::secrets::Secret;
use action_protocol::tls::Tls;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most topics of one subscription.
pub const TOPICS_MAX: usize = 100;

/// A broker, and what is done there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The broker, as host:port. The execution may reach this host and port.
    pub address: Address,

    /// How the connection is secured. "tls": TLS from the first byte. "none": everybody on the way can read and
    /// change what is sent, the password too.
    #[serde(default)]
    pub security: Security,

    /// For a private certificate authority, or a client certificate.
    pub tls: Option<Tls>,

    /// The user.
    #[schemars(length(min = 1))]
    pub username: Option<String>,

    /// The password, given as {"$secret": "name"}. It is spoken on the connection, so the action has to let this
    /// protocol see it: the secret's name belongs into grants.reveal.
    pub password: Option<Secret>,

    /// The name under which the broker knows this client and keeps its session: the action's id where it is left
    /// out. Two clients with the same name put each other out.
    #[schemars(length(min = 1, max = 255))]
    pub client_id: Option<String>,

    /// The broker takes the client for dead after one and a half times this, in seconds.
    #[serde(default = "keep_alive_default")]
    #[schemars(range(min = 5, max = 3600))]
    pub keep_alive_s: u16,

    /// How long the broker may take for an answer, within the limit of the action.
    #[serde(default = "timeout_ms_default")]
    #[schemars(range(min = 1, max = TIMEOUT_MS_MAX))]
    pub timeout_ms: u32,

    /// A message goes out. This or subscribe.
    pub publish: Option<Publish>,

    /// Messages come in. This or publish.
    pub subscribe: Option<Subscribe>,
}

/// A message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Its topic; may hold templates.
    #[schemars(length(min = 1))]
    pub topic: String,

    /// Its payload; may hold templates. The input as it is where this is left out.
    pub payload: Option<String>,

    /// 0: at most once, and nobody knows. 1: at least once, and the broker says so.
    #[serde(default = "qos_default")]
    #[schemars(range(min = 0, max = 1))]
    pub qos: u8,

    /// Whether the broker keeps it for those who subscribe later.
    #[serde(default)]
    pub retain: bool,

    /// What a repeat can do, where it is other than usual: a message that comes twice acts twice ("unsafe"), unless it
    /// is retained ("idempotent").
    pub effect: Option<EffectWord>,
}

/// Topics.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The topics, with + for one level and # for all below.
    #[schemars(length(min = 1, max = TOPICS_MAX))]
    pub topics: Vec<String>,

    /// 0: what comes while nobody is connected is lost. 1: the broker keeps it for this client, and each message is
    /// captured once.
    #[serde(default = "qos_default")]
    #[schemars(range(min = 0, max = 1))]
    pub qos: u8,

    /// The kind of the items.
    #[serde(default = "kind_default")]
    #[schemars(regex(pattern = r"^[a-z0-9_]{1,63}$"))]
    pub kind: String,

    /// Ends when nothing came for so long, in milliseconds: for an action that looks from time to time. Where it is left
    /// out it goes on until the attempt's time is over, and in a continuous action for ever.
    #[schemars(range(min = 1, max = TIMEOUT_MS_MAX))]
    pub idle_ms: Option<u32>,
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

const fn keep_alive_default() -> u16 {
    60
}

const fn timeout_ms_default() -> u32 {
    TIMEOUT_MS_DEFAULT
}

const fn qos_default() -> u8 {
    1
}

fn kind_default() -> String {
    "message".to_owned()
}
