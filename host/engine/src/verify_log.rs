//! Verifies a log with its seals. It needs no service: whatever reads a log will do.

use crate::EngineError;
use action_domain::{
    audit::{Anchor, Finding, Logged, PublicKey, Row, Summary, Verifier},
    digest::Digest,
    event::Position,
    id::ExecutionId,
    repositories::{LogReader, PrunedPosition},
};
use std::collections::VecDeque;

/// Events, seals and pruned positions that are read at once.
const PAGE: u32 = 256;
/// Executions of pruned events that were looked for last: those that ran at once stand together.
const LOOKED_FOR: usize = 256;

/// Walks the whole log and tells everything that is not as it was sealed, seal by seal. It holds no
/// more than a page of events, one seal's leaves and one payload.
///
/// # Errors
/// Where the log cannot be read at all.
pub async fn verify_log(
    log: &dyn LogReader,
    trusted: Vec<PublicKey>,
    anchors: Vec<Anchor>,
    mut tell: impl FnMut(Vec<Finding>, Summary),
) -> Result<Summary, EngineError> {
    let mut verifier = Verifier::new(trusted, anchors);
    let mut rows = Rows::new(log);
    let mut whole = Whole { log, looked_for: VecDeque::new() };
    let mut after = None;
    loop {
        let seals = log.seals(after, PAGE).await?;
        let Some(last) = seals.last() else { break };
        after = Some(last.sequence);
        for seal in seals {
            let leaves = log.leaves(seal.sequence).await?.unwrap_or_default();
            if let Some(last) = verifier.open(&seal, &leaves) {
                while let Some(row) = rows.next_until(last).await? {
                    look_at(&mut whole, &mut verifier, row).await?;
                }
            }
            verifier.close();
            tell(verifier.take(), verifier.summary());
        }
    }
    verifier.open_tail();
    while let Some(row) = rows.next_until(Position::MAX).await? {
        look_at(&mut whole, &mut verifier, row).await?;
    }
    let summary = verifier.finish();
    tell(verifier.take(), summary);
    Ok(summary)
}

async fn look_at(whole: &mut Whole<'_>, verifier: &mut Verifier, row: Row) -> Result<(), EngineError> {
    if let Some(Logged::Event(event)) = &row.event
        && let Some(digest) = &event.payload
    {
        let payload = whole.log.kept_payload(digest).await?;
        let found = payload.map(|bytes| Digest::of(&bytes));
        verifier.payload(Finding::of_payload(event, found.as_ref()));
    }
    if let (None, Some(execution)) = (&row.event, row.pruned_of)
        && let Some(other) = whole.left_of(execution).await?
    {
        verifier.left_behind(row.position, execution, other);
    }
    verifier.row(row);
    Ok(())
}

/// Whether executions of which events were pruned are gone.
struct Whole<'a> {
    log: &'a dyn LogReader,
    looked_for: VecDeque<ExecutionId>,
}

impl Whole<'_> {
    /// An event of the execution that is there, unless that was asked just before.
    async fn left_of(&mut self, execution: ExecutionId) -> Result<Option<Position>, EngineError> {
        if self.looked_for.contains(&execution) {
            return Ok(None);
        }
        if self.looked_for.len() >= LOOKED_FOR {
            self.looked_for.pop_front();
        }
        self.looked_for.push_back(execution);
        Ok(self.log.left_of(execution).await?)
    }
}

/// Events and what is known of pruned ones, by position.
struct Rows<'a> {
    log: &'a dyn LogReader,
    events: Pages<Logged>,
    pruned: Pages<PrunedPosition>,
}

/// What was read ahead.
struct Pages<T> {
    ahead: VecDeque<T>,
    after: Option<Position>,
    ended: bool,
}

impl<T> Pages<T> {
    fn new() -> Self {
        Self { ahead: VecDeque::new(), after: None, ended: false }
    }

    fn needs_more(&self) -> bool {
        self.ahead.is_empty() && !self.ended
    }

    fn take_in(&mut self, page: Vec<T>, position: impl Fn(&T) -> Position) {
        self.ended = page.is_empty();
        self.after = page.last().map(position).or(self.after);
        self.ahead = page.into();
    }
}

impl<'a> Rows<'a> {
    fn new(log: &'a dyn LogReader) -> Self {
        Self { log, events: Pages::new(), pruned: Pages::new() }
    }

    /// The next row, if it stands at or before this position.
    async fn next_until(&mut self, last: Position) -> Result<Option<Row>, EngineError> {
        if self.events.needs_more() {
            let page = self.log.logged(self.events.after, PAGE).await?;
            self.events.take_in(page, Logged::position);
        }
        if self.pruned.needs_more() {
            let page = self.log.pruned(self.pruned.after, PAGE).await?;
            self.pruned.take_in(page, |pruned| pruned.position);
        }
        let event = self.events.ahead.front().map(Logged::position);
        let pruned = self.pruned.ahead.front().map(|pruned| pruned.position);
        let Some(position) = event.into_iter().chain(pruned).min().filter(|position| *position <= last) else {
            return Ok(None);
        };
        let event = if event == Some(position) { self.events.ahead.pop_front() } else { None };
        let pruned = if pruned == Some(position) { self.pruned.ahead.pop_front() } else { None };
        let (pruned_by, pruned_of) = (pruned.map(|pruned| pruned.by), pruned.and_then(|pruned| pruned.of));
        Ok(Some(Row { position, event, pruned_by, pruned_of }))
    }
}
