//! Secrets that the config names.
//!
//! In the config each is an opaque handle, a string of URL-safe characters. Put it where the
//! value belongs (a header, the query, the password of [`crate::HttpRequest::basic_auth`]) and
//! the service puts the value in its place on the way out. Most protocols need nothing else,
//! and never see the value.

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
