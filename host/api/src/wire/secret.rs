//! Secrets: what is sent to set one, and what is told of one. Never a value.

use crate::error::Problem;
use action_domain::{failure::Issue, secret::Secret, time::Timestamp};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A secret's new value: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecretValue)]
pub(crate) struct SecretBody {
    /// As text.
    #[serde(default)]
    #[schema(write_only, nullable = false)]
    value: Option<String>,
    /// Bytes that are no text, in base64.
    #[serde(default)]
    #[schema(write_only, nullable = false)]
    base64: Option<String>,
}

impl fmt::Debug for SecretBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBody")
    }
}

impl SecretBody {
    /// The bytes, and the member that they stand in.
    pub(crate) fn into_bytes(self) -> Result<(Zeroizing<Vec<u8>>, &'static str), Problem> {
        let value = self.value.map(|text| Zeroizing::new(text.into_bytes()));
        let base64 = self.base64.map(|text| Zeroizing::new(text.into_bytes()));
        let wrong = |pointer, code, message| Problem::invalid_document(vec![Issue::new(pointer, code, message)]);
        match (value, base64) {
            (Some(value), None) => Ok((value, "/value")),
            (None, Some(text)) => match STANDARD.decode(&*text) {
                Ok(bytes) => Ok((Zeroizing::new(bytes), "/base64")),
                Err(_) => Err(wrong("/base64", "invalid_base64", "it is not base64")),
            },
            (None, None) => Err(wrong("/value", "required", "this member is missing, or `base64`")),
            (Some(_), Some(_)) => Err(wrong("/base64", "conflict", "either `value` or `base64`, not both")),
        }
    }
}

/// A secret, without its value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secret)]
pub(crate) struct SecretSummary<'a> {
    /// What configs call it by.
    #[schema(example = "orders-token")]
    name: &'a str,
    /// 1 for the first value; each further value makes the next.
    version: u32,
    /// The id of the key that seals it.
    #[schema(example = "5bdcc146bf60754e")]
    key: &'a str,
    /// When the first value was set.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When this value was set.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl<'a> From<&'a Secret> for SecretSummary<'a> {
    fn from(secret: &'a Secret) -> Self {
        let Secret { name, version, sealed, created_at, updated_at } = secret;
        Self {
            name: name.as_str(),
            version: *version,
            key: &sealed.key,
            created_at: *created_at,
            updated_at: *updated_at,
        }
    }
}

/// What became of all secrets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rewrapped)]
pub(crate) struct RewrappedBody {
    /// The id of the key under which they are now: the first that the service was given.
    pub(crate) key: String,
    /// How many were under another key before.
    pub(crate) secrets: u64,
    /// Those that none of the service's keys opens; they stay as they are.
    pub(crate) unreadable: Vec<String>,
}
