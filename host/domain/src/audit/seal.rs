//! A seal: what is signed about a run of positions, and how seals hang together.

use super::{
    PublicKey, SealKey,
    tree::{self, Hash},
};
use crate::{event::Position, time::Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// Before the document in what is signed: the same key may sign other things one day.
const SEAL_TAG: &[u8] = b"action-service/seal/v1\n";

/// A hash as seals write it: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealHash(pub Hash);

impl SealHash {
    /// What the first seal says of the one before it.
    pub const NONE: Self = Self([0; 32]);
}

impl fmt::Display for SealHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SealHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits")]
pub struct InvalidHash;

impl FromStr for SealHash {
    type Err = InvalidHash;
    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| InvalidHash)?;
        Ok(Self(hash))
    }
}

impl TryFrom<String> for SealHash {
    type Error = InvalidHash;
    fn try_from(text: String) -> Result<Self, InvalidHash> {
        text.parse()
    }
}

impl From<SealHash> for String {
    fn from(hash: SealHash) -> Self {
        hash.to_string()
    }
}

/// What a seal says. Its JSON, without white space and with its members in this order, is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealDocument {
    /// From 1, without gaps.
    pub sequence: u64,
    /// The first position that it covers: the one behind the last of the seal before.
    pub first: Position,
    /// The last one; the one before `first` where it covers none.
    pub last: Position,
    /// When it was made.
    pub time: Timestamp,
    /// The Merkle root over the leaves of these positions.
    pub root: SealHash,
    /// The hash of the seal before; zeros where there is none.
    pub previous: SealHash,
    /// The key that signed it.
    pub key: PublicKey,
    /// The key that signs from the next seal on, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_key: Option<PublicKey>,
}

impl SealDocument {
    /// The key that has to sign the next seal.
    pub fn successor(&self) -> PublicKey {
        self.next_key.unwrap_or(self.key)
    }

    /// How many positions it covers.
    pub fn count(&self) -> u64 {
        u64::try_from(self.last.saturating_sub(self.first).saturating_add(1)).unwrap_or(0)
    }
}

/// A seal as it is stored: the very text that was signed, so that nothing has to be written again
/// to be checked. What a hand has been at may be no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Its place in the chain.
    pub sequence: u64,
    /// The first position that it covers.
    pub first: Position,
    /// The text of the [`SealDocument`].
    pub document: String,
    /// The signature.
    pub signature: Vec<u8>,
}

impl Seal {
    /// Signs a document.
    pub fn sign(document: &SealDocument, key: &SealKey) -> Self {
        // Plain members with text for keys: they always have a JSON form.
        let text = serde_json::to_string(document).unwrap_or_default();
        let signature = key.sign(&message(&text)).to_vec();
        Self { sequence: document.sequence, first: document.first, document: text, signature }
    }

    /// What it says; `None` where it is no document or has another spelling than the one that is
    /// signed.
    pub fn read(&self) -> Option<SealDocument> {
        let document: SealDocument = serde_json::from_str(&self.document).ok()?;
        let spelled = serde_json::to_string(&document).ok()?;
        (spelled == self.document).then_some(document)
    }

    /// Whether it goes behind this one, the last of a chain, or begins one.
    pub fn follows(&self, last: Option<&Self>) -> bool {
        let (sequence, hash) = last.map_or((0, SealHash::NONE), |last| (last.sequence, last.hash()));
        let named = self.read().map(|document| (document.sequence, document.first, document.previous));
        sequence.checked_add(1) == Some(self.sequence) && named == Some((self.sequence, self.first, hash))
    }

    /// Whether the owner of this key signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.verifies(&message(&self.document), &self.signature)
    }

    /// Its hash, by which the next seal and anchors name it: over the document and the signature.
    pub fn hash(&self) -> SealHash {
        let hash = Sha256::new().chain_update(message(&self.document)).chain_update(&self.signature);
        SealHash(hash.finalize().into())
    }

    /// What somebody remembers of it elsewhere.
    pub fn anchor(&self) -> Anchor {
        Anchor { sequence: self.sequence, hash: self.hash() }
    }

    /// The seal behind this document's, over these leaves.
    pub fn next(before: Option<(&SealDocument, SealHash)>, leaves: &[Hash], time: Timestamp, key: &SealKey) -> Self {
        Self::sign(&Self::draft(before, leaves, time, key), key)
    }

    /// The same, with a new key from the next one on.
    pub fn handing_over(
        before: Option<(&SealDocument, SealHash)>,
        leaves: &[Hash],
        time: Timestamp,
        key: &SealKey,
        to: PublicKey,
    ) -> Self {
        let document = SealDocument { next_key: Some(to), ..Self::draft(before, leaves, time, key) };
        Self::sign(&document, key)
    }

    fn draft(
        before: Option<(&SealDocument, SealHash)>,
        leaves: &[Hash],
        time: Timestamp,
        key: &SealKey,
    ) -> SealDocument {
        let (sequence, last) = before.map_or((0, 0), |(document, _)| (document.sequence, document.last));
        SealDocument {
            sequence: sequence + 1,
            first: last + 1,
            last: last + leaves.len() as Position,
            time,
            root: SealHash(tree::root(leaves)),
            previous: before.map_or(SealHash::NONE, |(_, hash)| hash),
            key: key.public(),
            next_key: None,
        }
    }
}

fn message(document: &str) -> Vec<u8> {
    [SEAL_TAG, document.as_bytes()].concat()
}

/// A seal that somebody remembers elsewhere: `sequence:hash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Its place in the chain.
    pub sequence: u64,
    /// Its hash.
    pub hash: SealHash,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

impl FromStr for Anchor {
    type Err = InvalidAnchor;
    fn from_str(text: &str) -> Result<Self, InvalidAnchor> {
        let (sequence, hash) = text.trim().split_once(':').ok_or(InvalidAnchor)?;
        let sequence = sequence.parse().map_err(|_| InvalidAnchor)?;
        Ok(Self { sequence, hash: hash.parse().map_err(|_| InvalidAnchor)? })
    }
}

/// The text is no anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an anchor is a seal's number, a colon and its hash of 64 hexadecimal digits")]
pub struct InvalidAnchor;

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> SealDocument {
        SealDocument {
            sequence: 2,
            first: 11,
            last: 20,
            time: "2026-11-23T05:08:00Z".parse().unwrap(),
            root: SealHash([1; 32]),
            previous: SealHash([2; 32]),
            key: SealKey::from_seed(&[7; 32]).public(),
            next_key: None,
        }
    }

    /// Written out: this text is signed, and never changes.
    #[test]
    fn the_text_is_as_documented() {
        let seal = Seal::sign(&document(), &SealKey::from_seed(&[7; 32]));
        let (ones, twos) = ("01".repeat(32), "02".repeat(32));
        let wanted = format!(
            r#"{{"sequence":2,"first":11,"last":20,"time":"2026-11-23T05:08:00.000000Z","root":"{ones}","previous":"{twos}","key":"6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw="}}"#
        );
        assert_eq!(seal.document, wanted);
        assert_eq!(seal.read(), Some(document()));
        assert!(seal.is_signed_by(&document().key));
        assert_eq!(format!("2:{}", seal.hash()).parse(), Ok(Anchor { sequence: 2, hash: seal.hash() }));
    }

    #[test]
    fn a_second_spelling_is_no_seal() {
        let seal = Seal::sign(&document(), &SealKey::from_seed(&[7; 32]));
        for other in [
            seal.document.replace(":2,", ": 2,"),
            seal.document.replace(r#""last":20"#, r#""last":20,"more":1"#),
            seal.document.replace(r#""first":11,"last":20"#, r#""last":20,"first":11"#),
            seal.document.replace("0101", "0101".to_uppercase().as_str()).replace(":00.000000Z", ":00Z"),
            String::new(),
        ] {
            assert_ne!(other, seal.document);
            assert_eq!(Seal { document: other.clone(), ..seal.clone() }.read(), None, "{other}");
        }
    }
}
