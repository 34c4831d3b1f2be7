//! The queue: taking executions that are due.

use crate::state::State;
use action_domain::{
    event::NewEvent,
    execution::{Execution, Status},
    repositories::Claim,
};

impl State {
    /// Begins an attempt of each execution that is due, the oldest `run_at` first.
    pub(crate) fn claim(&mut self, claim: &Claim) -> Vec<Execution> {
        let due = self.due_at.iter().take_while(|(run_at, _)| *run_at <= claim.now);
        // The caller's closures run before anything is changed: if one panics, nothing happened.
        let begun: Vec<(Execution, NewEvent)> = due
            .take(claim.limit as usize)
            .filter_map(|(_, id)| self.executions.get(id).cloned())
            .map(|execution| begin(execution, claim))
            .collect();
        let mut claimed = Vec::with_capacity(begun.len());
        for (execution, started) in begun {
            self.put_execution(execution.clone());
            self.log.append(started);
            claimed.push(execution);
        }
        claimed
    }
}

fn begin(mut execution: Execution, claim: &Claim) -> (Execution, NewEvent) {
    execution.status = Status::Running;
    execution.attempt += 1;
    execution.started_at = execution.started_at.or(Some(claim.now));
    execution.run_at = None;
    execution.lease = Some((claim.lease)(&execution));
    let started = (claim.started)(&execution);
    (execution, started)
}
