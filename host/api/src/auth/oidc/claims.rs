//! What a token says of its bearer.

use super::{OidcOptions, Refused};
use crate::Principal;
use action_domain::{
    actor::{Actor, SUBJECT_BYTES_MAX},
    time::Timestamp,
    token::{Scope, Scopes},
};
use serde::Deserialize;
use std::time::Duration;

/// What stands before our words among the scopes of an issuer, who has others for other services.
const SCOPE_PREFIX: &str = "action-service:";
/// How far the issuer's clock may be ahead of ours.
const LEEWAY: Duration = Duration::from_secs(30);

/// The claims that count. One that is there twice is refused with the whole.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    exp: f64,
    nbf: Option<f64>,
    /// RFC 8693: words with spaces between them.
    scope: Option<OneOrMany>,
    /// What some issuers have instead.
    scp: Option<OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

/// Seconds since the Unix epoch, with a fraction or not; the nearest representable time.
fn time(seconds: f64) -> Timestamp {
    Timestamp::from_micros((seconds * 1e6) as i64)
}

impl Claims {
    /// Who that is and until when, if it is for us and the time is right.
    pub(super) fn principal(&self, options: &OidcOptions, now: Timestamp) -> Result<(Principal, Timestamp), Refused> {
        let wrong = |reason| Err(Refused::Wrong(reason));
        if self.iss != options.issuer {
            return wrong("another issuer");
        }
        if !self.aud.iter().any(|audience| audience == options.audience) {
            return wrong("for another audience");
        }
        if self.nbf.is_some_and(|start| time(start) > now.plus(LEEWAY)) {
            return wrong("its time has not come");
        }
        let in_bounds = (1..=SUBJECT_BYTES_MAX).contains(&self.sub.len());
        if !in_bounds || self.sub.chars().any(char::is_control) {
            return wrong("a subject that is none");
        }
        let expires_at = time(self.exp);
        if expires_at <= now {
            return Err(Refused::Expired);
        }
        let actor = Actor::Subject(self.sub.as_str().into());
        let principal = Principal { actor, scopes: self.scopes(), reach: None, expires_at: Some(expires_at) };
        Ok((principal, expires_at))
    }

    fn scopes(&self) -> Scopes {
        let words = [&self.scope, &self.scp].into_iter().flatten().flat_map(OneOrMany::iter);
        let words = words.flat_map(|words| words.split(' '));
        words.filter_map(|word| Scope::from_word(word.strip_prefix(SCOPE_PREFIX)?)).collect()
    }
}
