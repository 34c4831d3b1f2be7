//! Whether what prunes recorded is what is missing.

use crate::{
    audit::{Finding, FindingCode, LoggedEvent, PositionsDigest},
    digest::Digest,
    event::{EventType, Position},
    id::EventId,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What is said to have been removed, by the prune that did, until that prune's own event comes:
/// it stands behind all that it removed.
#[derive(Default)]
pub(super) struct Prunes {
    open: BTreeMap<EventId, (u64, Position, PositionsDigest)>,
}

/// What `events_pruned` says.
#[derive(Deserialize)]
struct Recorded {
    events: u64,
    positions: Option<Digest>,
}

impl Prunes {
    /// A prune removed the event at this position.
    pub(super) fn removed(&mut self, position: Position, by: EventId) {
        let (count, last, digest) = self.open.entry(by).or_default();
        *count += 1;
        *last = position;
        digest.push(position);
    }

    /// An event comes that may be the one of a prune.
    pub(super) fn recorded(&mut self, event: &LoggedEvent, found: &mut Vec<Finding>) {
        if event.r#type != EventType::EventsPruned.as_str() {
            return;
        }
        let (count, _, digest) = self.open.remove(&event.id).unwrap_or_default();
        let recorded: Option<Recorded> = serde_json::from_str(&event.data).ok();
        let fits =
            recorded.as_ref().is_some_and(|recorded| recorded.events == count && recorded.positions == digest.finish());
        if !fits {
            let events = recorded.map_or_else(|| "what cannot be read".to_owned(), |it| it.events.to_string());
            let message = format!(
                "the prune at position {} recorded {events} events, and {count} positions are accounted to it: \
                 they are not those that it removed",
                event.position
            );
            let finding = Finding::new(FindingCode::PruneMismatch, message);
            found.push(finding.at(event.position).of_event(event.id));
        }
    }

    /// No more events come.
    pub(super) fn finish(&mut self, found: &mut Vec<Finding>) {
        for (by, (count, last, _)) in std::mem::take(&mut self.open) {
            let message = format!(
                "{count} events up to position {last} are accounted to the prune {by}, which is not in the log behind them"
            );
            found.push(Finding::new(FindingCode::PruneMismatch, message).at(last).of_event(by));
        }
    }
}
