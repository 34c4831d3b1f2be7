//! Who did something, as the record has it.

use crate::id::TokenId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr, sync::Arc};

/// Longest subject of an identity provider, in bytes: what OpenID Connect allows.
pub const SUBJECT_BYTES_MAX: usize = 255;

/// What stands before a subject, so that none can pass for one of the other words.
const SUBJECT: &str = "subject:";

/// Who did something. Its text form is what events have as `by`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// Whoever has the one token that the operator set or the first start made: `admin`.
    Admin,
    /// Whoever has this token: its id.
    Token(TokenId),
    /// Somebody whom the identity provider knows: `subject:…`.
    Subject(Arc<str>),
    /// Somebody at a command line that needs no service: `cli`.
    Cli,
    /// The service itself: `system`.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Token(id) => id.fmt(f),
            Self::Subject(subject) => write!(f, "{SUBJECT}{subject}"),
            Self::Cli => f.write_str("cli"),
            Self::System => f.write_str("system"),
        }
    }
}

/// The text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nobody is called that")]
pub struct UnknownActor;

impl FromStr for Actor {
    type Err = UnknownActor;

    fn from_str(text: &str) -> Result<Self, UnknownActor> {
        match text {
            "admin" => Ok(Self::Admin),
            "cli" => Ok(Self::Cli),
            "system" => Ok(Self::System),
            _ => match text.strip_prefix(SUBJECT) {
                Some(subject) => Ok(Self::Subject(subject.into())),
                None => text.parse().map(Self::Token).map_err(|_| UnknownActor),
            },
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_word_and_no_subject_can_pass_for_another() {
        let token: TokenId = "tok_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        for (actor, word) in [
            (Actor::Admin, "admin"),
            (Actor::Token(token), "tok_01h455vb4pex5vsknk084sn02q"),
            (Actor::Subject("admin".into()), "subject:admin"),
            (Actor::Subject("subject:x".into()), "subject:subject:x"),
            (Actor::Cli, "cli"),
            (Actor::System, "system"),
        ] {
            assert_eq!(actor.to_string(), word);
            assert_eq!(word.parse(), Ok(actor.clone()));
            let json = serde_json::to_string(&actor).unwrap();
            assert_eq!(serde_json::from_str::<Actor>(&json).unwrap(), actor);
        }
        assert!("root".parse::<Actor>().is_err());
    }
}
