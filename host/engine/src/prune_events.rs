//! Retention: what ended before a time goes, in one explicit and recorded command. What is sealed is
//! accounted for afterwards, by a signature over what went; what is not sealed yet is sealed first.

use crate::{Engine, EngineError};
use action_domain::{
    actor::Actor,
    audit::PruneProof,
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
            let key = self.inner.parts.seal_keys.first().cloned();
            let recorded = Box::new(move |pruned: Pruned| {
                let Pruned { executions, events, payloads, positions, removed } = pruned;
                let sign = |(key, removed)| Box::new(PruneProof::sign(id, before, events, removed, key));
                let proof = key.as_ref().zip(removed).map(sign);
                let fact = Fact::EventsPruned { before, executions, events, payloads, positions, proof };
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
        match self.last_seal().await? {
            Some(_) if !self.seals() => Err(EngineError::Conflict {
                code: "sealing_off",
                message: "the log is sealed, and this process has no key to sign what it removes: ask one that has"
                    .to_owned(),
            }),
            Some((_, document)) => Ok(document.last),
            None => Ok(if self.seals() { 0 } else { Position::MAX }),
        }
    }
}
