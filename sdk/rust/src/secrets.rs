//! Secrets that the config names.
//!
//! In the config each is an opaque handle, a string of URL-safe characters, behind the prefix that
//! the action gives it. Put it where the value belongs (a header's value, the query, user or
//! password of [`crate::HttpRequest::basic_auth`], the key of a client certificate) and the
//! service puts the value in its place on the way out. Most protocols need nothing else, and never
//! see the value. In a path, a header's name, a body, or over a connection of the protocol's own it
//! stays a handle: who has to speak a secret there asks for it with [`reveal`].
//!
//! The type of such a property is [`Secret`]: its schema says `writeOnly`, without which the
//! service refuses secrets there.

use std::{fmt, ops::Deref};

use crate::Failure;
use crate::bindings::julee::action::secrets;
pub use crate::bindings::julee::action::secrets::{KeyEncoding, SecretError};

/// The value, for protocols that must speak it themselves. The action has to allow it.
pub fn reveal(handle: &str) -> Result<Vec<u8>, SecretError> {
    secrets::reveal(handle)
}

/// HMAC-SHA-256 keyed with the secret, without seeing it. `prefix` goes before the key
/// (`AWS4` for SigV4), empty for most.
pub fn hmac_sha256(handle: &str, encoding: KeyEncoding, prefix: &str, message: &[u8]) -> Result<Vec<u8>, SecretError> {
    secrets::hmac_sha256(handle, encoding, prefix, message)
}

/// Whether there is a secret's handle in some bytes: what looks like one, that is.
pub fn holds_handle(bytes: &[u8]) -> bool {
    const PREFIX: &[u8] = b"sec_";
    let is_handle = |window: &[u8]| window.starts_with(PREFIX) && window[4..].iter().all(u8::is_ascii_hexdigit);
    bytes.windows(PREFIX.len() + 32).any(is_handle)
}

/// A property of a config that may be a secret, and mostly is: then this is its handle. Where the
/// action gives plain text it is that, so it is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// See [`reveal`].
    pub fn reveal(&self) -> Result<Vec<u8>, SecretError> {
        reveal(&self.0)
    }

    /// The value, for a protocol that must speak it over a connection of its own: of a handle what the
    /// service reveals, and plain text as it is. `pointer` is the property's place in the config, for
    /// the failure that says what the action has to grant.
    pub fn value(&self, pointer: &str) -> Result<Vec<u8>, Failure> {
        if !self.is_handle() {
            return Ok(self.0.clone().into_bytes());
        }
        self.reveal().map_err(|error| {
            let message = match error {
                SecretError::NotGranted => {
                    "this protocol has to see the secret, and the action does not let it: add its name to grants.reveal"
                }
                SecretError::UnknownHandle => "this is not a reference to a secret",
            };
            Failure::invalid_config(format!("config {pointer}: {message}"))
                .details(&serde_json::json!({ "config_pointer": pointer }))
        })
    }

    /// Whether a secret stands behind it, and not plain text.
    pub fn is_handle(&self) -> bool {
        holds_handle(self.0.as_bytes())
    }

    /// See [`hmac_sha256`].
    pub fn hmac_sha256(&self, encoding: KeyEncoding, prefix: &str, message: &[u8]) -> Result<Vec<u8>, SecretError> {
        hmac_sha256(&self.0, encoding, prefix, message)
    }
}

/// To be put where the value belongs.
impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "writeOnly": true })
    }
}

#[cfg(all(test, feature = "schema"))]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, schemars::JsonSchema, Debug)]
    struct Config {
        /// The token.
        token: Secret,
        /// Another one.
        other: Option<Secret>,
    }

    #[test]
    fn its_schema_says_that_secrets_may_stand_there() {
        let schema = crate::schema::of::<Config>();
        for name in ["token", "other"] {
            assert_eq!(schema["properties"][name]["writeOnly"], true, "{schema}");
            assert_eq!(schema["properties"][name]["type"], "string", "{schema}");
        }
        assert_eq!(schema["properties"]["token"]["description"], "The token.");
    }

    #[test]
    fn it_is_a_text_that_debug_does_not_show() {
        let config: Config = serde_json::from_str(r#"{"token": "sec_0"}"#).unwrap();
        assert_eq!(&*config.token, "sec_0");
        assert!(config.other.is_none());
        assert!(!format!("{config:?}").contains("sec_0"));
    }
}
