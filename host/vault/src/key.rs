//! A key of the operator's: 32 bytes, and an id that tells it from others.

use action_domain::{secret::KeyId, services::VaultError};
use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// As XChaCha20-Poly1305 has it.
const KEY_BYTES: usize = 32;
/// As many of the id's bytes as tell the keys of one operator apart.
const ID_BYTES: usize = 8;

/// With and without padding: people copy both.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key that seals secrets. Wiped when it is dropped.
pub struct Key {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: KeyId,
}

/// A text is no key. What it looks like is not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key {0} is not 32 bytes in base64 or hexadecimal digits (`openssl rand -base64 32` makes one)")]
pub struct InvalidKey(pub usize);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

impl Key {
    /// A new one, of the system's randomness.
    ///
    /// # Errors
    /// [`VaultError::NoRandomness`].
    pub fn random() -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        fill(&mut *bytes)?;
        Ok(Self::of(bytes))
    }

    /// From base64 or hexadecimal digits; it stands at this place among others.
    pub(crate) fn parse(text: &str, place: usize) -> Result<Self, InvalidKey> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let invalid = InvalidKey(place);
        if text.len() == KEY_BYTES * 2 {
            hex::decode_to_slice(text, &mut *bytes).map_err(|_| invalid)?;
        } else {
            let decoded = Zeroizing::new(LENIENT.decode(text).map_err(|_| invalid.clone())?);
            let decoded = decoded.get(..).filter(|decoded| decoded.len() == KEY_BYTES).ok_or(invalid)?;
            bytes.copy_from_slice(decoded);
        }
        Ok(Self::of(bytes))
    }

    fn of(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        // A key of any length makes an HMAC; it cannot fail.
        let tag = Hmac::<Sha256>::new_from_slice(&*bytes).map(|mut mac| {
            mac.update(b"action-service: the id of a key that seals secrets");
            mac.finalize().into_bytes()
        });
        let id = tag.map(|tag| hex::encode(&tag[..ID_BYTES])).unwrap_or_default();
        Self { bytes, id: id.into() }
    }

    /// What tells it from others.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// In base64, for a file that is its owner's alone.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }
}

/// Random bytes from the system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), VaultError> {
    getrandom::fill(bytes).map_err(|_| VaultError::NoRandomness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_in_two_spellings() {
        let hex = "00".repeat(31) + "ff";
        let key = Key::parse(&hex, 1).unwrap();
        let text = key.to_text();
        assert_eq!(Key::parse(&text, 1).unwrap().bytes(), key.bytes());
        assert_eq!(Key::parse(text.trim_end_matches('='), 1).unwrap().id(), key.id());
        assert_eq!(Key::parse(&hex.to_uppercase(), 1).unwrap().id(), key.id());
        assert_ne!(Key::random().unwrap().id(), key.id());
    }

    #[test]
    fn what_is_no_key_is_told_by_its_place() {
        for wrong in
            ["", "secret", &"0".repeat(63), &"g".repeat(64), &STANDARD.encode([0; 31]), &STANDARD.encode([0; 33])]
        {
            let error = Key::parse(wrong, 2).unwrap_err();
            assert_eq!(error, InvalidKey(2), "{wrong}");
            assert!(wrong.is_empty() || !error.to_string().contains(wrong));
        }
    }
}
