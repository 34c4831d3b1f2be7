//! Secrets: named values that a config refers to and that nobody reads back.
//!
//! What is kept is sealed by a [`Vault`](crate::services::Vault). A config holds references
//! ([`reference`]). Each attempt gets an opaque handle in the place of each reference, and the
//! host knows what the handles stand for ([`AttemptSecrets`]). Whatever an attempt leaves in the
//! record goes past a [`Redactor`].

mod attempt;
mod redact;
pub mod reference;
mod spelling;

pub use attempt::{AttemptSecrets, HANDLE_BYTES, HANDLE_PREFIX, HandleError, Held, Spelling};
pub use redact::Redactor;

use crate::{name::Name, time::Timestamp};
use std::sync::Arc;

/// A secret's bytes. They are wiped when the last owner lets go of them, and `Debug` shows nothing.
pub type SecretValue = secrecy::SecretSlice<u8>;

/// What tells one key that seals secrets from another. It says nothing about the key.
pub type KeyId = Arc<str>;

/// The current version of a secret, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Unique.
    pub name: Name,
    /// 1 for the first value; each further value makes the next, also behind a deletion. Only the newest
    /// is kept.
    pub version: u32,
    /// The value, sealed for this name and version.
    pub sealed: Sealed,
    /// When the first value was set.
    pub created_at: Timestamp,
    /// When this value was set.
    pub updated_at: Timestamp,
}

/// A value under a data key of its own, and that key under one of the operator's. Opaque to all
/// but the vault that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The operator's key that wraps the data key.
    pub key: KeyId,
    /// The data key, wrapped.
    pub wrapped: Vec<u8>,
    /// The value, encrypted with the data key.
    pub data: Vec<u8>,
}

/// What is wrong with a value that somebody wants kept.
///
/// # Errors
/// Why it cannot be a secret, for people.
pub fn check_value(value: &[u8]) -> Result<(), String> {
    use crate::limits::{SECRET_BYTES_MAX, SECRET_BYTES_MIN};
    if value.len() > SECRET_BYTES_MAX {
        return Err(format!("a secret has at most {SECRET_BYTES_MAX} bytes"));
    }
    if value.trim_ascii().len() < SECRET_BYTES_MIN {
        return Err(format!(
            "a secret has at least {SECRET_BYTES_MIN} bytes beside white space around it: a shorter one could not be \
             told from other text when it is taken out of logs and outputs"
        ));
    }
    Ok(())
}
