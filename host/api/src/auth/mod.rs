//! Who calls, and what they may do.
//!
//! Tokens are kept and compared as SHA-256 digests only: what is not kept cannot leak, and a
//! digest compared in constant time tells nothing about the token. Hashing what a caller sends
//! takes a few hundred nanoseconds, which is less than a table of plain tokens is worth.
//!
//! To add a kind of credential: an [`Authenticator`] in a file of its own, and its turn in
//! [`Doors`].

mod admin;
mod doors;
mod logins;
pub(crate) mod oidc;
mod tokens;

pub use admin::AdminToken;
pub use doors::Doors;
pub use logins::Peer;
pub(crate) use logins::{FailedLogins, Fingerprint};
pub use oidc::{KeySource, Oidc, OidcOptions};
pub use tokens::Tokens;

use action_domain::{
    actor::Actor,
    id::ActionId,
    time::Timestamp,
    token::{Reach, Scopes},
};
use action_engine::EngineError;
use async_trait::async_trait;

/// Somebody who is known. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Who it is, as the record has it.
    pub actor: Actor,
    /// What they may do.
    pub scopes: Scopes,
    /// With which actions.
    pub reach: Reach,
    /// From then on they are not known any more.
    pub expires_at: Option<Timestamp>,
}

impl Principal {
    /// Whether an action is within their reach.
    pub fn reaches(&self, action: ActionId) -> bool {
        self.reach.as_ref().is_none_or(|actions| actions.contains(&action))
    }
}

/// Why a bearer is not let in.
#[derive(Debug, Clone)]
pub enum Stranger {
    /// It is nobody's, or nobody's any more.
    Unknown,
    /// It was somebody's until its time was over.
    Expired,
    /// Whether it is somebody's cannot be found out now.
    Unavailable(EngineError),
}

/// Knows bearers.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Whose this is.
    async fn authenticate(&self, bearer: &str) -> Result<Principal, Stranger>;

    /// Whether whoever was let in is still known, for answers that take long.
    async fn knows(&self, principal: &Principal) -> Result<bool, EngineError>;

    /// Whether a bearer of this form might be guessed: nobody guesses 256 random bits or a
    /// signature, but an operator may set any admin token.
    fn can_be_guessed(&self, _bearer: &str) -> bool {
        true
    }
}

/// Knows nobody: for a listener that offers nothing to those who have a token.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _bearer: &str) -> Result<Principal, Stranger> {
        Err(Stranger::Unknown)
    }

    async fn knows(&self, _principal: &Principal) -> Result<bool, EngineError> {
        Ok(false)
    }
}
