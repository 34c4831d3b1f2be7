//! The queue: taking executions that are due.

use crate::state::State;
use action_domain::{
    event::NewEvent,
    execution::{Execution, Status},
    id::{ActionId, ExecutionId},
    repositories::{Claim, Claimed},
    rounds::{LANES_MAX, Lane, lane_depth, share_out},
    time::Timestamp,
};
use std::ops::Bound::{Excluded, Included, Unbounded};
use uuid::Uuid;

impl State {
    /// Begins an attempt of each execution whose turn it is.
    pub(crate) fn claim(&mut self, claim: &Claim) -> Claimed {
        let (lanes, drained) = match &claim.only {
            Some(only) => (self.lanes_of(only, claim.now), true),
            None => self.lanes(claim),
        };
        let plan = share_out(claim.now, claim.limit, lanes);
        // The caller's closures run before anything is changed: if one panics, nothing happened.
        let begun: Vec<(Execution, NewEvent)> =
            plan.begin.into_iter().map(|execution| begin(execution, claim)).collect();
        let drained = drained && begun.len() < claim.limit as usize;
        let mut executions = Vec::with_capacity(begun.len());
        for (execution, started) in begun {
            self.offered.remove(&execution.id);
            self.put_execution(execution.clone());
            self.log.append(started);
            executions.push(execution);
        }
        for execution in plan.moved {
            self.offered.remove(&execution.id);
            self.put_execution(execution);
        }
        self.paces.extend(plan.paces);
        Claimed { executions, last: plan.last, drained }
    }

    /// The lanes whose turn it is, and whether nothing else is due.
    fn lanes(&self, claim: &Claim) -> (Vec<Lane>, bool) {
        let mut actions = self.due_actions(claim.after.map_or(Unbounded, Excluded), claim.now);
        if let Some(after) = claim.after {
            actions.extend(self.due_actions(Unbounded, claim.now).into_iter().take_while(|action| *action <= after));
        }
        let mut drained = actions.len() <= LANES_MAX as usize;
        actions.truncate(LANES_MAX as usize);
        let depth = lane_depth(claim.limit, actions.len()) as usize;
        let lanes: Vec<Lane> = actions
            .into_iter()
            .map(|action| {
                let due: Vec<ExecutionId> = self.due_of_action(action, claim.now).take(depth + 1).collect();
                drained &= due.len() <= depth;
                self.lane(action, due.into_iter().take(depth))
            })
            .collect();
        (lanes, drained)
    }

    fn lanes_of(&self, only: &[ExecutionId], now: Timestamp) -> Vec<Lane> {
        let is_due = |id: &ExecutionId| {
            let execution = self.executions.get(id)?;
            let waits = matches!(execution.status, Status::Queued | Status::Waiting);
            (waits && execution.run_at.is_some_and(|run_at| run_at <= now)).then_some((execution.action, *id))
        };
        let mut due: Vec<_> = only.iter().filter_map(is_due).collect();
        due.sort_unstable();
        due.dedup();
        let lanes = due.chunk_by(|one, other| one.0 == other.0);
        lanes.map(|ids| self.lane(ids[0].0, ids.iter().map(|(_, id)| *id))).collect()
    }

    fn lane(&self, action: ActionId, due: impl Iterator<Item = ExecutionId>) -> Lane {
        let due = due.filter_map(|id| self.executions.get(&id));
        let due = due.map(|execution| (execution.clone(), self.is_behind_another(execution))).collect();
        let running = self
            .executions_of
            .range((action, nil())..=(action, max()))
            .filter_map(|(_, id)| self.executions.get(id))
            .filter(|execution| execution.status == Status::Running && !execution.turn.takes_no_seat);
        let paused_until = self.pauses.get(&action).copied();
        Lane { action, due, running: running.count() as u32, pace: self.paces.get(&action).copied(), paused_until }
    }

    /// Actions that have something due, behind one and in the order of their ids.
    fn due_actions(&self, mut after: std::ops::Bound<ActionId>, now: Timestamp) -> Vec<ActionId> {
        let mut found = Vec::new();
        loop {
            let from = match after {
                Excluded(action) => Excluded((action, true, Timestamp::from_micros(i64::MAX), max())),
                _ => Unbounded,
            };
            let Some((action, ..)) = self.due_of.range((from, Unbounded)).next() else { return found };
            if self.due_of_action(*action, now).next().is_some() {
                found.push(*action);
            }
            after = Excluded(*action);
        }
    }

    fn due_of_action(&self, action: ActionId, now: Timestamp) -> impl Iterator<Item = ExecutionId> {
        let of = move |retry| {
            let from = Included((action, retry, Timestamp::from_micros(i64::MIN), nil()));
            self.due_of.range((from, Included((action, retry, now, max())))).map(|(.., id)| *id)
        };
        of(false).chain(of(true))
    }

    fn is_behind_another(&self, execution: &Execution) -> bool {
        let Some(key) = &execution.turn.ordering_key else { return false };
        let from = (execution.action, key.clone(), nil());
        let last = (execution.action, key.clone(), max());
        // What came later runs where this one is tried again: then it holds this one up.
        let others = self.ordered.range(from..=last).filter(|(.., id)| *id != execution.id);
        let runs = |id: &ExecutionId| self.executions.get(id).is_some_and(|other| other.status == Status::Running);
        let mut ahead = others.filter(|(.., id)| *id < execution.id || runs(id));
        let holds = |id: &ExecutionId| {
            let ahead = self.executions.get(id);
            ahead.is_some_and(|ahead| execution.turn.order_blocks || ahead.status != Status::Failed)
        };
        ahead.any(|(.., id)| holds(id))
    }
}

fn nil() -> ExecutionId {
    ExecutionId::from_uuid(Uuid::nil())
}

fn max() -> ExecutionId {
    ExecutionId::from_uuid(Uuid::max())
}

fn begin(mut execution: Execution, claim: &Claim) -> (Execution, NewEvent) {
    execution.begin_attempt(claim.now);
    execution.lease = Some((claim.lease)(&execution));
    let started = (claim.started)(&execution);
    (execution, started)
}
