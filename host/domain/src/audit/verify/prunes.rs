//! Whether what prunes recorded is what is missing, and whether the service did them.
//!
//! An event that says so is not enough: whoever writes the database can add one. What was sealed goes
//! only by the word of a key that seals. Only what was gone before anything was sealed needs none: the
//! first seal says so.

use crate::{
    audit::{Finding, FindingCode, LoggedEvent, PositionsDigest, PruneProof, PublicKey, Removed, RemovedDigest},
    digest::Digest,
    event::{EventType, Position},
    id::{EventId, ExecutionId},
    time::Timestamp,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What is said to have been removed, by the prune that did, until that prune's own event comes:
/// it stands behind all that it removed.
#[derive(Default)]
pub(super) struct Prunes {
    open: BTreeMap<EventId, Account>,
}

/// What is accounted to one prune.
#[derive(Default)]
struct Account {
    events: u64,
    last: Position,
    positions: PositionsDigest,
    removed: RemovedDigest,
    /// Whether any of it was there when it was sealed, or was never sealed.
    needs_proof: bool,
    /// Whether it cannot be told what any of it was: a seal is broken, which is found already.
    is_unknown: bool,
}

/// What was sealed at a position.
pub(super) enum WasSealed {
    /// Something, or nothing.
    As(crate::audit::tree::Hash),
    /// Nobody can tell any more.
    Unknown,
    /// It never was.
    Never,
}

/// What `events_pruned` says.
#[derive(Deserialize)]
struct Recorded {
    before: Timestamp,
    events: u64,
    positions: Option<Digest>,
    proof: Option<PruneProof>,
}

impl Prunes {
    /// A prune removed the event at this position, of this execution.
    pub(super) fn removed(&mut self, position: Position, by: EventId, of: Option<ExecutionId>, was: &WasSealed) {
        let account = self.open.entry(by).or_default();
        account.events += 1;
        account.last = position;
        account.positions.push(position);
        match was {
            WasSealed::As(leaf) => {
                account.needs_proof |= *leaf != crate::audit::absent_leaf(position);
                account.removed.push(&Removed { position, execution: of, leaf: *leaf });
            }
            WasSealed::Unknown => account.is_unknown = true,
            WasSealed::Never => account.needs_proof = true,
        }
    }

    /// An event comes that may be the one of a prune. `unsigned`: whether it happened before anything was
    /// sealed. `may_prove`: whether a key is one of the chain.
    pub(super) fn recorded(
        &mut self,
        event: &LoggedEvent,
        unsigned: bool,
        may_prove: impl Fn(&PublicKey) -> bool,
        found: &mut Vec<Finding>,
    ) {
        if event.r#type != EventType::EventsPruned.as_str() {
            return;
        }
        let account = self.open.remove(&event.id).unwrap_or_default();
        let Account { events, needs_proof, is_unknown, .. } = account;
        let recorded: Option<Recorded> = serde_json::from_str(&event.data).ok();
        let proof = recorded.as_ref().and_then(|recorded| recorded.proof.as_ref());
        let mut wrong = |code, message| found.push(Finding::new(code, message).at(event.position).of_event(event.id));
        let fits = recorded
            .as_ref()
            .is_some_and(|recorded| recorded.events == events && recorded.positions == account.positions.finish());
        if !fits {
            let said = recorded.map_or_else(|| "what cannot be read".to_owned(), |it| it.events.to_string());
            let message = format!(
                "the prune at position {} recorded {said} events, and {events} positions are accounted to it: they are \
                 not those that it removed",
                event.position
            );
            return wrong(FindingCode::PruneMismatch, message);
        }
        if events == 0 || unsigned && !needs_proof {
            return;
        }
        let Some(proof) = proof.filter(|proof| {
            let is_of = |recorded: &Recorded| proof.is_of(event.id, recorded.before, recorded.events);
            may_prove(&proof.key) && recorded.as_ref().is_some_and(is_of)
        }) else {
            let message = format!(
                "no key of the chain signed that the prune at position {} removed {events} events: somebody else did",
                event.position
            );
            return wrong(FindingCode::PruneUnproven, message);
        };
        if !is_unknown && Some(proof.removed) != account.removed.finish() {
            let message = format!(
                "what the prune at position {} removed is not what was sealed: events were changed before they were \
                 removed",
                event.position
            );
            wrong(FindingCode::PruneMismatch, message);
        }
    }

    /// No more events come.
    pub(super) fn finish(&mut self, found: &mut Vec<Finding>) {
        for (by, Account { events, last, .. }) in std::mem::take(&mut self.open) {
            let message = format!(
                "{events} events up to position {last} are accounted to the prune {by}, which is not in the log behind \
                 them"
            );
            found.push(Finding::new(FindingCode::PruneMismatch, message).at(last).of_event(by));
        }
    }
}
