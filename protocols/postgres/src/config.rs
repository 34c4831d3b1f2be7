//! The config as types. Its JSON Schema is derived from them and their doc comments, so what people
//! read is here.

use action_protocol::config::EffectWord;
use action_protocol::net::{Address, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX};
use action_protocol::secrets::Secret;
use action_protocol::tls::Tls;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Rows that a query gives where the config does not say.
const ROWS_DEFAULT: u32 = 1_000;

/// More is no answer to a question but a copy of a table.
pub const ROWS_MAX: u32 = 100_000;

/// Statements of one transaction. What has to be done many times is one statement over an array.
pub const STATEMENTS_MAX: usize = 100;

/// A database, and what is asked of it or changed in it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = json!([{ "required": ["query"] }, { "required": ["execute"] }])))]
pub struct Config {
    /// The server, as host:port. The execution may reach this host and port.
    pub address: Address,

    /// How the connection is secured. "tls": with TLS, and the server has to prove its name. "none":
    /// everybody on the way can read and change what is sent.
    #[serde(default)]
    pub security: Security,

    /// For a private certificate authority, or a client certificate.
    pub tls: Option<Tls>,

    /// The user.
    #[schemars(length(min = 1))]
    pub user: String,

    /// The password, given as {"$secret": "name"}. With SCRAM-SHA-256, which servers ask for unless they are
    /// told otherwise, the protocol proves it without seeing it.
    pub password: Option<Secret>,

    /// The database. Where it is left out, the one that has the user's name.
    #[schemars(length(min = 1))]
    pub database: Option<String>,

    /// A statement that gives rows. It runs in a transaction that can change nothing.
    pub query: Option<Query>,

    /// Statements that change something, in one transaction: all of them or none.
    #[schemars(length(min = 1, max = STATEMENTS_MAX))]
    pub execute: Option<Vec<Statement>>,

    /// What a repeat of execute can do, where that is known: "idempotent" for upserts and deletes. Where
    /// it is left out, a repeat could act twice.
    pub effect: Option<EffectWord>,

    /// How long all of it may take, within the limit of the action. The server is told to give up then.
    #[serde(default = "timeout_ms_default")]
    #[schemars(range(min = 1, max = TIMEOUT_MS_MAX))]
    pub timeout_ms: u32,
}

/// A statement that gives rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The statement, with $1, $2 … where parameters stand. It is no template.
    #[schemars(length(min = 1))]
    pub sql: String,
    /// What stands at $1, $2 …. Strings may hold templates; one that is a template alone becomes the value
    /// itself.
    #[serde(default)]
    pub parameters: Vec<Value>,
    /// The most rows that are given; "truncated" says whether there were more.
    #[serde(default = "rows_default")]
    #[schemars(range(min = 1, max = ROWS_MAX))]
    pub rows_max: u32,
}

/// A statement that changes something.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The statement, with $1, $2 … where parameters stand. It is no template.
    #[schemars(length(min = 1))]
    pub sql: String,
    /// What stands at $1, $2 …. Strings may hold templates; one that is a template alone becomes the value
    /// itself.
    #[serde(default)]
    pub parameters: Vec<Value>,
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

fn timeout_ms_default() -> u32 {
    TIMEOUT_MS_DEFAULT
}

fn rows_default() -> u32 {
    ROWS_DEFAULT
}

/// A statement of a config, wherever it stands in it.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The statement.
    pub sql: &'a str,
    /// Its parameters, as they are in the config.
    pub parameters: &'a [Value],
    /// Which of `execute`; nothing for the query.
    pub index: Option<usize>,
}

impl Part<'_> {
    /// Where in the config it is.
    pub fn pointer(&self) -> String {
        self.index.map_or_else(|| "/query".into(), |index| format!("/execute/{index}"))
    }
}

impl Config {
    /// All statements.
    pub fn parts(&self) -> Vec<Part<'_>> {
        let query = self.query.iter().map(|query| Part { sql: &query.sql, parameters: &query.parameters, index: None });
        let execute = self.execute.iter().flatten().enumerate();
        let execute = execute.map(|(n, one)| Part { sql: &one.sql, parameters: &one.parameters, index: Some(n) });
        query.chain(execute).collect()
    }
}
