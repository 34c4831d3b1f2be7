//! The one token that an operator sets or the first start makes.

use super::{Authenticator, Principal, Stranger};
use action_domain::{
    actor::Actor,
    digest::Digest,
    token::{Scope, Scopes},
};
use action_engine::EngineError;
use async_trait::async_trait;
use std::fmt;
use subtle::ConstantTimeEq as _;

/// The admin token.
pub struct AdminToken {
    digest: Digest,
}

impl AdminToken {
    /// Keeps the token's digest.
    pub fn new(token: &str) -> Self {
        Self { digest: Digest::of(token.as_bytes()) }
    }

    /// Whether this is the digest of the token.
    pub(super) fn is(&self, digest: &Digest) -> bool {
        digest.as_bytes().ct_eq(self.digest.as_bytes()).into()
    }

    /// Whoever has it.
    pub(super) fn bearer() -> Principal {
        Principal { actor: Actor::Admin, scopes: Scopes::of(&[Scope::Admin]), reach: None, expires_at: None }
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

#[async_trait]
impl Authenticator for AdminToken {
    async fn authenticate(&self, bearer: &str) -> Result<Principal, Stranger> {
        if self.is(&Digest::of(bearer.as_bytes())) { Ok(Self::bearer()) } else { Err(Stranger::Unknown) }
    }

    async fn knows(&self, principal: &Principal) -> Result<bool, EngineError> {
        Ok(principal.actor == Actor::Admin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_token_itself_is_admin() {
        let tokens = AdminToken::new("right");
        assert!(tokens.authenticate("right").await.is_ok());
        for wrong in ["", "righ", "right ", "Right", "wrong"] {
            assert!(tokens.authenticate(wrong).await.is_err(), "{wrong:?}");
        }
        assert!(!format!("{tokens:?}").contains("right"));
    }
}
