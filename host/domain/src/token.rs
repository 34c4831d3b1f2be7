//! Tokens: who may do what, and how a token looks.
//!
//! What callers send is the token's id and 256 random bits. The id finds the token, and the digest
//! of the whole text proves it. A plain SHA-256 is enough to keep it: a slow hash guards what
//! people make up, and nobody guesses 256 random bits however fast they can try.

use crate::{
    actor::Actor,
    digest::Digest,
    failure::Issue,
    id::{ActionId, TokenId},
    time::Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, sync::Arc};

/// Longest name of a token, in bytes.
pub const TOKEN_NAME_BYTES_MAX: usize = 100;
/// Most actions that one token names: a list for it looks at each of them.
pub const TOKEN_ACTIONS_MAX: usize = 100;
/// Random bytes of a token.
pub const SECRET_BYTES: usize = 32;

/// What a token lets its bearer do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// A set of scopes. As JSON it is a list of words.
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

    /// Whether it has this one.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether there is none in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes in it.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
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

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Scope>::deserialize(deserializer).map(Self::from_iter)
    }
}

/// The only actions that a token reaches; `None` for all. One that was deleted matches nothing any
/// more, neither does another one that gets its name.
pub type Reach = Option<Arc<[ActionId]>>;

/// A token as it is kept. What callers send is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// For people.
    pub name: String,
    /// What it lets its bearer do.
    pub scopes: Scopes,
    /// With which actions.
    pub actions: Reach,
    /// Of what callers send.
    pub digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
    /// From then on it is worth nothing.
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// Whether its time is over.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// What is wrong with what is wished of a token, but for its actions being there.
    pub fn check(
        name: &str,
        scopes: Scopes,
        actions: Option<usize>,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Vec<Issue> {
        let mut issues = Vec::new();
        if name.trim().is_empty() || name.len() > TOKEN_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let message = format!("1 to {TOKEN_NAME_BYTES_MAX} bytes on one line");
            issues.push(Issue::new("/name", "invalid_name", message));
        }
        if scopes.is_empty() {
            issues.push(Issue::new("/scopes", "no_scope", "a token without a scope may do nothing"));
        }
        match actions {
            Some(0) => issues.push(Issue::new("/actions", "no_action", "leave it out for a token that reaches all")),
            Some(count) if count > TOKEN_ACTIONS_MAX => {
                let message = format!("at most {TOKEN_ACTIONS_MAX} actions");
                issues.push(Issue::new("/actions", "too_many", message));
            }
            Some(_) if scopes.has(Scope::Admin) => {
                let message = "the scope `admin` is everything, and cannot be limited to actions";
                issues.push(Issue::new("/actions", "admin_is_everything", message));
            }
            _ => {}
        }
        if expires_at.is_some_and(|end| end <= now) {
            issues.push(Issue::new("/expires_at", "in_the_past", "a time to come is needed"));
        }
        issues
    }
}

/// What callers send for a token with this id: `tok_01h4…_5f0c…`, the id and the secret in
/// hexadecimal. One look tells what it is, in a log or in a scanner of repositories, and the id in
/// it which one to revoke.
pub fn text(id: TokenId, secret: &[u8; SECRET_BYTES]) -> String {
    format!("{id}_{}", hex::encode(secret))
}

/// The id of the token that this may be the text of; `None` if it has another form.
pub fn id_in(text: &str) -> Option<TokenId> {
    let (id, secret) = text.rsplit_once('_')?;
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (secret.len() == 2 * SECRET_BYTES && secret.bytes().all(is_hex)).then(|| id.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "tok_01h455vb4pex5vsknk084sn02q";

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
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        let scopes = Scopes::of(&[Scope::Read, Scope::Configure]);
        let json = serde_json::to_string(&scopes).unwrap();
        assert_eq!(json, r#"["configure","read"]"#);
        assert_eq!(serde_json::from_str::<Scopes>(&json).unwrap(), scopes);
    }

    #[test]
    fn a_text_has_the_id_and_another_form_has_none() {
        let id: TokenId = ID.parse().unwrap();
        let text = text(id, &[0xa5; SECRET_BYTES]);
        assert_eq!(text, format!("{ID}_{}", "a5".repeat(SECRET_BYTES)));
        assert_eq!(id_in(&text), Some(id));
        let secret = "a5".repeat(SECRET_BYTES);
        for wrong in [
            String::new(),
            ID.to_owned(),
            format!("{ID}_"),
            format!("{ID}_{}", &secret[1..]),
            format!("{ID}_{secret}0"),
            format!("{ID}_{}", secret.to_uppercase()),
            format!("act_01h455vb4pex5vsknk084sn02q_{secret}"),
            format!("tok_{secret}"),
            format!("{ID}_{}ä", &secret[2..]),
        ] {
            assert_eq!(id_in(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_wrong_wish_is_named() {
        let now = Timestamp::from_micros(10);
        let check = |name: &str, scopes: &[Scope], actions, expires_at: Option<i64>| {
            let issues = Token::check(name, Scopes::of(scopes), actions, expires_at.map(Timestamp::from_micros), now);
            issues.into_iter().map(|issue| issue.code).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(check("ci", &[Scope::Invoke], Some(1), Some(11)), "");
        assert_eq!(check("ü".repeat(50).as_str(), &[Scope::Admin], None, None), "");
        assert_eq!(check(" ", &[], Some(0), Some(10)), "invalid_name no_scope no_action in_the_past");
        assert_eq!(check("a\nb", &[Scope::Admin], Some(1), None), "invalid_name admin_is_everything");
        assert_eq!(check(&"x".repeat(101), &[Scope::Read], Some(101), None), "invalid_name too_many");
    }

    #[test]
    fn a_token_expires_at_its_time() {
        let token = Token {
            id: ID.parse().unwrap(),
            name: "ci".into(),
            scopes: Scopes::of(&[Scope::Invoke]),
            actions: Some(["act_01h455vb4pex5vsknk084sn02q".parse().unwrap()].into()),
            digest: Digest::of(b"x"),
            created_at: Timestamp::from_micros(1),
            created_by: Actor::Admin,
            expires_at: Some(Timestamp::from_micros(3)),
        };
        assert!(!token.has_expired(Timestamp::from_micros(2)));
        assert!(token.has_expired(Timestamp::from_micros(3)));
        assert!(!Token { expires_at: None, ..token.clone() }.has_expired(Timestamp::from_micros(i64::MAX)));
        let json = serde_json::to_string(&token).unwrap();
        assert_eq!(serde_json::from_str::<Token>(&json).unwrap(), token);
    }
}
