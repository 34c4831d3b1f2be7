//! Walks a log with its seals and says everything that is not as it was sealed.
//!
//! It is told of seals in their order and of what stands at each position in its order, and holds
//! no more than one seal's leaves. Whoever reads the log does so as the [`Verifier`] asks:
//!
//! ```text
//! for each seal: open, then the rows up to its last position, then close
//! open_tail, the rest of the rows
//! finish
//! ```

mod chain;
mod prunes;

use super::{
    Anchor, Finding, FindingCode, Logged, LoggedEvent, PublicKey, Seal, absent_leaf,
    tree::{self, Builder, HASH_BYTES, Hash},
};
use crate::{
    event::Position,
    id::{EventId, ExecutionId},
};
use chain::Chain;
use prunes::{Prunes, WasSealed};
use serde::Serialize;

/// Events of one seal that are compared with each other's places, to tell moved from changed ones.
const MOVED_MAX: usize = 64;

/// What stands at a position.
#[derive(Debug, Clone)]
pub struct Row {
    /// The position.
    pub position: Position,
    /// What the log has there.
    pub event: Option<Logged>,
    /// The prune that says it removed the event there.
    pub pruned_by: Option<EventId>,
    /// The execution of which it says so.
    pub pruned_of: Option<ExecutionId>,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Seals.
    pub seals: u64,
    /// Events that are there.
    pub events: u64,
    /// Events that were removed, and a prune accounts for them.
    pub pruned: u64,
    /// Events behind the last seal: nothing is known of them yet.
    pub unsealed: u64,
    /// Things that are wrong.
    pub findings: u64,
}

/// The check of one log.
pub struct Verifier {
    chain: Chain,
    prunes: Prunes,
    /// The next position.
    next: Position,
    open: Open,
    summary: Summary,
    found: Vec<Finding>,
}

/// What covers the positions that are looked at.
enum Open {
    /// A seal.
    Sealed(Sealed),
    /// A seal of which nothing can be said but its end, or none any more.
    Unknown,
    /// Nothing yet.
    Tail,
}

struct Sealed {
    sequence: u64,
    first: Position,
    last: Position,
    root: Hash,
    /// What was sealed at each position; `None` where the list is not the sealed one.
    leaves: Option<Vec<Hash>>,
    /// From what is there, where the list cannot tell.
    found: Builder,
    mismatched: Vec<LoggedEvent>,
}

impl Verifier {
    /// For a log whose seals are signed with one of these keys, and that had these seals once.
    pub fn new(trusted: Vec<PublicKey>, anchors: Vec<Anchor>) -> Self {
        Self {
            chain: Chain::new(trusted, anchors),
            prunes: Prunes::default(),
            next: 1,
            open: Open::Tail,
            summary: Summary::default(),
            found: Vec::new(),
        }
    }

    /// The next seal, with its list of leaves. Gives the position of its last event, up to which
    /// rows come next; `None` where it cannot be told.
    pub fn open(&mut self, seal: &Seal, leaves: &[u8]) -> Option<Position> {
        self.summary.seals += 1;
        let Some(document) = self.chain.next(seal, &mut self.found) else {
            self.open = Open::Unknown;
            return None;
        };
        let (sequence, root) = (document.sequence, document.root.0);
        let listed: Vec<Hash> = leaves.chunks_exact(HASH_BYTES).filter_map(|leaf| leaf.try_into().ok()).collect();
        let fits = leaves.len() as u64 == document.count() * HASH_BYTES as u64 && tree::root(&listed) == root;
        if !fits {
            let message = format!("the list of leaves of seal {sequence} does not give its root: the list was changed");
            self.found.push(Finding::new(FindingCode::LeavesChanged, message).of_seal(Some(sequence)));
        }
        self.open = Open::Sealed(Sealed {
            sequence,
            first: document.first,
            last: document.last,
            root,
            leaves: fits.then_some(listed),
            found: Builder::default(),
            mismatched: Vec::new(),
        });
        Some(document.last)
    }

    /// What stands at the next position at which anything stands.
    pub fn row(&mut self, row: Row) {
        self.summary.events += u64::from(row.event.is_some());
        if row.position < self.next {
            let message = format!("there is an event at position {}, which no log has", row.position);
            self.found.push(Self::of_row(FindingCode::EventAdded, &row, message));
            return;
        }
        self.missing(row.position);
        self.next = row.position.saturating_add(1);
        if let Some(event) = &row.event {
            self.event(&row, event);
        } else if let Some(by) = row.pruned_by {
            self.summary.pruned += 1;
            let was = match &mut self.open {
                Open::Sealed(sealed) => {
                    sealed.see(row.position, absent_leaf(row.position));
                    sealed.wanted(row.position).map_or(WasSealed::Unknown, WasSealed::As)
                }
                Open::Unknown => WasSealed::Unknown,
                // Where nothing is sealed at all, that is what there is to say.
                Open::Tail if self.summary.seals == 0 => WasSealed::Unknown,
                Open::Tail => WasSealed::Never,
            };
            self.prunes.removed(row.position, by, row.pruned_of, &was);
        }
        if matches!(self.open, Open::Tail) {
            self.summary.unsealed += 1;
        }
    }

    fn event(&mut self, row: &Row, logged: &Logged) {
        let (position, sequence) = (row.position, self.sequence());
        if row.pruned_by.is_some() {
            let message = format!("there is an event at position {position} although a prune removed what was there");
            self.found.push(Self::of_row(FindingCode::EventAdded, row, message).of_seal(sequence));
        }
        let event = match logged {
            Logged::Event(event) => event,
            Logged::Damaged { reason, .. } => {
                let message = format!("the event at position {position} cannot be read: {reason}");
                self.found.push(Finding::new(FindingCode::EventChanged, message).at(position).of_seal(sequence));
                return;
            }
        };
        // Before there were seals nobody signed a prune, and none was removed by anybody since.
        let unsigned = match self.open {
            Open::Sealed(_) | Open::Unknown => self.chain.is_beginning(),
            Open::Tail => self.summary.seals == 0,
        };
        self.prunes.recorded(event, unsigned, |key| self.chain.knows(key), &mut self.found);
        let found_by = event.kind_by_data();
        if found_by != event.kind {
            let words = |kind: Option<&String>| kind.map_or_else(|| "nothing".to_owned(), |kind| format!("`{kind}`"));
            let message = format!(
                "the event at position {position} is found as {}, and its data say {}: it was changed",
                words(event.kind.as_ref()),
                words(found_by.as_ref())
            );
            self.found.push(Self::of_row(FindingCode::EventChanged, row, message).of_seal(sequence));
        }
        let Open::Sealed(sealed) = &mut self.open else { return };
        let leaf = event.leaf();
        sealed.see(position, leaf);
        let Some(wanted) = sealed.wanted(position) else { return };
        if wanted == absent_leaf(position) {
            let message = format!(
                "there is an event at position {position}, where there was none when seal {} was made",
                sealed.sequence
            );
            self.found.push(Self::of_row(FindingCode::EventAdded, row, message).of_seal(sequence));
        } else if wanted != leaf {
            sealed.mismatched.push((**event).clone());
        }
    }

    /// There is nothing from the next position to before this one.
    fn missing(&mut self, until: Position) {
        let (first, last) = (self.next, until - 1);
        if first > last {
            return;
        }
        self.next = until;
        let (code, sequence) = (FindingCode::EventRemoved, self.sequence());
        let Open::Sealed(sealed) = &self.open else {
            let message = format!("there is nothing at {}, and no prune accounts for it", places(first, last));
            return self.found.push(Finding::new(code, message).over(first, last).of_seal(sequence));
        };
        // What was gone before it was sealed is told apart.
        let was_absent = |position: Position| sealed.wanted(position) == Some(absent_leaf(position));
        let mut from = first;
        while from <= last {
            let absent = was_absent(from);
            let to = if from < sealed.first {
                last.min(sealed.first - 1)
            } else {
                (from..=last).take_while(|position| was_absent(*position) == absent).last().unwrap_or(from)
            };
            let (places, number) = (places(from, to), sealed.sequence);
            let message = if absent {
                format!(
                    "there is nothing at {places}, as there was when seal {number} was made, and no prune accounts for it"
                )
            } else {
                format!("what was at {places} is gone, and no prune accounts for it (seal {number})")
            };
            self.found.push(Finding::new(code, message).over(from, to).of_seal(sequence));
            from = to + 1;
        }
    }

    /// The rows of the open seal have come.
    pub fn close(&mut self) {
        let Open::Sealed(sealed) = &self.open else { return };
        // A seal that claims what the one before it has is a finding already.
        self.missing(sealed.last.saturating_add(1));
        let Open::Sealed(sealed) = std::mem::replace(&mut self.open, Open::Unknown) else { return };
        if sealed.leaves.is_none() && sealed.found.root() != sealed.root {
            let Sealed { sequence, first, last, .. } = sealed;
            let message = format!(
                "what stands at {} does not give the root of seal {sequence}: something there was changed, removed or added",
                places(first, last)
            );
            let finding = Finding::new(FindingCode::EventChanged, message).over(first, last).of_seal(Some(sequence));
            self.found.push(finding);
        }
        for event in &sealed.mismatched {
            self.found.push(sealed.changed_or_moved(event));
        }
    }

    /// There are no more seals: what comes now is not sealed yet.
    pub fn open_tail(&mut self) {
        self.open = Open::Tail;
    }

    /// Of an execution of which a prune removed the event at this position, another event is there.
    pub fn left_behind(&mut self, position: Position, of: ExecutionId, other: Position) {
        let message = format!(
            "a prune removed the event at position {position}, and left that at position {other} of the same execution, \
             {of}: it removes whole executions"
        );
        self.found.push(Finding::new(FindingCode::PruneMismatch, message).at(position));
    }

    /// A payload was looked at.
    pub fn payload(&mut self, finding: Option<Finding>) {
        self.found.extend(finding);
    }

    /// The rows are over.
    pub fn finish(&mut self) -> Summary {
        self.prunes.finish(&mut self.found);
        self.chain.finish(self.summary.events + self.summary.pruned, &mut self.found);
        Summary { findings: self.summary.findings + self.found.len() as u64, ..self.summary }
    }

    /// What was looked at so far.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// What was found since the last call: what seals say of themselves, then by position.
    pub fn take(&mut self) -> Vec<Finding> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|finding| finding.position);
        self.summary.findings += found.len() as u64;
        found
    }

    fn sequence(&self) -> Option<u64> {
        if let Open::Sealed(sealed) = &self.open { Some(sealed.sequence) } else { None }
    }

    fn of_row(code: FindingCode, row: &Row, message: String) -> Finding {
        let finding = Finding::new(code, message).at(row.position);
        match &row.event {
            Some(Logged::Event(event)) => finding.of_event(event.id),
            _ => finding,
        }
    }
}

impl Sealed {
    /// For where the list of leaves cannot tell.
    fn see(&mut self, position: Position, leaf: Hash) {
        if self.leaves.is_none() && position >= self.first {
            self.found.push(leaf);
        }
    }

    /// What was sealed at a position.
    fn wanted(&self, position: Position) -> Option<Hash> {
        let index = usize::try_from(position.checked_sub(self.first)?).ok()?;
        self.leaves.as_ref()?.get(index).copied()
    }

    fn changed_or_moved(&self, event: &LoggedEvent) -> Finding {
        let (position, number) = (event.position, self.sequence);
        let others = self.mismatched.iter().take(MOVED_MAX).map(|other| other.position);
        let came_from = others.filter(|_| self.mismatched.len() <= MOVED_MAX);
        let mut came_from =
            came_from.filter(|from| *from != position && self.wanted(*from) == Some(event.leaf_at(*from)));
        let finding = if let Some(from) = came_from.next() {
            let message =
                format!("the event at position {position} stood at position {from} when seal {number} was made");
            Finding::new(FindingCode::EventMoved, message)
        } else {
            let message =
                format!("the event at position {position} is not the one that seal {number} has: it was changed");
            Finding::new(FindingCode::EventChanged, message)
        };
        finding.at(position).of_event(event.id).of_seal(Some(number))
    }
}

fn places(first: Position, last: Position) -> String {
    if first == last { format!("position {first}") } else { format!("positions {first} to {last}") }
}

#[cfg(test)]
mod tests;
