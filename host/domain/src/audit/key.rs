//! Ed25519 keys (RFC 8032): the one that seals, and the public ones that check.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// Bytes of a public key, and of the seed of a private one.
pub const KEY_BYTES: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// The beginning of a public key in DER (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";
/// The kind of an OpenSSH public key, and the bytes before the key in it.
const SSH: &str = "ssh-ed25519";
const SSH_HEAD: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";
/// The byte before the public key in the serialised form of the WebAssembly tool conventions.
const TOOL_CONVENTIONS_ID: u8 = 0x01;

/// A public key: 32 bytes that are one. Its text form is their base64.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// From its 32 bytes, where they are a key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; KEY_BYTES] = bytes.try_into().ok()?;
        // A key of small order verifies signatures that nobody made.
        VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak()).map(|_| Self(*bytes))
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Whether its owner signed this.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(&self.0), Signature::from_slice(signature)) else {
            return false;
        };
        key.verify_strict(message, &signature).is_ok()
    }

    /// A short name for people: the first sixteen hexadecimal digits of its SHA-256.
    pub fn id(&self) -> String {
        hex::encode(&Sha256::digest(self.as_bytes())[..8])
    }

    /// In PEM, for other tools.
    pub fn to_pem(&self) -> String {
        format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", STANDARD.encode([&SPKI[..], self.as_bytes()].concat()))
    }

    /// From any of the forms in which tools write public keys: base64 of the 32 bytes or of the form
    /// of the WebAssembly tool conventions (0x01 before them), PEM, OpenSSH.
    pub fn from_any(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix(PEM_BEGIN) {
            let body: String = rest.strip_suffix(PEM_END)?.split_ascii_whitespace().collect();
            return Self::from_bytes(STANDARD.decode(body).ok()?.strip_prefix(&SPKI)?);
        }
        if let Some(rest) = text.strip_prefix(SSH) {
            let body = STANDARD.decode(rest.split_ascii_whitespace().next()?).ok()?;
            return Self::from_bytes(body.strip_prefix(SSH_HEAD)?);
        }
        Self::from_raw(&STANDARD.decode(text).ok()?)
    }

    /// From the 32 bytes, or from the form of the WebAssembly tool conventions.
    pub fn from_raw(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [TOOL_CONVENTIONS_ID, key @ ..] if key.len() == KEY_BYTES => Self::from_bytes(key),
            key => Self::from_bytes(key),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// The text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an Ed25519 public key is the base64 of 32 bytes, PEM, or ssh-ed25519")]
pub struct InvalidKey;

impl FromStr for PublicKey {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::from_any(text).ok_or(InvalidKey)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = InvalidKey;
    /// Only the one text form: what is signed has no second spelling.
    fn try_from(text: String) -> Result<Self, InvalidKey> {
        let key = STANDARD.decode(&text).ok().and_then(|bytes| Self::from_bytes(&bytes));
        key.filter(|key| key.to_string() == text).ok_or(InvalidKey)
    }
}

/// A private key. It is wiped from memory when it goes, and shown nowhere.
#[derive(Clone)]
pub struct SealKey(SigningKey);

impl SealKey {
    /// From its seed.
    pub fn from_seed(seed: &[u8; KEY_BYTES]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// From the base64 of its seed.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut seed = [0; KEY_BYTES];
        let written = STANDARD.decode_slice(text.trim(), &mut seed).ok()?;
        let key = (written == KEY_BYTES).then(|| Self::from_seed(&seed));
        seed.fill(0);
        key
    }

    /// The text of a seed, as settings and files hold it.
    pub fn text_of(seed: &[u8; KEY_BYTES]) -> String {
        STANDARD.encode(seed)
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.public().id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, 7.1, test 2.
    #[test]
    fn keys_and_signatures_are_those_of_the_standard() {
        let seed = hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        let key = SealKey::from_seed(&seed.try_into().unwrap());
        let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(hex::encode(key.public().as_bytes()), public);
        let signature = key.sign(&[0x72]);
        assert_eq!(
            hex::encode(signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        assert!(key.public().verifies(&[0x72], &signature));
        assert!(!key.public().verifies(&[0x73], &signature));
        assert!(!key.public().verifies(&[0x72], &signature[..63]));
    }

    #[test]
    fn a_public_key_is_read_in_every_form_of_the_tools() {
        let key = SealKey::from_seed(&[7; 32]).public();
        let ssh = [SSH_HEAD, key.as_bytes()].concat();
        let conventions = [&[TOOL_CONVENTIONS_ID][..], key.as_bytes()].concat();
        for text in [
            key.to_string(),
            format!(" {key}\n"),
            STANDARD.encode(conventions),
            key.to_pem(),
            key.to_pem().replace('\n', "\r\n"),
            format!("ssh-ed25519 {} me@here", STANDARD.encode(ssh)),
        ] {
            assert_eq!(text.parse::<PublicKey>(), Ok(key), "{text}");
        }
        let zero = STANDARD.encode([0; 32]);
        for text in ["", "x", "ssh-rsa AAAA", "AAAA", zero.as_str(), "-----BEGIN PUBLIC KEY-----"] {
            assert_eq!(text.parse::<PublicKey>(), Err(InvalidKey), "{text}");
        }
    }

    #[test]
    fn a_private_key_is_shown_nowhere() {
        let text = SealKey::text_of(&[7; 32]);
        let key = SealKey::from_text(&text).unwrap();
        assert!(!format!("{key:?}").contains(&text[..8]));
        assert!(SealKey::from_text("AAAA").is_none() && SealKey::from_text("no base64").is_none());
    }
}
