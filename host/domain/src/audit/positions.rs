//! Which positions a prune removed, as one digest in its event.

use crate::{digest::Digest, event::Position};
use sha2::{Digest as _, Sha256};

/// SHA-256 over positions in their order, each as eight bytes, the most significant first.
#[derive(Debug, Clone, Default)]
pub struct PositionsDigest(Option<Sha256>);

impl PositionsDigest {
    /// One more; positions come in their order.
    pub fn push(&mut self, position: Position) {
        self.0.get_or_insert_default().update(position.to_be_bytes());
    }

    /// The digest; `None` of no positions.
    pub fn finish(self) -> Option<Digest> {
        self.0.map(|hash| Digest::from_bytes(hash.finalize().into()))
    }

    /// Of these, which are in their order.
    pub fn of(positions: &[Position]) -> Option<Digest> {
        let mut digest = Self::default();
        for position in positions {
            digest.push(*position);
        }
        digest.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_documented() {
        assert_eq!(PositionsDigest::of(&[]), None);
        assert_eq!(PositionsDigest::of(&[4, 258]), Some(Digest::of(&[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 1, 2])));
    }
}
