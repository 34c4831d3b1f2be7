//! The config as types. Its JSON Schema is derived from them and their doc comments, so what people
//! read is here.

use action_protocol::net::{Address, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX};
use action_protocol::secrets::Secret;
use action_protocol::tls::Tls;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest name of a mailbox, in bytes: it is kept beside the place where the reading stands.
pub const MAILBOX_BYTES_MAX: usize = 255;

/// Most mails of one execution.
pub const MESSAGES_MAX: u32 = 1_000;

/// Where the config does not say: as many as an execution with the default limits can take.
const MESSAGES_DEFAULT: u32 = 100;

/// Least that is taken of a mail: room for its headers.
pub const MESSAGE_BYTES_MIN: u32 = 16 << 10;

/// Most that is taken of a mail: what an item may have, where the action does not say otherwise.
pub const MESSAGE_BYTES_MAX: u32 = 8 << 20;

/// A mail that is larger may take more fuel than an action has, where it does not say otherwise: some 200 units a byte.
pub const MESSAGE_BYTES_WITHIN_FUEL: u32 = 4 << 20;

/// Most mails have less, but for their attachments.
const MESSAGE_BYTES_DEFAULT: u32 = 1 << 20;

/// Longest text that is searched for, in bytes.
pub const SEARCH_BYTES_MAX: usize = 255;

/// A mailbox, and what is captured of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server, as host:port. The execution may reach this host and port.
    pub address: Address,

    /// How the connection is secured. "tls": TLS from the first byte (usually port 993). "starttls": TLS before
    /// anybody says who asks (usually port 143); a server that does not offer it gets nothing. "none": everybody on
    /// the way can read what is sent, the password too.
    #[serde(default)]
    pub security: Security,

    /// For a private certificate authority, or a client certificate.
    pub tls: Option<Tls>,

    /// The user.
    #[schemars(length(min = 1))]
    pub username: String,

    /// The password, given as {"$secret": "name"}. It is spoken on the connection, so the action has to let this
    /// protocol see it: the secret's name belongs into grants.reveal.
    pub password: Secret,

    /// The mailbox, in letters of every kind; the server says what parts a folder from one in it, mostly / or a dot.
    #[serde(default = "inbox")]
    #[schemars(length(min = 1, max = MAILBOX_BYTES_MAX))]
    pub mailbox: String,

    /// Where the first execution begins, and one that finds the mailbox made anew. "new_only": it captures nothing, and
    /// the next ones what came since. "all": with the oldest mail.
    #[serde(default)]
    pub first_run: FirstRun,

    /// What an item holds. "text": a JSON object with the headers, the text and what is attached. "headers": the same
    /// without the text, and nothing else is asked of the server. "raw": the mail's bytes, message/rfc822.
    #[serde(default)]
    pub content: Content,

    /// What an item says about attachments, with content "text". "list": their names, types and sizes. "content": in
    /// base64 what is in them too.
    #[serde(default)]
    pub attachments: Attachments,

    /// Only mails of which all of this is true. Others are passed over for good.
    #[serde(default)]
    pub search: Search,

    /// Whether a mail that was captured is marked as seen. Otherwise nothing in the mailbox is changed.
    #[serde(default)]
    pub mark_seen: bool,

    /// Most mails that an execution captures. The next one goes on behind them. One that waits has no such bound.
    #[serde(default = "messages_default")]
    #[schemars(range(min = 1, max = MESSAGES_MAX))]
    pub max_messages: u32,

    /// Most bytes that are taken of a mail. A text that is longer is cut off, and of a longer "raw" mail its headers
    /// are captured, as with content "headers"; truncated says so.
    #[serde(default = "message_bytes_default")]
    #[schemars(range(min = MESSAGE_BYTES_MIN, max = MESSAGE_BYTES_MAX))]
    pub message_bytes_max: u32,

    /// Whether the execution goes on when all is read, and waits for what comes: for a continuous action. The server
    /// tells at once (IDLE), or is asked every half a minute.
    #[serde(default)]
    pub wait: bool,

    /// The kind of the items.
    #[serde(default = "kind_default")]
    #[schemars(regex(pattern = r"^[a-z0-9_]{1,63}$"))]
    pub kind: String,

    /// How long the server may take for an answer, within the limit of the action.
    #[serde(default = "timeout_ms_default")]
    #[schemars(range(min = 1, max = TIMEOUT_MS_MAX))]
    pub timeout_ms: u32,
}

/// What has to be true of a mail.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Nobody has read it.
    #[serde(default)]
    pub unseen: bool,
    /// Its sender's name or address holds this, in any case.
    #[schemars(length(min = 1, max = SEARCH_BYTES_MAX))]
    pub from: Option<String>,
    /// The name or address of one to whom it goes holds this.
    #[schemars(length(min = 1, max = SEARCH_BYTES_MAX))]
    pub to: Option<String>,
    /// Its subject holds this.
    #[schemars(length(min = 1, max = SEARCH_BYTES_MAX))]
    pub subject: Option<String>,
    /// The server got it on this day (2026-11-23) or later.
    #[schemars(regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub since: Option<String>,
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

/// Where the first execution begins.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "explained where it is used; a list of bare words is easier in forms")]
pub enum FirstRun {
    #[default]
    NewOnly,
    All,
}

/// What an item holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "explained where it is used; a list of bare words is easier in forms")]
pub enum Content {
    #[default]
    Text,
    Headers,
    Raw,
}

/// What an item says about attachments.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "explained where it is used; a list of bare words is easier in forms")]
pub enum Attachments {
    #[default]
    List,
    Content,
}

fn inbox() -> String {
    "INBOX".to_owned()
}

const fn messages_default() -> u32 {
    MESSAGES_DEFAULT
}

const fn message_bytes_default() -> u32 {
    MESSAGE_BYTES_DEFAULT
}

fn kind_default() -> String {
    "mail".to_owned()
}

const fn timeout_ms_default() -> u32 {
    TIMEOUT_MS_DEFAULT
}
