//! What sets an action off, beside a call: webhooks, schedules, events, and running all the time.
//!
//! A trigger stands in its action's document. What a store has to find or to change without reading
//! documents (a path, a time that is due, how often a key was used) is the trigger's
//! [`Standing`]: one row, made anew with each save.

use crate::{
    event::EventType,
    failure::Issue,
    id::{ActionId, ExecutionId},
    name::Name,
    schedule::{Calendar, Schedule},
    time::Timestamp,
    webhook::{Scheme, Webhook},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most triggers of one action.
pub const TRIGGERS_MAX: usize = 32;

/// Deepest chain of executions that events set off one after the other.
pub const CHAIN_DEPTH_MAX: u32 = 16;

/// What sets an action off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Trigger {
    /// Somebody calls the API. Always there; may be written for completeness.
    Call {},
    /// A request to the public listener.
    Webhook(Webhook),
    /// A time comes.
    Schedule(Schedule),
    /// An event of the service matches.
    Event(EventTrigger),
    /// One instance runs all the time, in the whole system.
    Continuous(Continuous),
}

/// Events that set an action off. All conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTrigger {
    /// Of one of these types.
    pub types: Vec<EventType>,
    /// Of this action, by id or by name; of any where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Items of this kind; of any where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `action_executed` that went well, or that did not; either where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// A jq condition over the event, which is in CloudEvents form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// How an action is kept running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Continuous {
    /// The wait before the first restart, in milliseconds; doubled at each further one.
    pub initial_ms: u64,
    /// No wait is longer, in milliseconds.
    pub max_ms: u64,
}

impl Default for Continuous {
    fn default() -> Self {
        Self { initial_ms: 1_000, max_ms: 60_000 }
    }
}

/// The kinds of triggers that a store keeps a row of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StandingKind {
    /// Found by its path.
    Webhook,
    /// Found by when it is due.
    Schedule,
    /// Looked at for each event.
    Event,
    /// Kept running.
    Continuous,
}

impl StandingKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Webhook, Self::Schedule, Self::Event, Self::Continuous];

    /// Its number in stores.
    pub const fn code(self) -> i64 {
        match self {
            Self::Webhook => 1,
            Self::Schedule => 2,
            Self::Event => 3,
            Self::Continuous => 4,
        }
    }

    /// The kind with this number.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// What a store keeps of one trigger of an action's current revision. There is none of a call, and
/// none of a disabled action but of its webhooks, whose paths stay its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The action.
    pub action: ActionId,
    /// Its place among the action's triggers, from 0.
    pub place: u32,
    /// Which kind.
    pub kind: StandingKind,
    /// Of a webhook: where it listens. No other has the same.
    pub path: Option<String>,
    /// Of a schedule: when it fires next; none when it never will.
    pub due_at: Option<Timestamp>,
    /// The last execution that it led to, where that has to be known.
    pub last: Option<ExecutionId>,
    /// How often it was used, where that is bounded.
    pub uses: u32,
}

impl Trigger {
    /// The word by which documents know it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Call {} => "call",
            Self::Webhook(_) => "webhook",
            Self::Schedule(_) => "schedule",
            Self::Event(_) => "event",
            Self::Continuous(_) => "continuous",
        }
    }

    /// The secret that proves a delivery to it by itself, where one does.
    pub fn key(&self) -> Option<&Name> {
        match self {
            Self::Webhook(Webhook { verify, .. }) if verify.scheme() == Scheme::Key => verify.secret(),
            _ => None,
        }
    }

    /// What is wrong with it; the pointers are into it.
    fn check(&self) -> Vec<Issue> {
        match self {
            Self::Call {} => Vec::new(),
            Self::Webhook(webhook) => webhook.check(),
            Self::Schedule(schedule) => schedule.check(),
            Self::Event(event) => event.check(),
            Self::Continuous(continuous) => continuous.check(),
        }
    }
}

impl EventTrigger {
    fn check(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.types.is_empty() {
            issues.push(Issue::new("/types", "required", "name at least one type of event"));
        }
        if self.kind.is_some() && self.types.iter().any(|of| *of != EventType::ItemCaptured) {
            issues.push(Issue::new("/kind", "invalid", "only item_captured events have a kind"));
        }
        if self.success.is_some() && self.types.iter().any(|of| *of != EventType::ActionExecuted) {
            issues.push(Issue::new("/success", "invalid", "only action_executed events have success"));
        }
        issues
    }
}

impl Continuous {
    fn check(&self) -> Vec<Issue> {
        const WAIT_MS_MAX: u64 = 24 * 3600 * 1000;
        let mut issues = Vec::new();
        if !(10..=WAIT_MS_MAX).contains(&self.initial_ms) {
            issues.push(Issue::new("/initial_ms", "out_of_range", "10 ms to a day"));
        }
        if !(self.initial_ms..=WAIT_MS_MAX).contains(&self.max_ms) {
            issues.push(Issue::new("/max_ms", "out_of_range", "initial_ms to a day"));
        }
        issues
    }
}

/// What is wrong with the triggers of an action; the pointers are into the action.
pub fn check(triggers: &[Trigger]) -> Vec<Issue> {
    let mut issues = Vec::new();
    if triggers.len() > TRIGGERS_MAX {
        issues.push(Issue::new("/triggers", "too_many", format!("more than {TRIGGERS_MAX} triggers")));
    }
    let mut paths = BTreeSet::new();
    for (index, trigger) in triggers.iter().enumerate() {
        let at = format!("/triggers/{index}");
        issues.extend(trigger.check().into_iter().map(|issue| issue.below(&at)));
        if let Trigger::Webhook(webhook) = trigger
            && !paths.insert(&webhook.path)
        {
            issues.push(Issue::new(format!("{at}/path"), "path_taken", "another trigger of this action has this path"));
        }
    }
    let continuous = triggers.iter().filter(|trigger| matches!(trigger, Trigger::Continuous(_))).count();
    if continuous > 1 {
        issues.push(Issue::new("/triggers", "too_many", "one continuous trigger: it runs as one instance"));
    }
    issues
}

/// The secrets that triggers name, with pointers into the action.
pub fn secrets(triggers: &[Trigger]) -> Vec<(Name, String)> {
    let of = |(index, trigger): (usize, &Trigger)| match trigger {
        Trigger::Webhook(webhook) => {
            webhook.verify.secret().map(|name| (name.clone(), format!("/triggers/{index}/verify/secret")))
        }
        _ => None,
    };
    triggers.iter().enumerate().filter_map(of).collect()
}

/// The rows of an action's triggers, as they are after a save at `now`. `before`: the rows of the
/// revision before; what a trigger that stays was used, and what it last led to, stays too.
pub fn standings(
    action: ActionId,
    triggers: &[Trigger],
    enabled: bool,
    now: Timestamp,
    before: &[(Trigger, Standing)],
) -> Vec<Standing> {
    let row = |(place, trigger): (usize, &Trigger)| {
        let kept = before.iter().find(|(other, _)| other == trigger).map(|(_, standing)| standing);
        let (kind, path, due_at) = match trigger {
            Trigger::Webhook(webhook) => (StandingKind::Webhook, Some(webhook.path.clone()), None),
            Trigger::Schedule(schedule) if enabled => (StandingKind::Schedule, None, next_due(schedule, now)),
            Trigger::Event(_) if enabled => (StandingKind::Event, None, None),
            Trigger::Continuous(_) if enabled => (StandingKind::Continuous, None, None),
            _ => return None,
        };
        Some(Standing {
            action,
            place: u32::try_from(place).unwrap_or(u32::MAX),
            kind,
            path,
            due_at,
            last: kept.and_then(|standing| standing.last),
            uses: kept.map_or(0, |standing| standing.uses),
        })
    };
    triggers.iter().enumerate().filter_map(row).collect()
}

fn next_due(schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
    // It was checked before it was saved.
    Calendar::of(schedule).ok().and_then(|calendar| calendar.after(now))
}

/// Whether any webhook here lets in whoever knows a path.
pub fn is_open(trigger: &Trigger) -> bool {
    matches!(trigger, Trigger::Webhook(Webhook { verify, .. }) if verify.scheme() == Scheme::None)
}
