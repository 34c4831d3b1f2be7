//! Whether seals continue each other, are signed, and by whom.

use crate::audit::{Anchor, Finding, FindingCode, PublicKey, SEAL_EVENTS_MAX, Seal, SealDocument, SealHash};

/// The chain as far as it was read.
pub(super) struct Chain {
    /// Given from outside, and those to which a trusted one handed over.
    trusted: Vec<PublicKey>,
    /// Given from outside: a change between two of them needs no word of the first.
    given: Vec<PublicKey>,
    anchors: Vec<Anchor>,
    /// Those of its seals, and those to which they handed over.
    keys: Vec<PublicKey>,
    /// Whether what the last seal covers happened before anything was sealed: that is sealed at once, in
    /// seals that are full but the last.
    is_beginning: bool,
    /// Whether the next seal may be one of those.
    begins_still: bool,
    /// The number of the last seal.
    sequence: u64,
    /// The last seal's hash, and what it says where it can be read.
    last: Option<(SealHash, Option<SealDocument>)>,
}

impl Chain {
    pub(super) fn new(trusted: Vec<PublicKey>, anchors: Vec<Anchor>) -> Self {
        Self {
            given: trusted.clone(),
            keys: trusted.clone(),
            trusted,
            anchors,
            is_beginning: true,
            begins_still: true,
            sequence: 0,
            last: None,
        }
    }

    /// Checks the next seal; gives what it says, if that can be taken for what it said.
    pub(super) fn next(&mut self, seal: &Seal, found: &mut Vec<Finding>) -> Option<SealDocument> {
        let number = seal.sequence;
        let mut wrong = |code, message: String| found.push(Finding::new(code, message).of_seal(Some(number)));
        let follows = self.sequence.checked_add(1) == Some(number);
        if !follows {
            let (first, last) = (self.sequence.saturating_add(1), number.saturating_sub(1));
            let which = if first == last { format!("seal {first} is") } else { format!("seals {first} to {last} are") };
            wrong(FindingCode::SealRemoved, format!("{which} not there"));
        }
        self.sequence = number;
        let hash = seal.hash();
        let before = self.last.take().filter(|_| follows);
        self.last = Some((hash, None));
        self.anchors.retain(|anchor| {
            if anchor.sequence != number {
                return true;
            }
            if anchor.hash != hash {
                let message = format!("seal {number} has the hash {hash}, and the anchor {}", anchor.hash);
                wrong(FindingCode::AnchorDiffers, message);
            }
            false
        });
        let document = seal.read().filter(|document| (document.sequence, document.first) == (number, seal.first));
        let Some(document) = document else {
            wrong(FindingCode::SealChanged, format!("seal {number} cannot be read, or is another one's text"));
            return None;
        };
        if !seal.is_signed_by(&document.key) {
            let key = document.key;
            wrong(FindingCode::SealChanged, format!("seal {number} was changed: its signature by {key} is not of it"));
            return None;
        }
        let begins = match &before {
            Some((before, _)) if document.previous != *before => {
                wrong(FindingCode::ChainBroken, format!("seal {number} does not name the seal before it as it is"));
                None
            }
            Some((_, Some(before))) => {
                self.check_key(before, &document, found);
                Some(before.last.saturating_add(1))
            }
            Some((_, None)) => None,
            None if follows && document.previous != SealHash::NONE => {
                wrong(FindingCode::ChainBroken, format!("seal {number} is the first, and names one before it"));
                Some(1)
            }
            None => follows.then_some(1),
        };
        let fits = document.last.checked_add(1).is_some_and(|end| end >= document.first)
            && document.count() <= SEAL_EVENTS_MAX;
        if begins.is_some_and(|begins| begins != document.first) || !fits {
            let message = format!("seal {number} does not cover the positions behind the seal before it");
            found.push(Finding::new(FindingCode::ChainBroken, message).of_seal(Some(number)));
        }
        self.is_beginning = self.begins_still;
        self.begins_still &= document.count() == SEAL_EVENTS_MAX;
        for key in [document.key, document.successor()] {
            if !self.keys.contains(&key) {
                self.keys.push(key);
            }
        }
        if let Some(next) = document.next_key
            && self.trusted.contains(&document.key)
        {
            self.trusted.push(next);
        }
        self.last = Some((hash, Some(document.clone())));
        fits.then_some(document)
    }

    /// Whether what the last seal covers happened before there was any.
    pub(super) const fn is_beginning(&self) -> bool {
        self.is_beginning
    }

    /// Whether a key is one of those that signed it, or may sign what comes next. One that nobody
    /// introduced is a finding of its own.
    pub(super) fn knows(&self, key: &PublicKey) -> bool {
        self.keys.contains(key)
    }

    fn check_key(&self, before: &SealDocument, document: &SealDocument, found: &mut Vec<Finding>) {
        let both_given = self.given.contains(&before.key) && self.given.contains(&document.key);
        if document.key != before.successor() && !both_given {
            let (number, key) = (document.sequence, document.key);
            let message = format!("seal {number} is signed with {key}, which the seal before it does not name");
            found.push(Finding::new(FindingCode::KeyChanged, message).of_seal(Some(number)));
        }
    }

    /// There are no more seals. `rows` says how many positions were ever used.
    pub(super) fn finish(&self, rows: u64, found: &mut Vec<Finding>) {
        for anchor in &self.anchors {
            let message = format!("seal {} is not there, and the anchor has it: the chain was cut", anchor.sequence);
            found.push(Finding::new(FindingCode::AnchorMissing, message).of_seal(Some(anchor.sequence)));
        }
        match &self.last {
            Some((_, Some(last))) if !self.trusted.contains(&last.key) => {
                let message =
                    format!("the last seal, {}, is signed with {}, which is not trusted", last.sequence, last.key);
                found.push(Finding::new(FindingCode::KeyUntrusted, message).of_seal(Some(last.sequence)));
            }
            None if rows > 0 => {
                let message = "there are events and no seal: nothing is proven".to_owned();
                found.push(Finding::new(FindingCode::NothingSealed, message));
            }
            _ => {}
        }
    }
}
