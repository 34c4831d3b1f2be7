//! JSON Web Tokens of an OpenID Connect issuer, as an alternative to tokens of our own.
//!
//! Only signatures of key pairs count (RS256, ES256, EdDSA), and a key is good for the one
//! algorithm that it is made for: what the token's head says picks the key and cannot turn a
//! public key into a shared secret. `exp`, `iss`, `aud` and `sub` have to be there, and `nbf`
//! counts where it is. The time is the service's clock.
//!
//! [`keys`] has the issuer's keys and when they are fetched, [`jws`] the form and the cryptography.

mod claims;
mod jws;
mod keys;

pub use keys::KeySource;

use super::{Authenticator, Principal, Stranger};
use action_domain::{actor::Actor, digest::Digest, services::Clock, time::Timestamp};
use action_engine::EngineError;
use async_trait::async_trait;
use claims::Claims;
use jws::Jws;
use keys::Keys;
use moka::sync::Cache;
use std::{sync::Arc, time::Duration};

/// Longest token that is looked at. Those of identity providers have one or two kilobytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Tokens that were checked; a signature costs a hundred times as much as a look here.
const CHECKED_MAX: u64 = 10_000;
/// A token that nobody uses any more is forgotten.
const CHECKED_IDLE: Duration = Duration::from_mins(10);

/// Whose tokens are taken.
#[derive(Debug, Clone)]
pub struct OidcOptions {
    /// `iss` is this.
    pub issuer: String,
    /// `aud` has this.
    pub audience: String,
}

/// Knows bearers of an issuer's tokens.
pub struct Oidc {
    options: OidcOptions,
    keys: Keys,
    checked: Cache<Digest, Checked>,
    clock: Arc<dyn Clock>,
}

/// A token that was right when it was checked.
#[derive(Clone)]
struct Checked {
    principal: Principal,
    expires_at: Timestamp,
    /// Of the keys that it was checked with: with others it has to be checked again.
    generation: u64,
}

impl Oidc {
    /// Of this issuer, whose keys come from there.
    pub fn new(options: OidcOptions, source: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        let checked = Cache::builder().max_capacity(CHECKED_MAX).time_to_idle(CHECKED_IDLE).build();
        Self { options, keys: Keys::new(source), checked, clock }
    }

    /// Fetches the keys before the first caller needs them. How many can be used.
    ///
    /// # Errors
    /// Where that does not work now. It is tried again when a caller comes.
    pub async fn prepare(&self) -> Result<usize, String> {
        self.keys.fetch(self.clock.now()).await
    }

    /// Whether this may be a signed JSON Web Token: three parts, the first a JSON object.
    pub(super) fn has_its_form(bearer: &str) -> bool {
        bearer.starts_with("ey") && bearer.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    pub(super) async fn check(&self, bearer: &str, digest: Digest) -> Result<Principal, Stranger> {
        let now = self.clock.now();
        let generation = self.keys.generation(now).await;
        let known = self.checked.get(&digest).filter(|checked| checked.generation == generation);
        let checked = if let Some(checked) = known {
            checked
        } else {
            let checked = self.verify(bearer, now).await.map_err(|refused| {
                tracing::debug!(reason = refused.reason(), "api.oidc.refused");
                refused.into_stranger()
            })?;
            self.checked.insert(digest, checked.clone());
            checked
        };
        if checked.expires_at <= now { Err(Stranger::Expired) } else { Ok(checked.principal) }
    }

    async fn verify(&self, bearer: &str, now: Timestamp) -> Result<Checked, Refused> {
        let wrong = Refused::Wrong;
        if bearer.len() > TOKEN_BYTES_MAX {
            return Err(wrong("too long"));
        }
        let token = Jws::parse(bearer).map_err(wrong)?;
        let found = self.keys.find(&token.kid, token.algorithm, now).await;
        let (key, generation) = found.ok_or(wrong("an unknown key"))?;
        let claims: Claims = token.claims(&key).map_err(wrong)?;
        let (principal, expires_at) = claims.principal(&self.options, now)?;
        Ok(Checked { principal, expires_at, generation })
    }
}

/// Why a token is not taken.
enum Refused {
    Wrong(&'static str),
    Expired,
}

impl Refused {
    fn reason(&self) -> &'static str {
        match self {
            Self::Wrong(reason) => reason,
            Self::Expired => "its time is over",
        }
    }

    fn into_stranger(self) -> Stranger {
        match self {
            Self::Wrong(_) => Stranger::Unknown,
            Self::Expired => Stranger::Expired,
        }
    }
}

#[async_trait]
impl Authenticator for Oidc {
    async fn authenticate(&self, bearer: &str) -> Result<Principal, Stranger> {
        self.check(bearer, Digest::of(bearer.as_bytes())).await
    }

    async fn knows(&self, principal: &Principal) -> Result<bool, EngineError> {
        let in_time = principal.expires_at.is_some_and(|end| end > self.clock.now());
        Ok(matches!(principal.actor, Actor::Subject(_)) && in_time)
    }

    fn can_be_guessed(&self, bearer: &str) -> bool {
        !Self::has_its_form(bearer)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
