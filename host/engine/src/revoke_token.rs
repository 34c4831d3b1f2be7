//! Takes a token back.

use crate::{Engine, EngineError};
use action_domain::{
    actor::Actor,
    event::{Context, Fact},
    id::TokenId,
    repositories::{CommitError, Conflict, UnitOfWork, Write},
};

impl Engine {
    /// Revokes a token. When this returns no process takes it any more: those that may remember
    /// tokens have the store to themselves ([`Engine::token`]).
    pub async fn revoke_token(&self, id: TokenId, by: &Actor) -> Result<(), EngineError> {
        let token = self.reader().token(id).await?.ok_or(EngineError::NotFound("token"))?;
        let fact = Fact::TokenRevoked { token: id, name: token.name.clone() };
        let unit = UnitOfWork::new().write(Write::RemoveToken(id)).event(self.event_by(by, Context::default(), &fact));
        // Before it too: streams are woken by the commit, and look then whether their token is there still.
        self.inner.tokens.forget([&id]);
        match self.commit_and(unit, move |engine, _| engine.inner.tokens.forget([&id])).await {
            Ok(()) => Ok(()),
            Err(CommitError::Conflict(Conflict::NotFound)) => Err(EngineError::NotFound("token")),
            Err(error) => Err(error.into()),
        }
    }
}
