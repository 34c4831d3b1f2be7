//! Whose turn it is: the rule by which the queue lets an execution begin.
//!
//! A store finds candidates and looks up the [`Facts`]; what follows from them is decided here,
//! once for all stores. An execution that may not begin is moved out of the way, so that it is
//! not looked at again and again: to its own time if a rate says so, else aside until something
//! of its action ends.

use crate::{execution::Execution, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// How long an execution that waits for another stays aside if nobody calls it back: the other's
/// end does, and this is for an end that nobody saw.
pub const ASIDE: Duration = Duration::from_secs(5);

/// The longest that an execution stays aside behind another with its key: for long, as that may wait for a
/// retry or for somebody who acts. Thousands can wait there, and each look at one of them is a write.
pub const ASIDE_MAX: Duration = Duration::from_mins(5);
/// In between, the pause is this part of what an execution has waited: so much longer it waits at most for
/// an end that nobody saw.
const ASIDE_PART: u32 = 12;

/// Executions that are called back at once when one of their action ends.
pub const CALLED_BACK_MAX: u32 = 8;

/// How an execution takes its turn: its action's delivery rules, as the queue needs them.
/// Where it is stored as JSON, what is not there is as by default, and `aside` stands beside it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Turn {
    /// How many of an action are taken before another's turn.
    pub priority: Priority,
    /// Executions of the action at once.
    pub max_concurrent: Option<u32>,
    /// How fast executions of the action begin.
    pub rate: Option<Rate>,
    /// Executions of the action with the same key run one at a time, in the order of their ids.
    pub ordering_key: Option<Arc<str>>,
    /// A failed execution holds up those behind it.
    pub order_blocks: bool,
    /// The first attempt is not begun after this.
    pub expires_at: Option<Timestamp>,
    /// Set aside until another ends, or until `run_at`.
    #[serde(skip)]
    pub aside: bool,
    /// The rate has counted it: it may begin at `run_at`.
    pub counted: bool,
    /// It is none of those that `max_concurrent` counts: what is kept running never makes room.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub takes_no_seat: bool,
}

impl Turn {
    /// The same for what is kept running: nobody waits for its end, and it waits for nobody's.
    #[must_use]
    pub fn of_its_own(self) -> Self {
        Self { max_concurrent: None, ordering_key: None, takes_no_seat: true, ..self }
    }

    /// Whether it may have to wait for others, so that it has to go through the queue.
    pub fn waits_for_others(&self) -> bool {
        self.max_concurrent.is_some() || self.rate.is_some() || self.ordering_key.is_some()
    }
}

/// How often an action gets its turn beside others. All get one: none is starved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// One execution a turn.
    Low,
    /// Two executions a turn.
    #[default]
    Normal,
    /// Four executions a turn.
    High,
}

impl Priority {
    /// Every priority; stores keep its place.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// Executions of one action that are taken in a turn.
    pub const fn share(self) -> u32 {
        match self {
            Self::Low => 1,
            Self::Normal => 2,
            Self::High => 4,
        }
    }
}

/// How fast executions of an action begin, across all workers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Executions a second, on average.
    pub per_second: f64,
    /// Executions that may begin at once after a pause.
    #[serde(default = "one")]
    pub burst: u32,
}

const fn one() -> u32 {
    1
}

impl Rate {
    fn tolerance(&self) -> Duration {
        self.interval() * self.burst.saturating_sub(1)
    }

    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }
}

/// What a store looks up for a candidate.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The time of the claim.
    pub now: Timestamp,
    /// Executions of the action that run.
    pub running: u32,
    /// Whether an earlier execution with the same key has not ended, or has failed and blocks.
    pub behind_another: bool,
    /// The action's pace: when the next execution would begin if they came evenly (the theoretical
    /// arrival time of the generic cell rate algorithm, ITU-T I.371).
    pub pace: Option<Timestamp>,
    /// Until when a remote asked the action to wait.
    pub paused_until: Option<Timestamp>,
}

/// What becomes of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It begins; the action's pace moves to this.
    Begin {
        /// The new pace, where it changes.
        pace: Option<Timestamp>,
    },
    /// It waits until then, and has its place in the action's pace already.
    At {
        /// When it may begin.
        time: Timestamp,
        /// The new pace, where it changes.
        pace: Option<Timestamp>,
    },
    /// It waits for another of its action, and is looked at again then.
    Aside {
        /// If nobody calls it back before.
        until: Timestamp,
    },
    /// It is too late for it.
    TooLate,
}

/// Decides about a candidate that is due.
pub fn take_turn(execution: &Execution, facts: &Facts) -> Verdict {
    let turn = &execution.turn;
    if execution.attempt == 0 && turn.expires_at.is_some_and(|end| end <= facts.now) {
        return Verdict::TooLate;
    }
    if facts.behind_another {
        return Verdict::Aside { until: facts.now.plus(aside_for(facts.now.since(execution.created_at))) };
    }
    // Not so here: a seat that is free calls the oldest back, and these may be behind others.
    if turn.max_concurrent.is_some_and(|most| facts.running >= most) {
        return Verdict::Aside { until: facts.now.plus(ASIDE) };
    }
    let pause = facts.paused_until.filter(|until| *until > facts.now);
    let Some(rate) = &turn.rate else {
        return pause.map_or(Verdict::Begin { pace: None }, |time| Verdict::At { time, pace: None });
    };
    // A place in the pace that lies in a pause is lost, and the next free one is given: if all of
    // them began when the pause is over, they would be a burst that no rate allows.
    if turn.counted && pause.is_none() {
        return Verdict::Begin { pace: None };
    }
    // Nor does a burst follow a pause: a remote that asked to wait is not run into at once.
    let behind_pause = facts.paused_until.map(|until| until.plus(rate.tolerance()));
    let pace = facts.pace.max(behind_pause).unwrap_or(facts.now).max(facts.now);
    let next = pace.plus(rate.interval());
    let may = pace.minus(rate.tolerance());
    if may <= facts.now { Verdict::Begin { pace: Some(next) } } else { Verdict::At { time: may, pace: Some(next) } }
}

/// How long an execution stays aside that has waited this long behind another.
pub fn aside_for(waited: Duration) -> Duration {
    (waited / ASIDE_PART).clamp(ASIDE, ASIDE_MAX)
}

/// A path into the input, as jq writes it: `.customer.id`, `.lines[0].sku`, `.["order id"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

impl KeyPath {
    /// Parses a path; the error says what it is at fault.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.trim();
        if !rest.starts_with('.') {
            return Err("a path into the input begins with a dot, like .customer.id".to_owned());
        }
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let wrong = || format!("`{rest}` is no step of a path; steps are .name, [\"name\"] and [0]");
            let inner = rest.strip_prefix(".[").or_else(|| rest.strip_prefix('['));
            if let Some(inner) = inner {
                let (step, behind) = bracket(inner).ok_or_else(wrong)?;
                steps.push(step);
                rest = behind;
            } else {
                let name = rest.strip_prefix('.').ok_or_else(wrong)?;
                let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
                if end == 0 && !(name.is_empty() && steps.is_empty()) || name.starts_with(|c: char| c.is_ascii_digit())
                {
                    return Err(wrong());
                }
                if end > 0 {
                    steps.push(Step::Member(name[..end].to_owned()));
                }
                rest = &name[end..];
            }
        }
        Ok(Self(steps))
    }

    /// The key of an input: the text of a string there, the JSON of anything else. Inputs that have
    /// nothing there have no key, and no order.
    pub fn key(&self, input: &serde_json::Value) -> Option<String> {
        let mut value = input;
        for step in &self.0 {
            value = match step {
                Step::Member(name) => value.get(name)?,
                Step::Element(index) => value.get(index)?,
            };
        }
        key_of(value)
    }
}

/// What a value is as a key: the text of a string, the JSON of anything else; nothing is no key.
pub fn key_of(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn bracket(inner: &str) -> Option<(Step, &str)> {
    if inner.starts_with('"') {
        let mut values = serde_json::Deserializer::from_str(inner).into_iter::<String>();
        let name = values.next()?.ok()?;
        let behind = inner.get(values.byte_offset()..)?;
        return Some((Step::Member(name), behind.strip_prefix(']')?));
    }
    let (digits, behind) = inner.split_once(']')?;
    Some((Step::Element(digits.parse().ok()?), behind))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        execution::{Execution, Status},
        id::{ActionId, ExecutionId},
    };
    use serde_json::json;

    pub(crate) fn execution() -> Execution {
        Execution {
            id: ExecutionId::from_uuid(uuid::Uuid::nil()),
            action: ActionId::from_uuid(uuid::Uuid::nil()),
            revision: 1,
            protocol: "http@1.0.0".parse().unwrap(),
            status: Status::Queued,
            attempt: 0,
            correlation_id: "c".into(),
            traceparent: None,
            created_at: at(0),
            started_at: None,
            ended_at: None,
            run_at: Some(at(0)),
            turn: Turn::default(),
            lease: None,
            cancel_requested: false,
            error: None,
            receipt: None,
        }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_micros(ms * 1000)
    }

    fn facts(now: i64) -> Facts {
        Facts { now: at(now), running: 0, behind_another: false, pace: None, paused_until: None }
    }

    #[test]
    fn what_has_no_rules_begins() {
        assert_eq!(take_turn(&execution(), &facts(0)), Verdict::Begin { pace: None });
        // A remote asked the action to wait.
        let asked = Facts { paused_until: Some(at(700)), ..facts(0) };
        assert_eq!(take_turn(&execution(), &asked), Verdict::At { time: at(700), pace: None });
        assert_eq!(take_turn(&execution(), &Facts { now: at(700), ..asked }), Verdict::Begin { pace: None });
    }

    #[test]
    fn a_full_action_and_a_held_key_wait_aside() {
        let mut two = execution();
        two.turn.max_concurrent = Some(2);
        assert_eq!(take_turn(&two, &Facts { running: 1, ..facts(0) }), Verdict::Begin { pace: None });
        let soon = Verdict::Aside { until: at(15_000) };
        assert_eq!(take_turn(&two, &Facts { running: 2, ..facts(10_000) }), soon);
        assert_eq!(take_turn(&execution(), &Facts { behind_another: true, ..facts(10_000) }), soon);
    }

    #[test]
    fn who_has_waited_long_behind_another_is_looked_at_seldom() {
        let after = |now| match take_turn(&execution(), &Facts { behind_another: true, ..facts(now) }) {
            Verdict::Aside { until } => until.since(at(now)),
            other => panic!("{other:?}"),
        };
        assert_eq!((after(0), after(60_000), after(120_000)), (ASIDE, ASIDE, Duration::from_secs(10)));
        assert_eq!((after(3_600_000), after(360_000_000)), (ASIDE_MAX, ASIDE_MAX));
        // A clock that was put back.
        assert_eq!(after(-60_000), ASIDE);
        // Whoever waits for a seat is not.
        let mut one = execution();
        one.turn.max_concurrent = Some(1);
        let full = Facts { running: 1, ..facts(3_600_000) };
        assert_eq!(take_turn(&one, &full), Verdict::Aside { until: at(3_605_000) });
    }

    /// Over all times that there are: never sooner, never later than the bounds, and a later look waits no
    /// shorter; so the looks at one that has waited for an hour are few.
    #[test]
    fn the_pause_grows_with_the_waiting_and_is_bounded() {
        let steps = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]).chain([u64::MAX]);
        let mut before = Duration::ZERO;
        for waited in steps.map(Duration::from_micros).collect::<std::collections::BTreeSet<_>>() {
            let pause = aside_for(waited);
            assert!((ASIDE..=ASIDE_MAX).contains(&pause) && pause >= before, "{waited:?}: {pause:?}");
            before = pause;
        }
        let (mut waited, mut looks) = (Duration::ZERO, 0);
        while waited < Duration::from_hours(1) {
            waited += aside_for(waited);
            looks += 1;
        }
        assert!(looks < 70, "{looks} looks in an hour");
    }

    #[test]
    fn a_rate_gives_each_its_time_and_counts_it_once() {
        let mut paced = execution();
        paced.turn.rate = Some(Rate { per_second: 10.0, burst: 2 });
        let mut pace = None;
        let mut times = Vec::new();
        for _ in 0..5 {
            match take_turn(&paced, &Facts { pace, ..facts(1000) }) {
                Verdict::Begin { pace: next } => {
                    pace = next;
                    times.push(1000);
                }
                Verdict::At { time, pace: next } => {
                    pace = next;
                    times.push(time.as_micros() / 1000);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(times, [1000, 1000, 1100, 1200, 1300], "two at once, and then ten a second");
        paced.turn.counted = true;
        assert_eq!(take_turn(&paced, &Facts { pace, ..facts(1100) }), Verdict::Begin { pace: None });
    }

    #[test]
    fn a_pause_stops_what_was_counted_and_allows_no_burst_behind_it() {
        let mut paced = execution();
        paced.turn.rate = Some(Rate { per_second: 10.0, burst: 5 });
        let mut pace = Some(at(3000));
        let mut times = Vec::new();
        for counted in [true, true, false] {
            paced.turn.counted = counted;
            let asked = Facts { pace, paused_until: Some(at(9000)), ..facts(1000) };
            let Verdict::At { time, pace: next } = take_turn(&paced, &asked) else { panic!("{asked:?}") };
            pace = next;
            times.push(time.as_micros() / 1000);
        }
        assert_eq!(times, [9000, 9100, 9200]);
        paced.turn.counted = true;
        let over = Facts { pace, paused_until: Some(at(9000)), ..facts(9000) };
        assert_eq!(take_turn(&paced, &over), Verdict::Begin { pace: None });
        paced.turn.counted = false;
        let long_over = Facts { pace: Some(at(9800)), paused_until: Some(at(9000)), ..facts(60_000) };
        assert_eq!(take_turn(&paced, &long_over), Verdict::Begin { pace: Some(at(60_100)) });
        // Many places were given out before somebody asked to wait: they are not given twice.
        let far = Facts { pace: Some(at(20_000)), paused_until: Some(at(9000)), ..facts(1000) };
        assert_eq!(take_turn(&paced, &far), Verdict::At { time: at(19_600), pace: Some(at(20_100)) });
    }

    #[test]
    fn only_the_first_attempt_can_be_too_late() {
        let mut late = execution();
        late.turn.expires_at = Some(at(5));
        assert_eq!(take_turn(&late, &facts(4)), Verdict::Begin { pace: None });
        assert_eq!(take_turn(&late, &facts(5)), Verdict::TooLate);
        late.attempt = 1;
        assert_eq!(take_turn(&late, &facts(5)), Verdict::Begin { pace: None });
    }

    #[test]
    fn a_key_is_found_by_its_path() {
        let input = json!({"customer": {"id": 7, "order id": "a]b"}, "lines": [{"sku": "x"}, null]});
        let key = |path: &str| KeyPath::parse(path).unwrap().key(&input);
        assert_eq!(key(".customer.id").as_deref(), Some("7"));
        assert_eq!(key(".customer[\"order id\"]").as_deref(), Some("a]b"));
        assert_eq!(key(".[\"customer\"].id").as_deref(), Some("7"));
        assert_eq!(key(".lines[0].sku").as_deref(), Some("x"));
        assert_eq!(key(".lines[1]"), None);
        assert_eq!(key(".nothing.there"), None);
        assert_eq!(key(".").as_deref(), Some(input.to_string().as_str()));
        for wrong in ["", "customer", ".a..b", ".a | .b", ".a[", ".a[x]", ".a[\"b]", ".1", ".a.", "..", ".a b"] {
            assert!(KeyPath::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
