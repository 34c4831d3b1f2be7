//! How a claim is shared out among actions.
//!
//! A store looks up the [`Lane`] of each action that has something due and writes down the
//! [`Plan`]; in between there is no I/O. Actions take turns, so one with a million executions
//! does not hold up one with a single execution.

use crate::{
    execution::Execution,
    id::ActionId,
    time::Timestamp,
    turn::{Facts, Verdict, take_turn},
};
use std::collections::VecDeque;

/// Actions that one claim looks at, at most; the next one goes on behind them.
pub const LANES_MAX: u32 = 256;

/// What of an action is due.
#[derive(Debug)]
pub struct Lane {
    /// The action.
    pub action: ActionId,
    /// Executions that are due: first attempts before retries, then by `run_at` and id. With each,
    /// whether an earlier one with its ordering key holds it up.
    pub due: VecDeque<(Execution, bool)>,
    /// Executions of the action that run.
    pub running: u32,
    /// See [`Facts::pace`].
    pub pace: Option<Timestamp>,
    /// See [`Facts::paused_until`].
    pub paused_until: Option<Timestamp>,
}

/// Due executions of a lane that are worth looking up, where there are this many lanes.
pub fn lane_depth(limit: u32, lanes: usize) -> u32 {
    // At least one turn of the highest priority, at most everything.
    (limit / u32::try_from(lanes.max(1)).unwrap_or(u32::MAX)).max(4).min(limit.max(1))
}

/// What a claim does.
#[derive(Debug, Default)]
pub struct Plan {
    /// Executions that begin an attempt, as they were.
    pub begin: Vec<Execution>,
    /// Executions that are moved out of the way, as they become.
    pub moved: Vec<Execution>,
    /// New paces of actions.
    pub paces: Vec<(ActionId, Timestamp)>,
    /// The action whose turn came last.
    pub last: Option<ActionId>,
}

/// Shares `limit` places out among lanes, which come in the order of their turns.
pub fn share_out(now: Timestamp, limit: u32, mut lanes: Vec<Lane>) -> Plan {
    let mut plan = Plan::default();
    let room = |plan: &Plan| plan.begin.len() < limit as usize;
    while room(&plan) && lanes.iter().any(|lane| !lane.due.is_empty()) {
        for lane in &mut lanes {
            if !room(&plan) {
                break;
            }
            take_from(lane, now, limit, &mut plan);
        }
    }
    plan
}

/// One lane's turn.
fn take_from(lane: &mut Lane, now: Timestamp, limit: u32, plan: &mut Plan) {
    let mut taken = 0;
    while let Some((execution, _)) = lane.due.front() {
        if taken >= execution.turn.priority.share() || plan.begin.len() >= limit as usize {
            return;
        }
        plan.last = Some(lane.action);
        let Some((mut execution, behind_another)) = lane.due.pop_front() else { return };
        let Lane { running, pace, paused_until, .. } = *lane;
        let facts = Facts { now, running, behind_another, pace, paused_until };
        match take_turn(&execution, &facts) {
            Verdict::Begin { pace } => {
                lane.set_pace(pace, plan);
                lane.running += 1;
                taken += 1;
                plan.begin.push(execution);
            }
            Verdict::At { time, pace } => {
                lane.set_pace(pace, plan);
                execution.run_at = Some(time);
                execution.turn.counted = pace.is_some();
                plan.moved.push(execution);
            }
            Verdict::Aside { until } => {
                execution.run_at = Some(until);
                execution.turn.aside = true;
                plan.moved.push(execution);
            }
            // Whoever looks after what has expired ends it.
            Verdict::TooLate => {}
        }
    }
}

impl Lane {
    fn set_pace(&mut self, pace: Option<Timestamp>, plan: &mut Plan) {
        let Some(pace) = pace else { return };
        self.pace = Some(pace);
        match plan.paces.iter_mut().find(|(action, _)| *action == self.action) {
            Some((_, known)) => *known = pace,
            None => plan.paces.push((self.action, pace)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::{ASIDE, Priority, tests::execution};
    use uuid::Uuid;

    fn lane(number: u128, due: usize, change: impl Fn(&mut Execution)) -> Lane {
        let action = ActionId::from_uuid(Uuid::from_u128(number));
        let one = |_| {
            let mut execution = Execution { action, ..execution() };
            change(&mut execution);
            (execution, false)
        };
        Lane { action, due: (0..due).map(one).collect(), running: 0, pace: None, paused_until: None }
    }

    fn begun(plan: &Plan) -> Vec<u128> {
        plan.begin.iter().map(|execution| execution.action.uuid().as_u128()).collect()
    }

    fn now() -> Timestamp {
        Timestamp::from_micros(0)
    }

    #[test]
    fn a_busy_action_does_not_hold_up_a_quiet_one() {
        let plan = share_out(now(), 6, vec![lane(1, 100, |_| {}), lane(2, 1, |_| {})]);
        assert_eq!(begun(&plan), [1, 1, 2, 1, 1, 1]);
        assert_eq!(plan.last, Some(ActionId::from_uuid(Uuid::from_u128(1))));
    }

    #[test]
    fn a_priority_is_a_share_and_starves_nobody() {
        let high = |execution: &mut Execution| execution.turn.priority = Priority::High;
        let low = |execution: &mut Execution| execution.turn.priority = Priority::Low;
        let plan = share_out(now(), 10, vec![lane(1, 9, high), lane(2, 9, low)]);
        assert_eq!(begun(&plan), [1, 1, 1, 1, 2, 1, 1, 1, 1, 2]);
    }

    #[test]
    fn what_runs_counts_and_what_begins_counts_too() {
        let two = |execution: &mut Execution| execution.turn.max_concurrent = Some(2);
        let mut full = lane(1, 3, two);
        full.running = 1;
        let plan = share_out(now(), 10, vec![full]);
        assert_eq!((begun(&plan).len(), plan.moved.len()), (1, 2));
        assert!(plan.moved.iter().all(|execution| execution.turn.aside && execution.run_at == Some(now().plus(ASIDE))));
    }

    #[test]
    fn nothing_is_lost_and_the_limit_holds() {
        for limit in 0..9 {
            let lanes = vec![lane(1, 3, |_| {}), lane(2, 0, |_| {}), lane(3, 4, |_| {})];
            assert_eq!(share_out(now(), limit, lanes).begin.len(), (limit as usize).min(7));
        }
    }
}
