//! A log is sealed, a hand is laid on it in every way, and each time the verifier says what and where.

use super::*;
use crate::{
    audit::{PruneProof, Removed, RemovedDigest, SealDocument, SealKey},
    digest::Digest,
    event::{Context, EventType},
    time::Timestamp,
};
use proptest::prelude::*;
use uuid::Uuid;

/// A log as a store would have it.
#[derive(Clone)]
struct Log {
    rows: Vec<Row>,
    seals: Vec<(Seal, Vec<u8>)>,
}

fn key(number: u8) -> SealKey {
    SealKey::from_seed(&[number; 32])
}

fn event(position: Position) -> LoggedEvent {
    LoggedEvent {
        position,
        id: EventId::from_uuid(Uuid::from_u128(position as u128)),
        r#type: "message_logged".to_owned(),
        time: Timestamp::from_micros(position),
        context: Context::default(),
        payload: None,
        data: format!("{{\"n\":{position}}}"),
        kind: None,
    }
}

fn row(event: LoggedEvent) -> Row {
    Row { position: event.position, event: Some(Logged::Event(Box::new(event))), pruned_by: None, pruned_of: None }
}

impl Log {
    /// Events, the first `sealed` of them in seals of `period`.
    fn new(events: Position, sealed: usize, period: usize) -> Self {
        let mut log = Self { rows: (1..=events).map(|position| row(event(position))).collect(), seals: Vec::new() };
        log.seal(sealed, period, &key(1));
        log
    }

    fn last(&self) -> Option<(SealDocument, super::super::SealHash)> {
        self.seals.last().map(|(seal, _)| (seal.read().unwrap(), seal.hash()))
    }

    fn leaves(&self, range: std::ops::RangeInclusive<Position>) -> Vec<Hash> {
        let at = |position| match self.rows.iter().find(|row| row.position == position) {
            Some(Row { event: Some(Logged::Event(event)), .. }) => event.leaf(),
            _ => absent_leaf(position),
        };
        range.map(at).collect()
    }

    fn seal(&mut self, through: usize, period: usize, key: &SealKey) {
        loop {
            let last = self.last();
            let from = last.as_ref().map_or(0, |(document, _)| document.last);
            if from as usize >= through {
                return;
            }
            let to = through.min(from as usize + period) as Position;
            let leaves = self.leaves(from + 1..=to);
            let before = last.as_ref().map(|(document, hash)| (document, *hash));
            let seal = Seal::next(before, &leaves, Timestamp::from_micros(to), key);
            self.seals.push((seal, leaves.concat()));
        }
    }

    /// Removes what stands at these positions, as the service does.
    fn prune(&mut self, positions: &[Position]) {
        self.prune_by(positions, Some(&key(1)));
    }

    /// The same, signed with this key.
    fn prune_by(&mut self, positions: &[Position], key: Option<&SealKey>) {
        let position = self.rows.last().unwrap().position + 1;
        let mut prune = event(position);
        let mut removed = Vec::new();
        for row in self.rows.iter_mut().filter(|row| positions.contains(&row.position)) {
            removed.extend(row.event.as_ref().map(Removed::of));
            *row = Row { event: None, pruned_by: Some(prune.id), ..row.clone() };
        }
        EventType::EventsPruned.as_str().clone_into(&mut prune.r#type);
        let digest = super::super::PositionsDigest::of(positions);
        let (before, events) = (Timestamp::from_micros(1), positions.len() as u64);
        let what = RemovedDigest::of(&removed).unwrap();
        let proof = key.map(|key| PruneProof::sign(prune.id, before, events, what, key));
        prune.data =
            serde_json::json!({"before": before, "events": events, "positions": digest, "proof": proof}).to_string();
        self.rows.push(row(prune));
    }

    fn at(&mut self, position: Position) -> &mut LoggedEvent {
        let row = self.rows.iter_mut().find(|row| row.position == position);
        match row.and_then(|row| row.event.as_mut()) {
            Some(Logged::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    fn remove(&mut self, position: Position) {
        self.rows.retain(|row| row.position != position);
    }

    fn verify_with(&self, trusted: &[u8], anchors: &[Anchor]) -> (Vec<Finding>, Summary) {
        let trusted = trusted.iter().map(|number| key(*number).public()).collect();
        let mut verifier = Verifier::new(trusted, anchors.to_vec());
        let mut rows = self.rows.iter().peekable();
        for (seal, leaves) in &self.seals {
            if let Some(last) = verifier.open(seal, leaves) {
                while let Some(row) = rows.next_if(|row| row.position <= last) {
                    verifier.row(row.clone());
                }
            }
            verifier.close();
        }
        verifier.open_tail();
        rows.for_each(|row| verifier.row(row.clone()));
        let summary = verifier.finish();
        (verifier.take(), summary)
    }

    /// Code, seal and position of each finding.
    fn verify(&self) -> Vec<(&'static str, Option<u64>, Option<Position>)> {
        let (found, summary) = self.verify_with(&[1], &[]);
        assert_eq!(summary.findings, found.len() as u64);
        found.iter().map(|finding| (finding.code.as_str(), finding.seal, finding.position)).collect()
    }
}

/// Twenty events; three seals over the first fifteen.
fn log() -> Log {
    Log::new(20, 15, 5)
}

#[test]
fn a_log_as_it_was_sealed_is_well() {
    let (found, summary) = log().verify_with(&[1], &[]);
    assert_eq!(found, []);
    assert_eq!(summary, Summary { seals: 3, events: 20, pruned: 0, unsealed: 5, findings: 0 });
    assert_eq!(Log::new(0, 0, 5).verify(), []);
}

#[test]
fn a_changed_event_is_named_whatever_of_it_was_changed() {
    let changes: [fn(&mut LoggedEvent); 11] = [
        |event| event.data.push(' '),
        |event| event.r#type.push('x'),
        |event| event.time = event.time.plus(std::time::Duration::from_micros(1)),
        |event| event.id = EventId::from_uuid(Uuid::nil()),
        |event| event.payload = Some(Digest::of(b"")),
        |event| event.context.attempt = Some(1),
        |event| event.context.revision = Some(1),
        |event| event.context.correlation_id = Some("".into()),
        |event| event.context.causation_id = Some(EventId::from_uuid(Uuid::nil())),
        |event| event.context.action = Some(crate::id::ActionId::from_uuid(Uuid::nil())),
        |event| event.context.execution = Some(crate::id::ExecutionId::from_uuid(Uuid::nil())),
    ];
    for change in changes {
        let mut log = log();
        change(log.at(7));
        assert_eq!(log.verify(), [("event_changed", Some(2), Some(7))]);
    }
    let mut log = log();
    log.rows[6].event = Some(Logged::Damaged { position: 7, reason: "no id".to_owned() });
    assert_eq!(log.verify(), [("event_changed", Some(2), Some(7))]);
}

#[test]
fn removed_added_and_moved_events_are_told_apart() {
    let mut removed = log();
    removed.remove(7);
    removed.remove(8);
    let (found, _) = removed.verify_with(&[1], &[]);
    assert_eq!(
        (found.len(), found[0].code.as_str(), found[0].position, found[0].last_position),
        (1, "event_removed", Some(7), Some(8))
    );
    let mut all = log();
    all.rows.clear();
    assert_eq!(
        all.verify(),
        [
            ("event_removed", Some(1), Some(1)),
            ("event_removed", Some(2), Some(6)),
            ("event_removed", Some(3), Some(11))
        ]
    );
    let mut unsealed = log();
    unsealed.remove(18);
    assert_eq!(unsealed.verify(), [("event_removed", None, Some(18))]);

    let mut added = log();
    added.rows.insert(0, row(event(0)));
    assert_eq!(added.verify(), [("event_added", None, Some(0))]);

    let mut swapped = log();
    swapped.at(7).position = 9;
    swapped.rows[8].event = Some(Logged::Event(Box::new(LoggedEvent { position: 7, ..event(9) })));
    swapped.rows.swap(6, 8);
    (swapped.rows[6].position, swapped.rows[8].position) = (7, 9);
    assert_eq!(swapped.verify(), [("event_moved", Some(2), Some(7)), ("event_moved", Some(2), Some(9))]);

    // One was put in between, and those behind it moved on.
    let mut pushed = log();
    for row in &mut pushed.rows[7..] {
        row.position += 1;
        if let Some(Logged::Event(event)) = &mut row.event {
            event.position += 1;
        }
    }
    pushed.rows.insert(7, row(LoggedEvent { data: "{}".to_owned(), ..event(8) }));
    let found = pushed.verify();
    assert_eq!(
        found[..3],
        [("event_changed", Some(2), Some(8)), ("event_moved", Some(2), Some(9)), ("event_moved", Some(2), Some(10))]
    );
}

#[test]
fn a_chain_that_was_edited_cut_or_forged_is_found() {
    let mut edited = log();
    edited.seals[1].0.document = edited.seals[1].0.document.replace("000006Z", "000007Z").replace("00010Z", "00011Z");
    assert_eq!(edited.verify(), [("seal_changed", Some(2), None), ("chain_broken", Some(3), None)]);
    let mut signature = log();
    signature.seals[1].0.signature[0] ^= 1;
    assert_eq!(signature.verify(), [("seal_changed", Some(2), None), ("chain_broken", Some(3), None)]);
    let mut unreadable = log();
    unreadable.seals[1].0.document = "x".to_owned();
    assert_eq!(unreadable.verify()[0], ("seal_changed", Some(2), None));

    let mut removed = log();
    removed.seals.remove(1);
    assert_eq!(removed.verify(), [("seal_removed", Some(3), None)]);
    let mut first = log();
    first.seals.remove(0);
    assert_eq!(first.verify(), [("seal_removed", Some(2), None)]);
    let mut none = log();
    none.seals.clear();
    assert_eq!(none.verify(), [("nothing_sealed", None, None)]);

    let mut leaves = log();
    leaves.seals[1].1[0] ^= 1;
    assert_eq!(leaves.verify(), [("leaves_changed", Some(2), None)]);
    leaves.at(8).data.push(' ');
    assert_eq!(leaves.verify(), [("leaves_changed", Some(2), None), ("event_changed", Some(2), Some(6))]);

    // The same numbers on another seal.
    let mut copied = log();
    copied.seals[1].0.document = copied.seals[0].0.document.clone();
    copied.seals[1].0.signature = copied.seals[0].0.signature.clone();
    assert_eq!(copied.verify()[0], ("seal_changed", Some(2), None));
}

#[test]
fn a_chain_by_another_key_is_not_trusted() {
    let mut forged = log();
    forged.at(7).data.push(' ');
    forged.seals.clear();
    forged.seal(15, 5, &key(9));
    assert_eq!(forged.verify(), [("key_untrusted", Some(3), None)]);
    let mut half = log();
    half.seals.pop();
    half.at(12).data.push(' ');
    half.seal(15, 5, &key(9));
    assert_eq!(half.verify(), [("key_changed", Some(3), None), ("key_untrusted", Some(3), None)]);
}

#[test]
fn a_key_hands_over_to_the_next() {
    let mut log = Log::new(20, 5, 5);
    let last = log.last().unwrap();
    let leaves = log.leaves(6..=8);
    let over =
        Seal::handing_over(Some((&last.0, last.1)), &leaves, Timestamp::from_micros(1), &key(1), key(2).public());
    log.seals.push((over, leaves.concat()));
    log.seal(15, 5, &key(2));
    for trusted in [&[1][..], &[2], &[1, 2]] {
        assert_eq!(log.verify_with(trusted, &[]).0, [], "{trusted:?}");
    }
    let (found, _) = log.verify_with(&[3], &[]);
    assert_eq!(found[0].code, FindingCode::KeyUntrusted);
    // Without the old key's word only who names both accepts it.
    let mut lost = Log::new(20, 5, 5);
    lost.seal(15, 5, &key(2));
    assert_eq!(lost.verify_with(&[1, 2], &[]).0, []);
    for (trusted, codes) in [(&[1][..], &["key_changed", "key_untrusted"][..]), (&[2], &["key_changed"])] {
        let (found, _) = lost.verify_with(trusted, &[]);
        assert_eq!(found.iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>(), codes);
    }
}

#[test]
fn an_anchor_tells_that_the_end_was_cut_off() {
    let whole = log();
    let anchor = Anchor { sequence: 3, hash: whole.seals[2].0.hash() };
    assert_eq!(whole.verify_with(&[1], &[anchor]).0, []);
    let mut cut = log();
    cut.seals.pop();
    cut.rows.truncate(10);
    assert_eq!(cut.verify(), [], "without an anchor nobody can tell");
    assert_eq!(cut.verify_with(&[1], &[anchor]).0[0].code, FindingCode::AnchorMissing);
    // Cut, and sealed again with the real key.
    cut.rows = log().rows;
    cut.at(12).data.push(' ');
    cut.seal(15, 5, &key(1));
    assert_eq!(cut.verify(), []);
    assert_eq!(cut.verify_with(&[1], &[anchor]).0[0].code, FindingCode::AnchorDiffers);
    let mut none = log();
    none.seals.clear();
    none.rows.clear();
    assert_eq!(none.verify_with(&[1], &[anchor]).0[0].code, FindingCode::AnchorMissing);
}

#[test]
fn what_a_prune_removed_is_accounted_for_and_nothing_else() {
    let mut pruned = log();
    pruned.prune(&[2, 3, 9]);
    let (found, summary) = pruned.verify_with(&[1], &[]);
    assert_eq!((found.as_slice(), summary.pruned), (&[][..], 3));
    pruned.seal(21, 5, &key(1));
    assert_eq!(pruned.verify(), []);

    let mut more = pruned.clone();
    more.rows[6] = Row { position: 7, event: None, ..more.rows[8].clone() };
    assert_eq!(more.verify(), [("prune_mismatch", None, Some(21))]);
    // As many as were removed, but others.
    let mut others = more.clone();
    others.rows[8] = row(event(9));
    assert_eq!(others.verify(), [("prune_mismatch", None, Some(21))]);
    let mut unaccounted = pruned.clone();
    unaccounted.remove(9);
    assert_eq!(unaccounted.verify(), [("event_removed", Some(2), Some(9)), ("prune_mismatch", None, Some(21))]);
    let mut no_prune = log();
    let nobody = Some(EventId::from_uuid(Uuid::nil()));
    no_prune.rows[6] = Row { event: None, pruned_by: nobody, ..no_prune.rows[6].clone() };
    assert_eq!(no_prune.verify(), [("prune_mismatch", None, Some(7))]);
    let mut back = pruned.clone();
    back.rows[8].event = Some(Logged::Event(Box::new(event(9))));
    assert_eq!(back.verify()[0], ("event_added", Some(2), Some(9)));

    // What was pruned before it was sealed stays accounted for.
    let mut early = Log::new(10, 0, 5);
    early.prune(&[2, 3]);
    early.seal(11, 20, &key(1));
    assert_eq!(early.verify(), []);
    early.rows[1] = row(event(2));
    assert_eq!(early.verify(), [("event_added", Some(1), Some(2)), ("prune_mismatch", None, Some(11))]);
}

/// Whoever writes the database can make all of it but the signature.
#[test]
fn a_prune_is_believed_by_the_word_of_a_key_of_the_chain() {
    let unproven = [("prune_unproven", None, Some(21))];
    for by in [None, Some(key(9))] {
        let mut forged = log();
        forged.prune_by(&[7], by.as_ref());
        assert_eq!(forged.verify(), unproven);
        // The service seals what it finds, and that is no word for it.
        forged.seal(21, 5, &key(1));
        assert_eq!(forged.verify(), unproven);
    }
    // The signature of another prune of the same.
    let mut real = log();
    real.prune(&[7]);
    let mut copied = log();
    copied.prune_by(&[7], None);
    copied.at(21).data = real.at(21).data.clone();
    assert_eq!(copied.verify(), []);
    let other = EventId::from_uuid(Uuid::from_u128(99));
    copied.at(21).id = other;
    copied.rows[6].pruned_by = Some(other);
    assert_eq!(copied.verify(), unproven);
    // What the service was made to remove: an event that was no longer the sealed one, or said to be another
    // execution's.
    let mut changed = log();
    changed.at(7).context.execution = Some(ExecutionId::from_uuid(Uuid::nil()));
    changed.prune(&[7]);
    assert_eq!(changed.verify(), [("prune_mismatch", None, Some(21))]);
    let mut renamed = real.clone();
    renamed.rows[6].pruned_of = Some(ExecutionId::from_uuid(Uuid::from_u128(3)));
    assert_eq!(renamed.verify(), [("prune_mismatch", None, Some(21))]);
    // What was sealed as gone needs no word.
    let mut early = Log::new(10, 0, 5);
    early.prune_by(&[2, 3], None);
    assert_eq!(early.verify(), [("nothing_sealed", None, None)]);
    early.seal(11, 20, &key(1));
    assert_eq!(early.verify(), []);
    // Only before anything was sealed: what goes in the minute before it would be is gone by hand.
    let mut quick = log();
    quick.prune_by(&[18], None);
    assert_eq!(quick.verify(), unproven);
    quick.seal(21, 10, &key(1));
    assert_eq!(quick.verify(), unproven);
    // A key that came later may say so too.
    let mut later = log();
    let last = later.last().unwrap();
    let over = Seal::handing_over(Some((&last.0, last.1)), &[], Timestamp::from_micros(1), &key(1), key(2).public());
    later.seals.push((over, Vec::new()));
    later.prune_by(&[7], Some(&key(2)));
    assert_eq!(later.verify(), []);
}

/// Columns that repeat what the data say, for queries: they stand in no text.
#[test]
fn what_an_event_is_found_by_is_what_its_data_say() {
    let mut log = Log::new(20, 0, 5);
    EventType::ItemCaptured.as_str().clone_into(&mut log.at(7).r#type);
    log.at(7).data = r#"{"kind":"entry","key":null}"#.to_owned();
    log.at(7).kind = Some("entry".to_owned());
    log.seal(15, 5, &key(1));
    assert_eq!(log.verify(), []);
    for (position, kind) in [(7, None), (7, Some("hidden")), (8, Some("entry")), (18, Some("entry"))] {
        let mut log = log.clone();
        log.at(position).kind = kind.map(str::to_owned);
        let seal = (position < 16).then_some(2);
        assert_eq!(log.verify(), [("event_changed", seal, Some(position))], "{kind:?}");
    }
}

#[test]
fn what_was_gone_before_it_was_sealed_is_said_for_ever() {
    let mut log = Log::new(10, 0, 5);
    log.remove(4);
    log.seal(10, 5, &key(1));
    assert_eq!(log.verify(), [("event_removed", Some(1), Some(4))]);
}

/// Seals are read before they are trusted: what they claim costs nothing.
#[test]
fn a_seal_that_claims_everything_costs_nothing() {
    let document = |first, last| SealDocument { first, last, ..log().seals[0].0.read().unwrap() };
    for (first, last) in
        [(1, Position::MAX), (Position::MIN, Position::MAX), (Position::MAX, 1), (1 << 60, (1 << 60) + 3)]
    {
        let mut log = log();
        let mut seal = Seal::sign(&document(first, last), &key(1));
        seal.first = first;
        log.seals = vec![(seal, Vec::new())];
        assert!(log.verify().iter().any(|(code, ..)| *code == "chain_broken"));
    }
}

proptest! {
    /// Any one change to what is sealed is found.
    #[test]
    fn no_change_goes_unseen(
        events in 1_usize..40, period in 1_usize..12, at in any::<prop::sample::Index>(), way in 0_usize..9, bit in 0_usize..8,
    ) {
        let whole = Log::new(events as Position, events, period);
        prop_assert_eq!(whole.verify(), []);
        let anchor = Anchor { sequence: whole.seals.len() as u64, hash: whole.seals.last().unwrap().0.hash() };
        let mut log = whole.clone();
        let (row, seal) = (at.index(events), at.index(whole.seals.len()));
        let position = row as Position + 1;
        match way {
            0 => log.at(position).data.insert(0, ' '),
            1 => log.at(position).time = Timestamp::from_micros(0),
            2 => log.remove(position),
            3 => drop(log.seals.remove(seal)),
            4 => log.seals[seal].0.signature[at.index(64)] ^= 1 << bit,
            5 => {
                let length = log.seals[seal].1.len();
                log.seals[seal].1[at.index(length)] ^= 1 << bit;
            }
            6 => {
                let mut text = log.seals[seal].0.document.clone().into_bytes();
                let place = at.index(text.len());
                text[place] ^= 1 << (bit % 7);
                log.seals[seal].0.document = String::from_utf8_lossy(&text).into_owned();
            }
            7 => log.rows.truncate(row),
            _ => log.seals.truncate(seal),
        }
        prop_assert!(!log.verify_with(&[1], &[anchor]).0.is_empty());
    }
}
