//! Makes a token.

use crate::{Engine, EngineError};
use action_domain::{
    actor::Actor,
    digest::Digest,
    event::{Context, Fact},
    failure::Issue,
    id::ActionId,
    limits::ISSUES_MAX,
    repositories::{ActionKey, UnitOfWork, Write},
    time::Timestamp,
    token::{self, Reach, Scopes, TOKEN_ACTIONS_MAX, Token},
};

/// What is wished of a token.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// For people.
    pub name: String,
    /// What it lets its bearer do.
    pub scopes: Scopes,
    /// With which actions; `None` for all.
    pub actions: Option<Vec<ActionKey>>,
    /// From then on it is worth nothing.
    pub expires_at: Option<Timestamp>,
}

/// A token that was made.
#[derive(Debug)]
pub struct CreatedToken {
    /// As it is kept.
    pub token: Token,
    /// What callers send. It is known here and now, and never again.
    pub text: String,
}

impl Engine {
    /// Makes a token. Names of actions mean those that have them now.
    pub async fn create_token(&self, wish: NewToken, by: &Actor) -> Result<CreatedToken, EngineError> {
        let now = self.now();
        let count = wish.actions.as_ref().map(Vec::len);
        let mut issues = Token::check(&wish.name, wish.scopes, count, wish.expires_at, now);
        let actions = self.actions_of(wish.actions.as_deref(), &mut issues).await?;
        if !issues.is_empty() {
            issues.truncate(ISSUES_MAX);
            return Err(EngineError::Invalid(issues));
        }
        let random = &self.inner.parts.random;
        let id = random.token_id();
        let text = token::text(id, &random.secret());
        let token = Token {
            id,
            name: wish.name,
            scopes: wish.scopes,
            actions,
            digest: Digest::of(text.as_bytes()),
            created_at: now,
            created_by: by.clone(),
            expires_at: wish.expires_at,
        };
        let fact = Fact::TokenCreated {
            token: id,
            name: token.name.clone(),
            scopes: token.scopes,
            actions: token.actions.clone(),
            expires_at: token.expires_at,
        };
        let unit = UnitOfWork::new().write(Write::AddToken(Box::new(token.clone()))).event(self.event_by(
            by,
            Context::default(),
            &fact,
        ));
        self.store().commit(unit).await?;
        Ok(CreatedToken { token, text })
    }

    /// The ids of the actions that a token is to reach, each once.
    async fn actions_of(&self, keys: Option<&[ActionKey]>, issues: &mut Vec<Issue>) -> Result<Reach, EngineError> {
        let Some(keys) = keys else { return Ok(None) };
        let mut ids: Vec<ActionId> = Vec::new();
        for (index, key) in keys.iter().enumerate().take(TOKEN_ACTIONS_MAX) {
            match self.reader().action(key).await? {
                Some(action) if ids.contains(&action.id) => {}
                Some(action) => ids.push(action.id),
                None => issues.push(Issue::new(format!("/actions/{index}"), "action_not_found", "there is none")),
            }
        }
        Ok(Some(ids.into()))
    }
}
