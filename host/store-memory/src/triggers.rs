//! The triggers of current revisions, and the writes that change them.

use crate::{state::State, write::Undo};
use action_domain::{
    digest::Digest,
    id::{ActionId, ExecutionId},
    repositories::{CommitError, Conflict, Fire, Page},
    time::Timestamp,
    trigger::{Standing, StandingKind, carried_over},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Included},
};

/// An action, and a trigger's place among its triggers.
type Place = (ActionId, u32);

/// Rows and their indexes.
#[derive(Debug, Default)]
pub(crate) struct Triggers {
    rows: BTreeMap<Place, Standing>,
    by_path: BTreeMap<String, Place>,
    due: BTreeSet<(Timestamp, Place)>,
    by_kind: BTreeSet<(StandingKind, Place)>,
}

impl Triggers {
    /// The triggers of an action, in their order.
    pub(crate) fn of(&self, action: ActionId) -> Vec<Standing> {
        self.rows.range((action, 0)..=(action, u32::MAX)).map(|(_, row)| row.clone()).collect()
    }

    /// The trigger of an action that has an identity.
    fn known_by(&self, action: ActionId, identity: Digest) -> Option<&Standing> {
        let mut rows = self.rows.range((action, 0)..=(action, u32::MAX));
        rows.find_map(|(_, row)| (row.identity == identity).then_some(row))
    }

    /// The webhook at a path.
    pub(crate) fn at(&self, path: &str) -> Option<&Standing> {
        self.rows.get(self.by_path.get(path)?)
    }

    /// Triggers of a kind by action and place.
    pub(crate) fn of_kind(&self, kind: StandingKind, page: Page<Place>) -> Vec<Standing> {
        let nil = ActionId::from_uuid(uuid::Uuid::nil());
        let max = ActionId::from_uuid(uuid::Uuid::max());
        let from = page.after.map_or(Included((kind, (nil, 0))), |after| Excluded((kind, after)));
        let of_kind = self.by_kind.range((from, Included((kind, (max, u32::MAX)))));
        of_kind.filter_map(|(_, place)| self.rows.get(place)).take(page.limit as usize).cloned().collect()
    }

    /// Schedules that are due, the one that is due first first.
    pub(crate) fn due(&self, now: Timestamp, limit: u32) -> Vec<Standing> {
        let due = self.due.iter().take_while(|(due_at, _)| *due_at <= now);
        due.filter_map(|(_, place)| self.rows.get(place)).take(limit as usize).cloned().collect()
    }

    /// When the next schedule is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due_at, _)| *due_at)
    }

    fn put(&mut self, row: Standing) -> Option<Standing> {
        let place = (row.action, row.place);
        let old = self.take(place);
        self.by_kind.insert((row.kind, place));
        self.by_path.extend(row.path.clone().map(|path| (path, place)));
        self.due.extend(row.due_at.map(|due_at| (due_at, place)));
        self.rows.insert(place, row);
        old
    }

    fn take(&mut self, place: Place) -> Option<Standing> {
        let old = self.rows.remove(&place)?;
        self.by_kind.remove(&(old.kind, place));
        if let Some(path) = &old.path {
            self.by_path.remove(path);
        }
        if let Some(due_at) = old.due_at {
            self.due.remove(&(due_at, place));
        }
        Some(old)
    }

    /// Puts these in the place of all that an action has; gives those back.
    pub(crate) fn replace(&mut self, action: ActionId, rows: Vec<Standing>) -> Vec<Standing> {
        let old = self.of(action);
        for row in &old {
            self.take((action, row.place));
        }
        for row in rows {
            self.put(row);
        }
        old
    }
}

impl State {
    pub(crate) fn set_triggers(&mut self, action: ActionId, rows: Vec<Standing>) -> Result<Undo, CommitError> {
        if !self.names_of.contains_key(&action) {
            return Ok(Box::new(|_| {}));
        }
        let of_another = |path: &&String| self.triggers.at(path).is_some_and(|other| other.action != action);
        if let Some(path) = rows.iter().filter_map(|row| row.path.as_ref()).find(of_another) {
            return Err(Conflict::PathTaken(path.clone()).into());
        }
        let rows = carried_over(&rows, &self.triggers.of(action));
        let old = self.triggers.replace(action, rows);
        Ok(Box::new(move |state| drop(state.triggers.replace(action, old))))
    }

    pub(crate) fn fire(&mut self, fire: &Fire) -> Result<Undo, CommitError> {
        let due = |row: &&Standing| row.due_at == Some(fire.due_at);
        let row = self.triggers.known_by(fire.action, fire.identity).filter(due).ok_or(Conflict::FiredBefore)?;
        Ok(self.put_trigger(Standing { due_at: fire.next, last: fire.last.or(row.last), ..row.clone() }))
    }

    pub(crate) fn use_trigger(&mut self, action: ActionId, identity: Digest, most: u32) -> Result<Undo, CommitError> {
        let left = |row: &&Standing| row.uses < most;
        let row = self.triggers.known_by(action, identity).filter(left).ok_or(Conflict::UsedUp)?;
        Ok(self.put_trigger(Standing { uses: row.uses + 1, ..row.clone() }))
    }

    pub(crate) fn restart(
        &mut self,
        (action, identity): (ActionId, Digest),
        before: Option<ExecutionId>,
        new: ExecutionId,
    ) -> Result<Undo, CommitError> {
        let same = |row: &&Standing| row.last == before;
        let row = self.triggers.known_by(action, identity).filter(same).ok_or(Conflict::FiredBefore)?;
        Ok(self.put_trigger(Standing { last: Some(new), ..row.clone() }))
    }

    fn put_trigger(&mut self, row: Standing) -> Undo {
        let old = self.triggers.put(row);
        Box::new(move |state| {
            old.map(|old| state.triggers.put(old));
        })
    }
}
