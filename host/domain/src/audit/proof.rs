//! A proof that an event is in the log as it was sealed, for somebody who has the public key alone.

use super::{
    LoggedEvent, PublicKey, Seal, SealDocument, SealHash,
    canonical::leaf_of,
    tree::{self, Hash},
};
use crate::event::Position;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// The form of proofs of this release.
const FORMAT: &str = "action-service/proof/v1";

/// An inclusion proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Which form this is.
    pub format: String,
    /// The event's canonical text.
    pub event: String,
    /// The place of its leaf in the seal's tree.
    pub index: u64,
    /// From the leaf to the root, the lowest level first.
    pub path: Vec<SealHash>,
    /// The text of the seal's document, as it was signed.
    pub seal: String,
    /// The signature, in base64.
    pub signature: String,
    /// The short name of the key that signed it.
    pub key_id: String,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It has another form.
    #[error("not a proof of the form {FORMAT}")]
    Format,
    /// The seal is none.
    #[error("the seal cannot be read")]
    Seal,
    /// The key that is trusted is not the seal's.
    #[error("the seal is signed with the key {found}, and not with the one that is trusted")]
    Key {
        /// The seal's key.
        found: PublicKey,
    },
    /// The signature is not of this seal.
    #[error("the signature is not of this seal")]
    Signature,
    /// The event says that it stands elsewhere.
    #[error("the event does not say that it stands at position {position}")]
    Position {
        /// Where the leaf is.
        position: Position,
    },
    /// The path leads elsewhere.
    #[error("the path does not lead from this event to the seal's root: the event is not the one that was sealed")]
    Root,
}

impl Proof {
    /// For an event, from the leaves of the seal that covers it; `None` where that does not cover
    /// it, or covered another event at its place.
    pub fn new(event: &LoggedEvent, seal: &Seal, leaves: &[Hash]) -> Option<Self> {
        let document = seal.read()?;
        let index = usize::try_from(event.position.checked_sub(document.first)?).ok()?;
        if tree::root(leaves) != document.root.0 || *leaves.get(index)? != event.leaf() {
            return None;
        }
        Some(Self {
            format: FORMAT.to_owned(),
            event: event.canonical(),
            index: index as u64,
            path: tree::path(leaves, index).into_iter().map(SealHash).collect(),
            seal: seal.document.clone(),
            signature: STANDARD.encode(&seal.signature),
            key_id: document.key.id(),
        })
    }

    /// Whether it proves its event, to somebody who trusts one of these keys.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, trusted: &[PublicKey]) -> Result<SealDocument, ProofError> {
        if self.format != FORMAT {
            return Err(ProofError::Format);
        }
        let signature = STANDARD.decode(&self.signature).map_err(|_| ProofError::Signature)?;
        let seal = Seal { sequence: 0, first: 0, document: self.seal.clone(), signature };
        let document = seal.read().ok_or(ProofError::Seal)?;
        if !trusted.contains(&document.key) {
            return Err(ProofError::Key { found: document.key });
        }
        if !seal.is_signed_by(&document.key) {
            return Err(ProofError::Signature);
        }
        let place = Position::try_from(self.index).ok().and_then(|index| document.first.checked_add(index));
        let position = place.ok_or(ProofError::Root)?;
        // The text begins with the position; what it says and where it stands are one.
        if !self.event.starts_with(&format!("{{\"position\":{position},")) {
            return Err(ProofError::Position { position });
        }
        let path: Vec<Hash> = self.path.iter().map(|hash| hash.0).collect();
        let root = tree::root_of_path(leaf_of(&self.event), self.index, document.count(), &path);
        if root == Some(document.root.0) { Ok(document) } else { Err(ProofError::Root) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{SealKey, absent_leaf},
        event::Context,
        id::EventId,
        time::Timestamp,
    };
    use uuid::Uuid;

    fn proof() -> (Proof, PublicKey) {
        let key = SealKey::from_seed(&[7; 32]);
        let event = |position: Position| LoggedEvent {
            position,
            id: EventId::from_uuid(Uuid::from_u128(position as u128)),
            r#type: "message_logged".to_owned(),
            time: Timestamp::from_micros(position),
            context: Context::default(),
            payload: None,
            data: "{}".to_owned(),
            kind: None,
        };
        let mut leaves: Vec<Hash> = (1..=11).map(|position| event(position).leaf()).collect();
        leaves[4] = absent_leaf(5);
        let seal = Seal::next(None, &leaves, Timestamp::from_micros(1), &key);
        assert_eq!(Proof::new(&event(12), &seal, &leaves), None);
        assert_eq!(Proof::new(&event(5), &seal, &leaves), None);
        (Proof::new(&event(7), &seal, &leaves).unwrap(), key.public())
    }

    #[test]
    fn a_proof_proves_its_event_and_a_broken_one_nothing() {
        let (proof, key) = proof();
        assert_eq!(proof.check(&[key]).unwrap().sequence, 1);
        let text = serde_json::to_string(&proof).unwrap();
        assert_eq!(serde_json::from_str::<Proof>(&text).unwrap(), proof);
        let other = SealKey::from_seed(&[8; 32]);
        assert_eq!(proof.check(&[other.public()]), Err(ProofError::Key { found: key }));
        let broken = |change: &dyn Fn(&mut Proof)| {
            let mut proof = proof.clone();
            change(&mut proof);
            proof.check(&[key]).unwrap_err()
        };
        assert_eq!(broken(&|proof| proof.event = proof.event.replace("{}", "{ }")), ProofError::Root);
        assert_eq!(
            broken(&|proof| {
                proof.path.pop();
            }),
            ProofError::Root
        );
        assert_eq!(broken(&|proof| proof.path[0].0[0] ^= 1), ProofError::Root);
        assert_eq!(broken(&|proof| proof.index += 1), ProofError::Position { position: 8 });
        assert_eq!(broken(&|proof| proof.index = u64::MAX), ProofError::Root);
        assert_eq!(broken(&|proof| proof.seal.push(' ')), ProofError::Seal);
        assert_eq!(
            broken(&|proof| proof.seal = proof.seal.replace("\"last\":11", "\"last\":12")),
            ProofError::Signature
        );
        assert_eq!(broken(&|proof| proof.signature = proof.signature.replace('=', "")), ProofError::Signature);
        assert_eq!(broken(&|proof| proof.format.push('x')), ProofError::Format);
        let own = proof.seal.replace(&key.to_string(), &other.public().to_string());
        assert!(matches!(broken(&|proof| proof.seal.clone_from(&own)), ProofError::Key { .. }));
    }
}
