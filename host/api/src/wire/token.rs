//! Tokens, without what callers send but in the one answer that has it.

use action_domain::{
    actor::Actor,
    id::{ActionId, TokenId},
    time::Timestamp,
    token::{Scope, Token},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is wished of a token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenSpec {
    /// For people: 1 to 100 bytes on one line.
    #[schema(example = "orders-service")]
    pub(crate) name: String,
    /// What it lets its bearer do; one at least.
    pub(crate) scopes: Vec<ScopeWord>,
    /// The only actions, by id or name, that it reaches: 100 at most. A name means the action that has it now. Left out
    /// for all.
    #[serde(default)]
    pub(crate) actions: Option<Vec<String>>,
    /// From then on it is worth nothing. Left out for never.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) expires_at: Option<Timestamp>,
}

/// `admin`: everything. `configure`: protocols and actions. `invoke`: run actions. `read`: look.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Scope)]
pub(crate) enum ScopeWord {
    /// Everything.
    Admin,
    /// Protocols and actions.
    Configure,
    /// Run actions.
    Invoke,
    /// Look.
    Read,
}

impl From<ScopeWord> for Scope {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::Admin => Self::Admin,
            ScopeWord::Configure => Self::Configure,
            ScopeWord::Invoke => Self::Invoke,
            ScopeWord::Read => Self::Read,
        }
    }
}

impl From<Scope> for ScopeWord {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Admin => Self::Admin,
            Scope::Configure => Self::Configure,
            Scope::Invoke => Self::Invoke,
            Scope::Read => Self::Read,
        }
    }
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenBody<'a> {
    /// Its id, with which what callers send begins.
    #[schema(value_type = String, example = "tok_01jd8q3v5tevk9xw2xk5z7c1ya")]
    id: TokenId,
    /// For people.
    name: &'a str,
    /// What it lets its bearer do.
    scopes: Vec<ScopeWord>,
    /// The only actions that it reaches; null for all.
    #[schema(value_type = Option<Vec<String>>, required = true)]
    actions: Option<&'a [ActionId]>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// By whom, as events have it in `by`.
    #[schema(value_type = String, example = "admin")]
    created_by: &'a Actor,
    /// From then on it is worth nothing; null for never.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    expires_at: Option<Timestamp>,
}

/// A token that was just made, with what callers send.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedToken)]
pub(crate) struct CreatedBody<'a> {
    #[serde(flatten)]
    pub(crate) token: TokenBody<'a>,
    /// What callers send: `Authorization: Bearer …`. It is shown here and never again.
    #[serde(rename = "token")]
    #[schema(example = "tok_01jd8q3v5tevk9xw2xk5z7c1ya_5f0c…")]
    pub(crate) text: &'a str,
}

impl<'a> From<&'a Token> for TokenBody<'a> {
    fn from(token: &'a Token) -> Self {
        Self {
            id: token.id,
            name: &token.name,
            scopes: token.scopes.iter().map(ScopeWord::from).collect(),
            actions: token.actions.as_deref(),
            created_at: token.created_at,
            created_by: &token.created_by,
            expires_at: token.expires_at,
        }
    }
}
