//! A proof that an event is in the log as it was sealed. It needs no service: whatever reads a log
//! will do.

use crate::EngineError;
use action_domain::{
    audit::{
        Logged, LoggedEvent, Proof,
        tree::{HASH_BYTES, Hash},
    },
    event::Position,
    id::EventId,
    repositories::LogReader,
};

/// Events that are read at once.
const PAGE: u32 = 256;

/// Which event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKey {
    /// By id. The log is read until it comes: no index is kept for this.
    Id(EventId),
    /// By its place in the log.
    Position(Position),
}

/// Proves an event.
///
/// # Errors
/// Where there is no such event, it is not sealed yet, or it is not as it was sealed.
pub async fn prove_event(log: &dyn LogReader, key: EventKey) -> Result<Proof, EngineError> {
    let event = find(log, key).await?.ok_or(EngineError::NotFound("event"))?;
    let position = event.position;
    let refused = |code, message: String| EngineError::Conflict { code, message };
    let seal = log.seal_over(position).await?;
    let covering = seal.filter(|seal| seal.read().is_some_and(|document| document.last >= position));
    let Some(seal) = covering else {
        return Err(refused("not_sealed", format!("the event at position {position} is not sealed yet")));
    };
    let leaves = log.leaves(seal.sequence).await?.unwrap_or_default();
    let leaves: Vec<Hash> = leaves.chunks_exact(HASH_BYTES).filter_map(|leaf| leaf.try_into().ok()).collect();
    Proof::new(&event, &seal, &leaves).ok_or_else(|| {
        let message = format!(
            "the event at position {position} is not the one that seal {} has; `audit verify` says more",
            seal.sequence
        );
        refused("not_as_sealed", message)
    })
}

async fn find(log: &dyn LogReader, key: EventKey) -> Result<Option<Box<LoggedEvent>>, EngineError> {
    let is_it = |logged: &Logged| match (logged, key) {
        (Logged::Event(event), EventKey::Id(id)) => event.id == id,
        (Logged::Event(event), EventKey::Position(position)) => event.position == position,
        (Logged::Damaged { .. }, _) => false,
    };
    let (mut after, limit) = match key {
        EventKey::Id(_) => (None, PAGE),
        EventKey::Position(position) => (Some(position.saturating_sub(1)), 1),
    };
    loop {
        let page = log.logged(after, limit).await?;
        after = page.last().map(Logged::position);
        let ended = page.len() < limit as usize || limit == 1;
        match page.into_iter().find(is_it) {
            Some(Logged::Event(event)) => return Ok(Some(event)),
            _ if ended => return Ok(None),
            _ => {}
        }
    }
}
