//! Sealing: the events behind the last seal are hashed into a Merkle tree and signed.
//!
//! It goes on only behind a chain that has the last seal that this process knows of
//! (`seal_mark.rs`): the word of the database alone would make it sign whatever stands there.
//!
//! It reads behind the log and writes one row, so whoever waits for a commit does not wait for
//! it. Any number of processes may seal: the store takes the one seal that is next.

use crate::{Engine, EngineError};
use action_domain::{
    audit::{Logged, PublicKey, SEAL_EVENTS_MAX, Seal, SealDocument, SealHash, SealKey, absent_leaf, tree::Hash},
    event::Position,
    repositories::{CommitError, Conflict, UnitOfWork, Write},
};
use bytes::Bytes;
use std::collections::BTreeSet;

/// Events that are read at once.
const PAGE: u32 = 256;

/// What sealing came to.
#[derive(Debug, Clone)]
pub struct SealedEvents {
    /// Seals that this call made.
    pub seals: u64,
    /// The last one of the chain.
    pub last: Option<(Seal, SealDocument)>,
}

/// What a new seal goes behind.
#[derive(Debug, Clone)]
struct Before {
    document: SealDocument,
    hash: SealHash,
}

/// Who signs the next seal.
struct Signer<'a> {
    key: &'a SealKey,
    /// To whom it hands over.
    to: Option<PublicKey>,
}

impl Engine {
    /// Whether this process can seal.
    pub fn seals(&self) -> bool {
        !self.inner.parts.seal_keys.is_empty()
    }

    /// The public key that signs now.
    ///
    /// # Errors
    /// If this process does not seal.
    pub fn seal_key(&self) -> Result<PublicKey, EngineError> {
        self.inner.parts.seal_keys.first().map(SealKey::public).ok_or(EngineError::NotFound("audit_key"))
    }

    /// Seals all events that are there. A key that the chain does not name is refused, unless the
    /// caller says that the old one is lost.
    ///
    /// # Errors
    /// If this process has no key, or the chain is another key's.
    pub async fn seal_events(&self, old_key_is_lost: bool) -> Result<SealedEvents, EngineError> {
        self.seal_key().map_err(|_| EngineError::Conflict {
            code: "sealing_off",
            message: "this process has no key to seal with".to_owned(),
        })?;
        let end = self.reader().last_position().await?;
        let mut seals = 0;
        loop {
            let last = self.last_seal().await?;
            let before = last.as_ref().map(|(seal, document)| Before { document: document.clone(), hash: seal.hash() });
            let signer = self.signer(before.as_ref(), old_key_is_lost)?;
            let from = before.as_ref().map_or(1, |before| before.document.last + 1);
            // A new key is made known also when nothing happened.
            if from > end && signer.to.is_none() {
                return Ok(SealedEvents { seals, last });
            }
            let to = end.min(from - 1 + SEAL_EVENTS_MAX as Position);
            let leaves = self.leaves(from, to).await?;
            let seal = self.sign(before.as_ref(), &leaves, &signer);
            let made = seal.anchor();
            let append = Write::AppendSealIfNext(Box::new(seal), Bytes::from(leaves.concat()));
            match self.store().commit(UnitOfWork::new().write(append)).await {
                Ok(_) => {
                    seals += 1;
                    self.mark(made).await;
                }
                // Another process was quicker: what it left goes on.
                Err(CommitError::Conflict(Conflict::NotNextSeal)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The last seal, and what it says. A process that seals looks first whether the chain is the one
    /// that it knows.
    pub(crate) async fn last_seal(&self) -> Result<Option<(Seal, SealDocument)>, EngineError> {
        let Some(seal) = self.known_chain().await? else { return Ok(None) };
        let document = seal.read().filter(|document| document.last < Position::MAX);
        let document = document.ok_or_else(|| {
            EngineError::Internal(format!("seal {} cannot be read: `audit verify` says more", seal.sequence))
        })?;
        Ok(Some((seal, document)))
    }

    fn sign(&self, before: Option<&Before>, leaves: &[Hash], signer: &Signer<'_>) -> Seal {
        let before = before.map(|before| (&before.document, before.hash));
        match signer.to {
            None => Seal::next(before, leaves, self.now(), signer.key),
            Some(to) => Seal::handing_over(before, leaves, self.now(), signer.key, to),
        }
    }

    fn signer(&self, before: Option<&Before>, old_key_is_lost: bool) -> Result<Signer<'_>, EngineError> {
        let keys = &self.inner.parts.seal_keys;
        let first = keys.first().ok_or(EngineError::NotFound("audit_key"))?;
        let Some(expected) = before.map(|before| before.document.successor()) else {
            return Ok(Signer { key: first, to: None });
        };
        match keys.iter().position(|key| key.public() == expected) {
            Some(0) => Ok(Signer { key: first, to: None }),
            Some(place) => Ok(Signer { key: &keys[place], to: Some(first.public()) }),
            None if old_key_is_lost => Ok(Signer { key: first, to: None }),
            None => Err(EngineError::Conflict {
                code: "audit_key_changed",
                message: format!(
                    "the chain of seals is signed by the key {} ({expected}), which this process does not have: give it \
                     behind the new one, or say that it is lost",
                    expected.id()
                ),
            }),
        }
    }

    /// What is sealed at each of these positions.
    async fn leaves(&self, from: Position, to: Position) -> Result<Vec<Hash>, EngineError> {
        let mut leaves = Vec::new();
        let mut absent = BTreeSet::new();
        let mut next = from;
        while next <= to {
            let page = self.store().logged(Some(next - 1), PAGE).await?;
            let here = page.iter().take_while(|logged| logged.position() <= to);
            let mut seen = 0;
            for logged in here {
                seen += 1;
                for position in next..logged.position() {
                    absent.insert(position);
                    leaves.push(absent_leaf(position));
                }
                next = logged.position() + 1;
                leaves.push(match logged {
                    Logged::Event(event) => event.leaf(),
                    Logged::Damaged { position, reason } => {
                        tracing::error!(position, reason, "engine.seal.damaged_event");
                        absent_leaf(*position)
                    }
                });
            }
            if seen < PAGE as usize {
                for position in next..=to {
                    absent.insert(position);
                    leaves.push(absent_leaf(position));
                }
                break;
            }
        }
        self.report_missing(absent).await?;
        Ok(leaves)
    }

    /// Positions have no gaps but those that a prune made. Any other is sealed as it is, and an
    /// audit says so for ever.
    async fn report_missing(&self, mut absent: BTreeSet<Position>) -> Result<(), EngineError> {
        let (Some(first), Some(last)) = (absent.first().copied(), absent.last().copied()) else { return Ok(()) };
        let mut after = Some(first - 1);
        while let Some(from) = after {
            let page = self.store().pruned(Some(from), PAGE).await?;
            after = page.last().map(|pruned| pruned.position).filter(|position| *position < last);
            for pruned in page {
                absent.remove(&pruned.position);
            }
        }
        for position in absent {
            tracing::error!(position, "engine.seal.missing_event");
        }
        Ok(())
    }
}
