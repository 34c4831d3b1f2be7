//! The part of the random work that is about what comes in: triggers, captured items, consumers.

use super::NAMES;
use crate::World;
use action_domain::{
    digest::Digest,
    event::Position,
    id::ActionId,
    repositories::{EventFilter, Fire, Page, Store, Write},
    services::Random,
    trigger::{Standing, StandingKind, carried_over},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// What further work can build on, or clash with.
#[derive(Default)]
pub(super) struct ComesIn {
    triggers: BTreeMap<ActionId, Vec<Standing>>,
    cursors: BTreeMap<Arc<str>, Position>,
}

const CURSORS: [&str; 2] = ["$one", "$other"];
const PLACES: usize = 3;

impl ComesIn {
    pub(super) fn write(&self, w: &World, action: ActionId) -> Write {
        let random = &w.random;
        let name = *random.one_of(&NAMES);
        let place = random.below(PLACES) as u32;
        let row = self.triggers.get(&action).and_then(|rows| rows.iter().find(|row| row.place == place));
        match random.below(12) {
            0 | 1 => {
                Write::SetTriggers(action, (0..random.below(PLACES + 1) as u32).map(|n| any(w, action, n)).collect())
            }
            2 | 3 => {
                let known = row.and_then(|row| row.due_at).filter(|_| !random.once_in(5));
                let next = (!random.once_in(3)).then(|| w.now().plus(Duration::from_secs(random.below(9) as u64)));
                let last = random.once_in(2).then(|| random.execution_id());
                let identity = row.map_or_else(|| World::identity(place, StandingKind::Schedule), |row| row.identity);
                Write::FireIfDue(Box::new(Fire {
                    action,
                    identity,
                    due_at: known.unwrap_or_else(|| w.now()),
                    next,
                    last,
                }))
            }
            4 => Write::UseTrigger(action, World::identity(place, StandingKind::Webhook), random.below(4) as u32),
            5 => {
                let identity = row.map_or_else(|| World::identity(place, StandingKind::Continuous), |row| row.identity);
                Write::RestartIfLast(action, identity, row.and_then(|row| row.last), random.execution_id())
            }
            6 => {
                let keys: BTreeSet<Arc<str>> = (0..=random.below(2)).map(|_| (*random.one_of(&NAMES)).into()).collect();
                Write::AddItemKeys(action, keys.into_iter().collect())
            }
            7 => {
                let value = || (!w.random.once_in(3)).then(|| Bytes::from(vec![w.random.below(9) as u8; 3]));
                Write::SetValues(action, (0..2).map(|_| ((*random.one_of(&NAMES)).to_owned(), value())).collect())
            }
            8 => Write::PutConsumer(Box::new(w.consumer(name)), random.below(9) as Position),
            9 => Write::RemoveConsumer(name.parse().unwrap()),
            10 => Write::Acknowledge(name.parse().unwrap(), random.below(99) as Position),
            _ => {
                let cursor: Arc<str> = (*random.one_of(&CURSORS)).into();
                let from = self.cursors.get(&cursor).copied().filter(|_| !random.once_in(5));
                Write::MoveCursorIf(cursor, from, (!random.once_in(4)).then(|| random.below(99) as Position))
            }
        }
    }

    /// What a unit that was accepted did.
    pub(super) fn remember(&mut self, write: &Write) {
        match write {
            Write::SetTriggers(action, rows) => {
                let of = self.triggers.entry(*action).or_default();
                *of = carried_over(rows, of);
            }
            Write::FireIfDue(fire) => self.change(fire.action, fire.identity, |row| {
                row.due_at = fire.next;
                row.last = fire.last.or(row.last);
            }),
            Write::RestartIfLast(action, identity, _, new) => {
                self.change(*action, *identity, |row| row.last = Some(*new));
            }
            Write::MoveCursorIf(name, _, to) => {
                self.cursors.remove(name);
                self.cursors.extend(to.map(|to| (Arc::clone(name), to)));
            }
            _ => {}
        }
    }

    fn change(&mut self, action: ActionId, identity: Digest, change: impl FnOnce(&mut Standing)) {
        let rows = self.triggers.entry(action).or_default();
        if let Some(row) = rows.iter_mut().find(|row| row.identity == identity) {
            change(row);
        }
    }
}

/// Any trigger, at times one of a disabled action. An action has no path twice.
fn any(w: &World, action: ActionId, place: u32) -> Standing {
    let random = &w.random;
    let row = match *random.one_of(&StandingKind::ALL) {
        StandingKind::Webhook => w.webhook(action, place, &format!("{}/{place}", random.one_of(&NAMES))),
        StandingKind::Schedule => w.schedule(action, place, random.below(9) as u64),
        kind => w.standing(action, place, kind),
    };
    if random.once_in(4) { Standing { since: None, due_at: None, ..row } } else { row }
}

/// Compares all that can be read of it.
pub(super) async fn compare(left: &dyn Store, right: &dyn Store, w: &World, actions: &[ActionId], place: &str) {
    macro_rules! same {
        ($($call:tt)*) => {
            let (one, other) = (left.$($call)*.await.unwrap(), right.$($call)*.await.unwrap());
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "{place}: {}", stringify!($($call)*));
        };
    }
    let keys = NAMES.map(Arc::from);
    for action in actions {
        same!(triggers_of(*action));
        same!(captured_keys(*action, &keys));
        same!(values(*action));
    }
    for kind in StandingKind::ALL {
        same!(triggers(kind, Page { after: None, limit: 500 }));
    }
    for limit in [2, 500] {
        same!(due_schedules(w.now(), limit));
    }
    same!(next_schedule());
    for (name, place) in NAMES.iter().flat_map(|name| (0..PLACES).map(move |place| (name, place))) {
        same!(webhook_at(&format!("{name}/{place}")));
    }
    same!(consumers(Page { after: None, limit: 500 }));
    for name in NAMES {
        same!(consumer(&name.parse().unwrap()));
    }
    for cursor in CURSORS {
        same!(cursor(cursor));
    }
    for action in [None, actions.first().copied()] {
        let filter = EventFilter { kind: Some("entry".to_owned()), action, ..EventFilter::default() };
        same!(events(&filter, Page { after: None, limit: 500 }));
    }
}
