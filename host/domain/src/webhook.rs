//! Webhooks: where they listen, and how a delivery proves who sent it.

pub mod request;
pub mod verify;

use crate::{failure::Issue, limits::WEBHOOK_KEY_BYTES_MIN, name::Name, secret::SecretValue, time::Timestamp};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

/// Longest path of a webhook, in bytes.
pub const PATH_BYTES_MAX: usize = 200;
/// How far the time that a delivery was signed at may be from now, where nobody says, in seconds.
pub const TOLERANCE_S: u32 = 300;

/// A request to the public listener sets the action off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Behind `/hooks/`: letters, digits, `-`, `_`, `.`, and `/` between them.
    pub path: String,
    /// How a delivery proves who sent it.
    pub verify: Verify,
    /// What the caller is answered, where that is said; see [`Webhook::responds`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond: Option<Respond>,
    /// A jq condition over the delivery's body: what it does not hold for is recorded and ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// What the caller of a webhook is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Respond {
    /// 202 with the execution's id, once the trigger is durable.
    #[default]
    Accepted,
    /// What the protocol answers, once the execution has ended.
    Outcome,
}

/// How a delivery proves who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    scheme: Scheme,
    /// The secret that it is proved with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Name>,
    /// How far the time that it was signed at may be from now, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tolerance_s: Option<u32>,
    /// Of a key: so many deliveries and no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_uses: Option<u32>,
    /// Of a key: until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// Known ways to prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Not at all: whoever knows the path.
    None,
    /// `?key=` or `X-Webhook-Key` is the secret.
    Key,
    /// [Standard Webhooks](https://www.standardwebhooks.com/).
    StandardWebhooks,
    /// `X-Hub-Signature-256`.
    Github,
    /// `Stripe-Signature`.
    Stripe,
    /// `X-Slack-Signature`.
    Slack,
    /// The component verifies and answers.
    Protocol,
}

impl Scheme {
    /// Whether a secret proves it.
    pub const fn takes_secret(self) -> bool {
        !matches!(self, Self::None | Self::Protocol)
    }

    /// Whether the time that it was signed at is part of it.
    pub const fn has_time(self) -> bool {
        matches!(self, Self::StandardWebhooks | Self::Stripe | Self::Slack)
    }
}

/// What is wrong with a secret as the key of `scheme: key`.
///
/// # Errors
/// Why it proves nothing, for people.
pub fn check_key(secret: &[u8]) -> Result<(), String> {
    if secret.trim_ascii().len() >= WEBHOOK_KEY_BYTES_MIN {
        return Ok(());
    }
    Err(format!(
        "as the key of a webhook a secret has at least {WEBHOOK_KEY_BYTES_MIN} bytes: a shorter one is guessed"
    ))
}

/// The same of a secret that was opened.
///
/// # Errors
/// Why it proves nothing, for people.
pub fn check_opened_key(secret: &SecretValue) -> Result<(), String> {
    check_key(secret.expose_secret())
}

impl Verify {
    /// How.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The secret that it is proved with.
    pub const fn secret(&self) -> Option<&Name> {
        self.secret.as_ref()
    }

    /// How far the time that it was signed at may be from now, in seconds.
    pub fn tolerance_s(&self) -> u32 {
        self.tolerance_s.unwrap_or(TOLERANCE_S)
    }

    /// Of a key: so many deliveries and no more.
    pub const fn max_uses(&self) -> Option<u32> {
        self.max_uses
    }

    /// Of a key: until then.
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    fn check(&self, issues: &mut Vec<Issue>) {
        let mut refuse = |member: &str, code: &str, message: &str| {
            issues.push(Issue::new(format!("/verify/{member}"), code, message));
        };
        match (self.scheme.takes_secret(), &self.secret) {
            (true, None) => refuse("secret", "required", "the name of the secret that deliveries are proved with"),
            (false, Some(_)) => refuse("secret", "invalid", "this scheme has no secret"),
            _ => {}
        }
        if self.tolerance_s.is_some() && !self.scheme.has_time() {
            refuse("tolerance_s", "invalid", "this scheme signs no time");
        }
        if self.tolerance_s.is_some_and(|tolerance| !(1..=86_400).contains(&tolerance)) {
            refuse("tolerance_s", "out_of_range", "1 s to a day");
        }
        if self.scheme != Scheme::Key {
            if self.max_uses.is_some() {
                refuse("max_uses", "invalid", "only a key is counted");
            }
            if self.expires_at.is_some() {
                refuse("expires_at", "invalid", "only a key expires");
            }
        }
        if self.max_uses == Some(0) {
            refuse("max_uses", "out_of_range", "at least 1");
        }
    }
}

impl Webhook {
    /// What the caller is answered. Where the component verifies, only it knows what.
    pub fn responds(&self) -> Respond {
        if self.verify.scheme == Scheme::Protocol { Respond::Outcome } else { self.respond.unwrap_or_default() }
    }

    /// What is wrong with it; the pointers are into it.
    pub fn check(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        let of_path = |part: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain)
        };
        if self.path.len() > PATH_BYTES_MAX || !self.path.split('/').all(of_path) {
            let message = "letters, digits, `-`, `_`, `.`, and `/` between them, 200 bytes at most";
            issues.push(Issue::new("/path", "invalid_path", message));
        }
        self.verify.check(&mut issues);
        if self.verify.scheme == Scheme::Protocol && self.respond == Some(Respond::Accepted) {
            issues.push(Issue::new("/respond", "invalid", "where the component verifies, it answers too"));
        }
        issues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_has_its_place() {
        let pointers = |document| -> Vec<String> {
            let webhook: Webhook = serde_json::from_value(document).unwrap();
            webhook.check().into_iter().map(|issue| issue.pointer).collect()
        };
        assert!(pointers(json!({"path": "a/b.c-d_e", "verify": {"scheme": "none"}})).is_empty());
        assert!(pointers(json!({"path": "a", "verify": {"scheme": "github", "secret": "hook"}})).is_empty());
        for path in ["", "/a", "a/", "a//b", "a/../b", "a?b", "ä"] {
            assert_eq!(pointers(json!({"path": path, "verify": {"scheme": "protocol"}})), ["/path"], "{path}");
        }
        assert_eq!(
            pointers(
                json!({"path": "a", "verify": {"scheme": "none", "secret": "s", "max_uses": 0, "tolerance_s": 9}})
            ),
            ["/verify/secret", "/verify/tolerance_s", "/verify/max_uses", "/verify/max_uses"]
        );
        assert_eq!(pointers(json!({"path": "a", "verify": {"scheme": "stripe"}})), ["/verify/secret"]);
        let answers =
            |scheme, respond| pointers(json!({"path": "a", "verify": {"scheme": scheme}, "respond": respond}));
        assert_eq!(answers("protocol", "accepted"), ["/respond"]);
        assert!(answers("protocol", "outcome").is_empty() && answers("none", "accepted").is_empty());
    }
}
