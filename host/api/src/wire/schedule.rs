//! When an action fires by itself.

use action_domain::{action::Action, schedule::Calendar, time::Timestamp, trigger::Trigger};
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
    /// Of an action.
    pub(crate) fn of(action: &Action, now: Timestamp) -> Self {
        let triggers = action.spec.triggers.iter().enumerate().filter(|_| action.spec.enabled);
        let of = |(trigger, schedule): (usize, &Trigger)| match schedule {
            Trigger::Schedule(schedule) => {
                let next = Calendar::of(schedule).map_or_else(|_| Vec::new(), |times| times.times_after(now, TOLD));
                Some(NextTimes { trigger, next })
            }
            _ => None,
        };
        Self { items: triggers.filter_map(of).collect() }
    }
}
