//! What sets an action off, beside a call: webhooks, schedules, events, and running all the time.
//!
//! A trigger stands in its action's document. What a store has to find or to change without reading
//! documents (a path, a time that is due, how often a key was used) is the trigger's
//! [`Standing`]: one row, made anew with each save. What happened to a trigger that stays is not forgotten
//! by a save: the store carries it over, in the unit of the save ([`carried_over`]).

use crate::{
    digest::Digest,
    event::EventType,
    failure::Issue,
    id::{ActionId, ExecutionId},
    name::Name,
    schedule::{Calendar, Schedule},
    time::Timestamp,
    webhook::{Scheme, Webhook},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Most triggers of one action.
pub const TRIGGERS_MAX: usize = 32;

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

/// What a store keeps of one trigger of an action's current revision. There is none of a call. Those of
/// a disabled action stay: a webhook's path is the action's own, and what is kept running has to be
/// known to be stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The action.
    pub action: ActionId,
    /// Its place among the action's triggers, from 0.
    pub place: u32,
    /// Which kind.
    pub kind: StandingKind,
    /// By what it is known as the same one after a save, whatever its place then; see [`identities`]. No
    /// other of the action has the same.
    pub identity: Digest,
    /// Since when it sets off: since it was saved, or its action was enabled again. None while its action
    /// is disabled.
    pub since: Option<Timestamp>,
    /// Of a webhook: where it listens. No other has the same.
    pub path: Option<String>,
    /// Of a schedule: when it fires next; none when it never will.
    pub due_at: Option<Timestamp>,
    /// The last execution that it led to, where that has to be known. (Of what was refused there is none
    /// with this id.)
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

/// The rows of an action's triggers, as they are after a save at `now` that knows of no save before.
pub fn standings(action: ActionId, triggers: &[Trigger], enabled: bool, now: Timestamp) -> Vec<Standing> {
    let row = |((place, trigger), identity): ((usize, &Trigger), Option<Digest>)| {
        let (kind, path, due_at) = match trigger {
            Trigger::Call {} => return None,
            Trigger::Webhook(webhook) => (StandingKind::Webhook, Some(webhook.path.clone()), None),
            Trigger::Schedule(schedule) if enabled => (StandingKind::Schedule, None, next_due(schedule, now)),
            Trigger::Schedule(_) => (StandingKind::Schedule, None, None),
            Trigger::Event(_) => (StandingKind::Event, None, None),
            Trigger::Continuous(_) => (StandingKind::Continuous, None, None),
        };
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        let since = enabled.then_some(now);
        Some(Standing { action, place, kind, identity: identity?, since, path, due_at, last: None, uses: 0 })
    };
    triggers.iter().enumerate().zip(identities(triggers)).filter_map(row).collect()
}

/// These rows of a save, with what the rows before it know of the triggers that stay: how often one was
/// used and what it last led to; and, where it sets off before the save and behind it, since when, and
/// what it is due for.
pub fn carried_over(rows: &[Standing], before: &[Standing]) -> Vec<Standing> {
    let carry = |row: &Standing| {
        let row = row.clone();
        let Some(known) = before.iter().find(|other| other.identity == row.identity) else { return row };
        let (last, uses) = (known.last, known.uses);
        match (row.since, known.since) {
            (Some(_), Some(since)) => Standing { since: Some(since), due_at: known.due_at, last, uses, ..row },
            _ => Standing { last, uses, ..row },
        }
    };
    rows.iter().map(carry).collect()
}

/// By what each trigger is known as the same one after a save: its kind, and what decides. That is
///
/// - of a webhook the path, the scheme and the secret's name: who may call. A count of uses goes on when
///   its bound changes, and begins anew with another secret.
/// - of a schedule all that says when it is due.
/// - of an event trigger what it hears of: the types, and the action that it names. By which of these events
///   it is set off, the document says as it is then: nobody who changes a condition misses what happened.
/// - of a continuous trigger nothing more: there is one.
///
/// Of several that are the same, each is known by its number among them. A call has no row.
pub fn identities(triggers: &[Trigger]) -> Vec<Option<Digest>> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut identity = |trigger: &Trigger| {
        let kind = trigger.kind();
        let decides = match trigger {
            Trigger::Call {} => return None,
            Trigger::Webhook(Webhook { path, verify, .. }) => json!([kind, path, verify.scheme(), verify.secret()]),
            Trigger::Schedule(schedule) => {
                let Schedule { cron, every_ms, timezone, start, end, .. } = schedule;
                json!([kind, cron, every_ms, timezone, start, end])
            }
            Trigger::Event(EventTrigger { types, action, .. }) => {
                let types: BTreeSet<&str> = types.iter().map(|of| of.as_str()).collect();
                json!([kind, types, action])
            }
            Trigger::Continuous(_) => json!([kind]),
        };
        let number = seen.entry(decides.to_string()).or_default();
        *number += 1;
        Some(Digest::of(json!([decides, number]).to_string().as_bytes()))
    };
    triggers.iter().map(&mut identity).collect()
}

/// The trigger among these that is known by an identity. None where the document is another revision
/// than the one that the row is of.
pub fn known_by(triggers: &[Trigger], identity: Digest) -> Option<&Trigger> {
    let at = identities(triggers).into_iter().position(|other| other == Some(identity))?;
    triggers.get(at)
}

fn next_due(schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
    // It was checked before it was saved.
    Calendar::of(schedule).ok().and_then(|calendar| calendar.after(now))
}

/// Whether any webhook here lets in whoever knows a path.
pub fn is_open(trigger: &Trigger) -> bool {
    matches!(trigger, Trigger::Webhook(Webhook { verify, .. }) if verify.scheme() == Scheme::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triggers(document: serde_json::Value) -> Vec<Trigger> {
        serde_json::from_value(document).unwrap()
    }

    fn hook(extra: serde_json::Value) -> serde_json::Value {
        let mut hook =
            json!({"type": "webhook", "path": "p", "verify": {"scheme": "key", "secret": "s", "max_uses": 3}});
        hook.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        hook
    }

    #[test]
    fn a_trigger_is_the_same_as_long_as_what_decides_is() {
        let of = |trigger: serde_json::Value| identities(&triggers(json!([trigger])))[0];
        let every = |extra: serde_json::Value| {
            let mut schedule = json!({"type": "schedule", "every_ms": 5000});
            schedule.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            of(schedule)
        };
        let plain = of(hook(json!({})));
        assert_eq!(plain, of(hook(json!({"respond": "outcome", "filter": ".a"}))));
        let verified = |verify| of(hook(json!({"verify": verify})));
        assert_eq!(plain, verified(json!({"scheme": "key", "secret": "s", "max_uses": 9})));
        assert_ne!(plain, verified(json!({"scheme": "key", "secret": "other", "max_uses": 3})));
        assert_ne!(plain, verified(json!({"scheme": "github", "secret": "s"})));
        assert_ne!(plain, of(hook(json!({"path": "q"}))));
        let plain = every(json!({}));
        assert_eq!(plain, every(json!({"missed": "skip", "overlap": "queue", "jitter_ms": 9, "input": 1})));
        for other in [
            json!({"every_ms": 6000}),
            json!({"timezone": "Europe/Berlin"}),
            json!({"start": "2026-01-01T00:00:00Z"}),
            json!({"end": "2026-01-01T00:00:00Z"}),
            json!({"every_ms": null, "cron": "* * * * *"}),
        ] {
            assert_ne!(plain, every(other.clone()), "{other}");
        }
        let event = |extra: serde_json::Value| {
            let mut event = json!({"type": "event", "types": ["item_captured", "action_executed"], "action": "a"});
            event.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            of(event)
        };
        let plain = event(json!({}));
        assert_eq!(plain, event(json!({"kind": "k", "success": true, "filter": ".a"})));
        assert_eq!(plain, event(json!({"types": ["action_executed", "item_captured"]})));
        for other in [json!({"types": ["item_captured"]}), json!({"action": "b"}), json!({"action": null})] {
            assert_ne!(plain, event(other.clone()), "{other}");
        }
        let continuous = of(json!({"type": "continuous"}));
        assert_eq!(continuous, of(json!({"type": "continuous", "initial_ms": 20})));
    }

    #[test]
    fn each_of_an_action_is_known_by_its_own_identity_wherever_it_stands() {
        let two = triggers(json!([
            {"type": "schedule", "every_ms": 5000, "input": 1},
            {"type": "call"},
            hook(json!({})),
            {"type": "schedule", "every_ms": 5000, "input": 2}
        ]));
        let of = identities(&two);
        assert_eq!(of[1], None);
        let there: BTreeSet<Digest> = of.iter().copied().flatten().collect();
        assert_eq!(there.len(), 3);
        for (trigger, identity) in two.iter().zip(&of) {
            assert!(identity.is_none_or(|identity| known_by(&two, identity) == Some(trigger)));
        }
        let moved: Vec<Trigger> = two.iter().rev().cloned().collect();
        assert_eq!(identities(&moved).into_iter().flatten().collect::<BTreeSet<_>>(), there);
        assert_eq!(known_by(&two[..2], of[2].unwrap()), None);
    }

    #[test]
    fn what_stays_is_carried_over_and_what_is_enabled_again_begins_anew() {
        let action: ActionId = "act_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let all = triggers(json!([hook(json!({})), {"type": "schedule", "every_ms": 5000}, {"type": "continuous"}]));
        let last = Some(ExecutionId::from_uuid(uuid::Uuid::max()));
        let saved = |enabled, seconds, before: &[Standing]| {
            carried_over(&standings(action, &all, enabled, at(seconds)), before)
        };
        let mut first = saved(true, 3, &[]);
        assert_eq!((first[1].due_at, first[2].since), (Some(at(5)), Some(at(3))));
        first[0].uses = 2;
        first[2].last = last;
        let again = saved(true, 12, &first);
        assert_eq!(again, first, "a fire that was due and not made stays due");
        let disabled = saved(false, 12, &again);
        let seen: Vec<_> = disabled.iter().map(|row| (row.since, row.due_at, row.uses, row.last)).collect();
        assert_eq!(seen, [(None, None, 2, None), (None, None, 0, None), (None, None, 0, last)]);
        let enabled = saved(true, 22, &disabled);
        let seen: Vec<_> = enabled.iter().map(|row| (row.since, row.due_at, row.uses, row.last)).collect();
        let since = Some(at(22));
        assert_eq!(seen, [(since, None, 2, None), (since, Some(at(25)), 0, None), (since, None, 0, last)]);
    }
}
