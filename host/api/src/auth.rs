//! Who calls, and what they may do.
//!
//! Tokens are kept and compared as SHA-256 digests only: what is not kept cannot leak, and a
//! digest compared in constant time tells nothing about the token.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use std::{fmt, sync::Arc};
use subtle::ConstantTimeEq as _;

/// What a token lets its bearer do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything.
    Admin,
    /// Make and change protocols and actions.
    Configure,
    /// Run actions.
    Invoke,
    /// Look at what there is.
    Read,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Configure, Self::Invoke, Self::Read];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Configure => "configure",
            Self::Invoke => "invoke",
            Self::Read => "read",
        }
    }

    /// The scope that this word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// These scopes.
    pub const fn of(scopes: &[Scope]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < scopes.len() {
            bits |= scopes[index].bit();
            index += 1;
        }
        Self(bits)
    }

    /// Whether whoever has these scopes may do what any one of `needed` lets them do.
    pub const fn allow(self, needed: Self) -> bool {
        self.0 & (needed.0 | Scope::Admin.bit()) != 0
    }

    /// The scopes in it.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { " " })?;
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

/// Somebody who is known.
#[derive(Debug, Clone)]
pub struct Principal {
    /// For people and logs.
    pub name: Arc<str>,
    /// What they may do.
    pub scopes: Scopes,
}

/// Knows bearers of tokens.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Whose token this is; `None` if it is nobody's (any more).
    async fn authenticate(&self, bearer: &str) -> Option<Principal>;
}

/// Knows no token: for a listener that offers nothing to those who have one.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _bearer: &str) -> Option<Principal> {
        None
    }
}

/// The one token that an operator sets or the first start makes.
pub struct AdminToken {
    digest: [u8; 32],
    principal: Principal,
}

impl AdminToken {
    /// Keeps the token's digest.
    pub fn new(token: &str) -> Self {
        let principal = Principal { name: "admin".into(), scopes: Scopes::of(&[Scope::Admin]) };
        Self { digest: Sha256::digest(token.as_bytes()).into(), principal }
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

#[async_trait]
impl Authenticator for AdminToken {
    async fn authenticate(&self, bearer: &str) -> Option<Principal> {
        let digest: [u8; 32] = Sha256::digest(bearer.as_bytes()).into();
        bool::from(digest.ct_eq(&self.digest)).then(|| self.principal.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_may_everything_and_the_others_their_own() {
        for needed in Scope::ALL {
            assert!(Scopes::of(&[Scope::Admin]).allow(Scopes::of(&[needed])));
            for held in [Scope::Configure, Scope::Invoke, Scope::Read] {
                assert_eq!(Scopes::of(&[held]).allow(Scopes::of(&[needed])), held == needed, "{held:?} {needed:?}");
            }
            assert!(!Scopes::default().allow(Scopes::of(&[needed])));
        }
        assert!(Scopes::of(&[Scope::Read]).allow(Scopes::of(&[Scope::Read, Scope::Invoke])));
        assert_eq!(Scopes::of(&[Scope::Read, Scope::Invoke]).to_string(), "invoke read");
    }

    #[test]
    fn words_round_trip() {
        for scope in Scope::ALL {
            assert_eq!(Scope::from_word(scope.as_str()), Some(scope));
        }
    }

    #[tokio::test]
    async fn only_the_token_itself_is_admin() {
        let tokens = AdminToken::new("right");
        assert!(tokens.authenticate("right").await.is_some());
        for wrong in ["", "righ", "right ", "Right", "wrong"] {
            assert!(tokens.authenticate(wrong).await.is_none(), "{wrong:?}");
        }
        assert!(!format!("{tokens:?}").contains("right"));
    }
}
