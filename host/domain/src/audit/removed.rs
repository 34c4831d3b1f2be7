//! What a prune removed, and the word for it of somebody who has a key that seals.
//!
//! Whoever writes the database can remove an event and add another one that says a prune did. Only a
//! holder of the key can say that the service removed these events, of these executions, as they were
//! sealed.

use super::{Logged, PublicKey, SealKey, absent_leaf, tree::Hash};
use crate::{
    digest::Digest,
    event::Position,
    id::{EventId, ExecutionId},
    time::Timestamp,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Before what is signed: the same key signs other things.
const PRUNE_TAG: &str = "action-service/prune/v1\n";

/// An event that a prune removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Where it stood.
    pub position: Position,
    /// The execution that it belonged to.
    pub execution: Option<ExecutionId>,
    /// Its leaf: of one that was changed it is not the sealed one.
    pub leaf: Hash,
}

impl Removed {
    /// What goes of what stands there.
    pub fn of(logged: &Logged) -> Self {
        match logged {
            Logged::Event(event) => {
                Self { position: event.position, execution: event.context.execution, leaf: event.leaf() }
            }
            Logged::Damaged { position, .. } => {
                Self { position: *position, execution: None, leaf: absent_leaf(*position) }
            }
        }
    }
}

/// SHA-256 over events in the order of their positions: of each the position as eight bytes, the most
/// significant first, the UUID of its execution (zeros where there is none), and its leaf.
#[derive(Debug, Clone, Default)]
pub struct RemovedDigest(Option<Sha256>);

impl RemovedDigest {
    /// One more; they come in the order of their positions.
    pub fn push(&mut self, removed: &Removed) {
        let hash = self.0.get_or_insert_default();
        hash.update(removed.position.to_be_bytes());
        hash.update(removed.execution.map_or(Uuid::nil(), |execution| execution.uuid()).as_bytes());
        hash.update(removed.leaf);
    }

    /// The digest; `None` of nothing.
    pub fn finish(self) -> Option<Digest> {
        self.0.map(|hash| Digest::from_bytes(hash.finalize().into()))
    }

    /// Of these, which are in their order.
    pub fn of(all: &[Removed]) -> Option<Digest> {
        let mut digest = Self::default();
        for removed in all {
            digest.push(removed);
        }
        digest.finish()
    }
}

/// A prune, signed when it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneProof {
    /// See [`RemovedDigest`].
    pub removed: Digest,
    /// Who signed.
    pub key: PublicKey,
    /// The signature, in base64.
    pub signature: String,
}

impl PruneProof {
    /// Signs that the prune which this event records removed so many events, of executions that had
    /// ended before.
    pub fn sign(event: EventId, before: Timestamp, events: u64, removed: Digest, key: &SealKey) -> Self {
        let signature = STANDARD.encode(key.sign(message(event, before, events, removed).as_bytes()));
        Self { removed, key: key.public(), signature }
    }

    /// Whether it was signed for this event.
    pub fn is_of(&self, event: EventId, before: Timestamp, events: u64) -> bool {
        let signature = STANDARD.decode(&self.signature);
        let message = message(event, before, events, self.removed);
        signature.is_ok_and(|signature| self.key.verifies(message.as_bytes(), &signature))
    }
}

fn message(event: EventId, before: Timestamp, events: u64, removed: Digest) -> String {
    format!("{PRUNE_TAG}{event}\n{before}\n{events}\n{removed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(position: Position) -> Removed {
        let execution = Some(ExecutionId::from_uuid(Uuid::from_u128(7)));
        Removed { position, execution, leaf: [position as u8; 32] }
    }

    #[test]
    fn the_digest_is_as_documented() {
        assert_eq!(RemovedDigest::of(&[]), None);
        let none = Removed { execution: None, ..removed(258) };
        let bytes = [
            &[0, 0, 0, 0, 0, 0, 0, 4][..],
            Uuid::from_u128(7).as_bytes(),
            &[4; 32],
            &[0, 0, 0, 0, 0, 0, 1, 2],
            &[0; 16],
            &[2; 32],
        ]
        .concat();
        assert_eq!(RemovedDigest::of(&[removed(4), none]), Some(Digest::of(&bytes)));
    }

    #[test]
    fn a_signature_is_of_its_prune_and_of_no_other() {
        let (one, other) = (EventId::from_uuid(Uuid::from_u128(1)), EventId::from_uuid(Uuid::from_u128(2)));
        let (before, later) = (Timestamp::from_micros(1), Timestamp::from_micros(2));
        let digest = Digest::of(b"x");
        let proof = PruneProof::sign(one, before, 3, digest, &SealKey::from_seed(&[7; 32]));
        assert!(proof.is_of(one, before, 3));
        assert!(!proof.is_of(other, before, 3) && !proof.is_of(one, later, 3) && !proof.is_of(one, before, 4));
        let wrong = [
            PruneProof { removed: Digest::of(b"y"), ..proof.clone() },
            PruneProof { key: SealKey::from_seed(&[8; 32]).public(), ..proof.clone() },
            PruneProof { signature: String::new(), ..proof },
        ];
        assert!(wrong.iter().all(|proof| !proof.is_of(one, before, 3)));
    }
}
