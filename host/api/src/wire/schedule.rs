//! When an action fires by itself.

use action_domain::{
    action::Action,
    schedule::Calendar,
    time::Timestamp,
    trigger::{Standing, Trigger, identities},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Times that are told of each schedule.
const TOLD: usize = 10;

/// The schedules of an action.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActionSchedule)]
pub(crate) struct ScheduleBody {
    /// In the order of its triggers.
    items: Vec<NextTimes>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
struct NextTimes {
    /// Which of the action's triggers, from 0.
    trigger: usize,
    /// The next ten times, or fewer where it ends before.
    #[schema(value_type = Vec<String>)]
    next: Vec<Timestamp>,
}

impl ScheduleBody {
    /// Of an action whose triggers stand like this: what is told first is what will fire.
    pub(crate) fn of(action: &Action, standings: &[Standing]) -> Self {
        let identities = identities(&action.spec.triggers);
        let triggers = action.spec.triggers.iter().zip(identities).enumerate().filter(|_| action.spec.enabled);
        let of = |(trigger, (schedule, identity)): (usize, (&Trigger, _))| match schedule {
            Trigger::Schedule(schedule) => {
                let standing = standings.iter().find(|standing| Some(standing.identity) == identity);
                let due_at: Option<Timestamp> = standing.and_then(|standing| standing.due_at);
                let times = Calendar::of(schedule).map(|calendar| calendar.times_from(due_at, TOLD));
                Some(NextTimes { trigger, next: times.unwrap_or_default() })
            }
            _ => None,
        };
        Self { items: triggers.filter_map(of).collect() }
    }
}
