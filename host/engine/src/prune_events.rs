//! Retention: what ended before a time goes, in one explicit and recorded command. What is sealed is
//! accounted for afterwards; what is not sealed yet is sealed first.

use crate::{Engine, EngineError};
use action_domain::{
    actor::Actor,
    event::{Context, Fact, NewEvent, Position},
    repositories::{Prune, Pruned},
    time::Timestamp,
};

/// Executions that are removed in one transaction.
const BATCH: u32 = 500;

impl Engine {
    /// Removes executions that ended before a time, with their events and payloads. Each batch says
    /// so in an event of its own. `progress` is told what was removed so far.
    pub async fn prune_events(
        &self,
        before: Timestamp,
        by: &Actor,
        mut progress: impl FnMut(Pruned),
    ) -> Result<Pruned, EngineError> {
        let through = self.sealed_through().await?;
        let mut all = Pruned::default();
        loop {
            let (id, now, by) = (self.inner.parts.random.event_id(), self.now(), by.clone());
            let recorded = Box::new(move |pruned: Pruned| {
                let Pruned { executions, events, payloads, positions } = pruned;
                let fact = Fact::EventsPruned { before, executions, events, payloads, positions };
                NewEvent::by(&by, id, now, Context::default(), &fact)
            });
            let pruned = self.store().prune(Prune { before, now, through, limit: BATCH, recorded }).await?;
            if pruned.executions == 0 {
                return Ok(all);
            }
            all.executions += pruned.executions;
            all.events += pruned.events;
            all.payloads += pruned.payloads;
            progress(all);
        }
    }
    /// Up to where events may go: where the log is sealed, what is not sealed yet stays.
    async fn sealed_through(&self) -> Result<Position, EngineError> {
        if self.seals() {
            self.seal_events(false).await?;
        }
        let last = self.last_seal().await?;
        Ok(last.map_or(if self.seals() { 0 } else { Position::MAX }, |(_, document)| document.last))
    }
}
