//! Every way in, one after the other: the admin token, tokens, and an identity provider's.

use super::{AdminToken, Authenticator, Oidc, Principal, Stranger, Tokens};
use action_domain::{actor::Actor, digest::Digest};
use action_engine::EngineError;
use async_trait::async_trait;

/// Every way in.
pub struct Doors {
    admin: AdminToken,
    tokens: Tokens,
    oidc: Option<Oidc>,
}

impl Doors {
    /// These.
    pub fn new(admin: AdminToken, tokens: Tokens, oidc: Option<Oidc>) -> Self {
        Self { admin, tokens, oidc }
    }
}

#[async_trait]
impl Authenticator for Doors {
    async fn authenticate(&self, bearer: &str) -> Result<Principal, Stranger> {
        let digest = Digest::of(bearer.as_bytes());
        if self.admin.is(&digest) {
            return Ok(AdminToken::bearer());
        }
        match &self.oidc {
            Some(oidc) if Oidc::has_its_form(bearer) => oidc.check(bearer, digest).await,
            _ => self.tokens.find(bearer, &digest).await,
        }
    }

    async fn knows(&self, principal: &Principal) -> Result<bool, EngineError> {
        match (&principal.actor, &self.oidc) {
            (Actor::Admin, _) => Ok(true),
            (Actor::Subject(_), Some(oidc)) => oidc.knows(principal).await,
            _ => self.tokens.knows(principal).await,
        }
    }

    fn can_be_guessed(&self, bearer: &str) -> bool {
        self.tokens.can_be_guessed(bearer) && !(self.oidc.is_some() && Oidc::has_its_form(bearer))
    }
}
