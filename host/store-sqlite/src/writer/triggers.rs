//! Writing the triggers of current revisions.

use super::batch::Batch;
use crate::row::Columns;
use action_domain::{
    id::{ActionId, ExecutionId},
    repositories::{Conflict, Fire},
    time::Timestamp,
    trigger::Standing,
};
use rusqlite::{OptionalExtension as _, Row};
use uuid::Uuid;

pub(crate) const OWNER_OF_PATH: &str = "SELECT action FROM triggers WHERE path = ?";
pub(crate) const REMOVE: &str = "DELETE FROM triggers WHERE action = ?";
const ADD: &str = "INSERT INTO triggers (action, place, kind, path, due_at, last, uses) VALUES (?, ?, ?, ?, ?, ?, ?)";
pub(crate) const FIRE: &str =
    "UPDATE triggers SET due_at = ?, last = coalesce(?, last) WHERE action = ? AND place = ? AND due_at = ?";
pub(crate) const USE: &str = "UPDATE triggers SET uses = uses + 1 WHERE action = ? AND place = ? AND uses < ?";
pub(crate) const RESTART: &str = "UPDATE triggers SET last = ? WHERE action = ? AND place = ? AND last IS ?";

impl Batch<'_> {
    pub(super) fn set_triggers(
        &mut self,
        action: ActionId,
        rows: &[Standing],
    ) -> rusqlite::Result<Result<(), Conflict>> {
        if !self.is_there(action)? {
            return Ok(Ok(()));
        }
        for path in rows.iter().filter_map(|row| row.path.as_ref()) {
            if self.owner_of_path(path)?.is_some_and(|owner| owner != action.uuid()) {
                return Ok(Err(Conflict::PathTaken(path.clone())));
            }
        }
        self.connection.prepare_cached(REMOVE)?.execute([action.uuid().as_bytes()])?;
        let mut add = self.connection.prepare_cached(ADD)?;
        for row in rows {
            add.execute((
                action.uuid().as_bytes(),
                row.place,
                row.kind.code(),
                &row.path,
                row.due_at.map(Timestamp::as_micros),
                bytes(row.last),
                row.uses,
            ))?;
        }
        Ok(Ok(()))
    }

    pub(super) fn fire(&mut self, fire: &Fire) -> rusqlite::Result<Result<(), Conflict>> {
        let changed = self.connection.prepare_cached(FIRE)?.execute((
            fire.next.map(Timestamp::as_micros),
            bytes(fire.last),
            fire.action.uuid().as_bytes(),
            fire.place,
            fire.due_at.as_micros(),
        ))?;
        Ok(if changed == 1 { Ok(()) } else { Err(Conflict::FiredBefore) })
    }

    pub(super) fn use_trigger(
        &mut self,
        action: ActionId,
        place: u32,
        most: u32,
    ) -> rusqlite::Result<Result<(), Conflict>> {
        let changed = self.connection.prepare_cached(USE)?.execute((action.uuid().as_bytes(), place, most))?;
        Ok(if changed == 1 { Ok(()) } else { Err(Conflict::UsedUp) })
    }

    pub(super) fn restart(
        &mut self,
        (action, place): (ActionId, u32),
        before: Option<ExecutionId>,
        new: ExecutionId,
    ) -> rusqlite::Result<Result<(), Conflict>> {
        let changed = self.connection.prepare_cached(RESTART)?.execute((
            bytes(Some(new)),
            action.uuid().as_bytes(),
            place,
            bytes(before),
        ))?;
        Ok(if changed == 1 { Ok(()) } else { Err(Conflict::FiredBefore) })
    }

    fn owner_of_path(&self, path: &str) -> rusqlite::Result<Option<Uuid>> {
        let read = |row: &Row<'_>| Columns::of(row).uuid();
        self.connection.prepare_cached(OWNER_OF_PATH)?.query_row([path], read).optional()
    }
}

fn bytes(id: Option<ExecutionId>) -> Option<[u8; 16]> {
    id.map(|id| *id.uuid().as_bytes())
}
