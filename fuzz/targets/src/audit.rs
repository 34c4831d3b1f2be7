//! Proofs, keys, anchors and sealed logs that others hand over.
//!
//! The input: a proof, a public key, an anchor, and what a hand does to a log that was sealed.
#![cfg_attr(feature = "libfuzzer", no_main)]

use action_domain::{
    audit::{
        Anchor, Logged, LoggedEvent, Proof, PublicKey, Row, Seal, SealDocument, SealHash, SealKey, Verifier,
        tree::{self, Hash},
    },
    event::{Context, Position},
    id::EventId,
    time::Timestamp,
};
use action_fuzz_targets::parts;
use uuid::Uuid;

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

/// Events of the log, and how many a seal covers.
const EVENTS: Position = 11;
const PERIOD: usize = 4;

/// Reads what was handed over as somebody who trusts one key.
pub fn check(data: &[u8]) {
    let [proof, key, anchor, hand] = parts(data);
    let log = Log::sealed();
    of_a_proof(proof, &log);
    of_a_key(&String::from_utf8_lossy(key));
    if let Ok(anchor) = String::from_utf8_lossy(anchor).parse::<Anchor>() {
        assert_eq!(anchor.to_string().parse(), Ok(anchor));
        let known = log.seals.iter().any(|(seal, _)| anchor == Anchor { sequence: seal.sequence, hash: seal.hash() });
        assert_eq!(log.findings(vec![anchor]) == 0, known, "{anchor}");
    }
    of_a_hand(hand, &log);
    of_a_tree(hand);
}

fn key() -> SealKey {
    SealKey::from_seed(&[7; 32])
}

fn event(position: Position) -> LoggedEvent {
    LoggedEvent {
        position,
        id: EventId::from_uuid(Uuid::from_u128(position as u128)),
        r#type: "message_logged".to_owned(),
        time: Timestamp::from_micros(position),
        context: Context::default(),
        payload: None,
        data: "{}".to_owned(),
        kind: None,
    }
}

/// A log as a store would have it.
#[derive(Clone, PartialEq)]
struct Log {
    events: Vec<LoggedEvent>,
    seals: Vec<(Seal, Vec<u8>)>,
}

impl Log {
    /// One that is as it was sealed.
    fn sealed() -> Self {
        let events: Vec<LoggedEvent> = (1..=EVENTS).map(event).collect();
        let mut seals: Vec<(Seal, Vec<u8>)> = Vec::new();
        let mut before: Option<(SealDocument, SealHash)> = None;
        for part in events.chunks(PERIOD) {
            let leaves: Vec<Hash> = part.iter().map(LoggedEvent::leaf).collect();
            let named = before.as_ref().map(|(document, hash)| (document, *hash));
            let seal = Seal::next(named, &leaves, Timestamp::from_micros(1), &key());
            before = seal.read().map(|document| (document, seal.hash()));
            seals.push((seal, leaves.concat()));
        }
        Self { events, seals }
    }

    /// Whether what its seals cover is as it was in another one.
    fn is_as_sealed(&self, other: &Self) -> bool {
        let covered = Position::try_from(self.seals.len() * PERIOD).unwrap_or(Position::MAX);
        let of = |log: &Self| log.events.iter().filter(|event| event.position <= covered).cloned().collect::<Vec<_>>();
        of(self) == of(other)
    }

    /// How many things are wrong with it, to somebody who trusts the key.
    fn findings(&self, anchors: Vec<Anchor>) -> u64 {
        let mut verifier = Verifier::new(vec![key().public()], anchors);
        let mut rows = self.events.iter().map(|event| Row {
            position: event.position,
            event: Some(Logged::Event(Box::new(event.clone()))),
            pruned_by: None,
            pruned_of: None,
        });
        let mut next = rows.next();
        for (seal, leaves) in &self.seals {
            let last = verifier.open(seal, leaves);
            while let (Some(last), Some(row)) =
                (last, next.take_if(|row| last.is_some_and(|last| row.position <= last)))
            {
                debug_assert!(row.position <= last);
                verifier.row(row);
                next = rows.next();
            }
            verifier.close();
        }
        verifier.open_tail();
        while let Some(row) = next {
            verifier.row(row);
            next = rows.next();
        }
        verifier.finish().findings
    }
}

/// Nobody proves anything but what was sealed.
fn of_a_proof(text: &[u8], log: &Log) {
    let Ok(proof) = serde_json::from_slice::<Proof>(text) else { return };
    let Ok(document) = proof.check(&[key().public()]) else { return };
    let place = document.first - 1 + Position::try_from(proof.index).expect("a checked index");
    assert_eq!(proof.event, log.events[usize::try_from(place).expect("from 0")].canonical());
    assert!(log.seals.iter().any(|(seal, _)| seal.document == proof.seal));
    assert!(proof.check(&[SealKey::from_seed(&[8; 32]).public()]).is_err());
}

fn of_a_key(text: &str) {
    let Some(key) = PublicKey::from_any(text) else { return };
    assert_eq!(PublicKey::from_any(&key.to_pem()), Some(key));
    assert_eq!(PublicKey::from_bytes(key.as_bytes()), Some(key));
    assert_eq!(key.id().len(), 16);
    // A key of small order would verify what nobody signed.
    assert!(!key.verifies(text.as_bytes(), &[0; 64]));
}

/// Whatever is done to a sealed log is found. Each five bytes are one thing that a hand does.
fn of_a_hand(hand: &[u8], log: &Log) {
    let mut touched = log.clone();
    for step in hand.chunks_exact(5).take(8) {
        touch(&mut touched, step);
    }
    let findings = touched.findings(Vec::new());
    // Seals that were cut off at the end leave a whole chain, and what they covered is not sealed any more: only an
    // anchor tells, or a hole among the events.
    let cut = touched.seals.len() < log.seals.len() && log.seals.starts_with(&touched.seals);
    if touched == *log {
        assert_eq!(findings, 0);
    } else if !(cut && touched.is_as_sealed(log)) {
        assert!(findings > 0);
    }
}

fn touch(log: &mut Log, step: &[u8]) {
    let [what, place, value, more, byte] = [step[0], step[1], step[2], step[3], step[4]];
    let at = usize::from(place);
    match what % 6 {
        0 if at < log.events.len() => drop(log.events.remove(at)),
        1 if at < log.events.len() => log.events[at].data = format!("{{\"{value}\":{more}}}"),
        2 if at < log.events.len() => log.events[at].time = Timestamp::from_micros(i64::from(value)),
        3 if at < log.seals.len() => drop(log.seals.remove(at)),
        4 => {
            if let Some((seal, _)) = log.seals.get_mut(at)
                && let Some(letter) = seal.document.get(usize::from(value)..=usize::from(value))
                && letter.is_ascii()
                && byte.is_ascii_graphic()
            {
                let range = usize::from(value)..=usize::from(value);
                seal.document.replace_range(range, char::from(byte).encode_utf8(&mut [0; 4]));
            }
        }
        _ => {
            if let Some((seal, leaves)) = log.seals.get_mut(at) {
                let bytes = if more & 1 == 0 { leaves } else { &mut seal.signature };
                if let Some(found) = bytes.get_mut(usize::from(value)) {
                    *found = byte;
                }
            }
        }
    }
}

/// Every leaf leads to the root, and no other hash does.
fn of_a_tree(bytes: &[u8]) {
    let leaves: Vec<Hash> = bytes.chunks(3).take(40).map(tree::leaf).collect();
    let root = tree::root(&leaves);
    for (index, leaf) in leaves.iter().enumerate() {
        let path = tree::path(&leaves, index);
        let (place, count) = (index as u64, leaves.len() as u64);
        assert_eq!(tree::root_of_path(*leaf, place, count, &path), Some(root));
        assert_ne!(tree::root_of_path(root, place, count, &path), Some(root).filter(|_| count > 1));
        assert_eq!(tree::root_of_path(*leaf, count, count, &path), None);
    }
}
