//! The tokens that the API makes.

use super::{Authenticator, Principal, Stranger};
use action_domain::{
    actor::Actor,
    digest::Digest,
    token::{self, Token},
};
use action_engine::{Engine, EngineError};
use async_trait::async_trait;
use subtle::ConstantTimeEq as _;

/// The tokens that the store has.
pub struct Tokens {
    engine: Engine,
}

impl Tokens {
    /// Those of this service.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    pub(super) async fn find(&self, bearer: &str, digest: &Digest) -> Result<Principal, Stranger> {
        let id = token::id_in(bearer).ok_or(Stranger::Unknown)?;
        let token = self.engine.token(id).await.map_err(Stranger::Unavailable)?.ok_or(Stranger::Unknown)?;
        // Who knows an id and not its secret is told no more than who knows neither.
        if !bool::from(digest.as_bytes().ct_eq(token.digest.as_bytes())) {
            return Err(Stranger::Unknown);
        }
        if token.has_expired(self.engine.clock().now()) {
            return Err(Stranger::Expired);
        }
        Ok(bearer_of(&token))
    }
}

fn bearer_of(token: &Token) -> Principal {
    Principal {
        actor: Actor::Token(token.id),
        scopes: token.scopes,
        reach: token.actions.clone(),
        expires_at: token.expires_at,
    }
}

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, bearer: &str) -> Result<Principal, Stranger> {
        self.find(bearer, &Digest::of(bearer.as_bytes())).await
    }

    async fn knows(&self, principal: &Principal) -> Result<bool, EngineError> {
        let Actor::Token(id) = principal.actor else { return Ok(false) };
        let now = self.engine.clock().now();
        Ok(self.engine.token(id).await?.is_some_and(|token| !token.has_expired(now)))
    }

    fn can_be_guessed(&self, bearer: &str) -> bool {
        token::id_in(bearer).is_none()
    }
}
