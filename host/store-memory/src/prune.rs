//! Retention: removing what ended long ago.

use crate::state::State;
use action_domain::{
    audit::Removed,
    execution::Execution,
    id::ExecutionId,
    limits::IDEMPOTENCY_KEY_FOR,
    repositories::{IdempotencyKey, Prune, Pruned},
    time::Timestamp,
};
use std::collections::BTreeSet;

impl State {
    pub(crate) fn prune(&mut self, prune: &Prune) -> Pruned {
        let young = |key: &&IdempotencyKey| key.created_at.plus(IDEMPOTENCY_KEY_FOR) > prune.now;
        let named: BTreeSet<ExecutionId> =
            self.idempotency_keys.values().filter(young).map(|key| key.execution).collect();
        let ended = |execution: &&Execution| {
            execution.status.is_terminal()
                && execution.ended_at.is_some_and(|ended| ended < prune.before)
                && !execution.blocks_its_order()
                && !named.contains(&execution.id)
                && self.log.ends_at(execution.id, prune.through, prune.before)
        };
        let old: Vec<ExecutionId> =
            self.executions.values().filter(ended).take(prune.limit as usize).map(|execution| execution.id).collect();
        let mut events: Vec<Removed> = Vec::new();
        let mut candidates = Vec::new();
        for id in &old {
            self.take_execution(*id);
            self.offered.remove(id);
            let (removed, payloads) = self.log.remove(*id);
            events.extend(removed);
            candidates.extend(payloads);
        }
        self.idempotency_keys.retain(|_, key| !old.contains(&key.execution));
        let all = self.payloads.len();
        for payload in candidates.iter().filter(|payload| !self.log.needs(payload)) {
            self.payloads.remove(payload);
        }
        let payloads = (all - self.payloads.len()) as u64;
        let pruned = Pruned::of(old.len() as u64, payloads, &mut events);
        if !old.is_empty() {
            let recorded = (prune.recorded)(pruned);
            self.pruned.extend(events.into_iter().map(|event| (event.position, (recorded.id, event.execution))));
            self.log.append(recorded);
        }
        pruned
    }

    pub(crate) fn offer(&mut self, now: Timestamp, again_before: Timestamp, limit: u32) -> Vec<(ExecutionId, u32)> {
        let due = self.due_at.iter().take_while(|(run_at, _)| *run_at <= now).map(|(_, id)| *id);
        let fresh = due.filter(|id| self.offered.get(id).is_none_or(|offered| *offered < again_before));
        let named: Vec<ExecutionId> = fresh.take(limit as usize).collect();
        named
            .into_iter()
            .filter_map(|id| {
                self.offered.insert(id, now);
                Some((id, self.executions.get(&id)?.attempt + 1))
            })
            .collect()
    }
}
