//! Writing the triggers of current revisions.

use super::batch::Batch;
use crate::{
    read::triggers::{of_text, row},
    row::Columns,
};
use action_domain::{
    digest::Digest,
    id::{ActionId, ExecutionId},
    repositories::{Conflict, Fire},
    time::Timestamp,
    trigger::{Standing, carried_over},
};
use rusqlite::{OptionalExtension as _, Row};
use uuid::Uuid;

pub(crate) const OWNER_OF_PATH: &str = "SELECT action FROM triggers WHERE path = ?";
pub(crate) const REMOVE: &str = "DELETE FROM triggers WHERE action = ?";
const ADD: &str = "INSERT INTO triggers (action, place, kind, identity, since, path, due_at, last, uses) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(crate) const FIRE: &str =
    "UPDATE triggers SET due_at = ?, last = coalesce(?, last) WHERE action = ? AND identity = ? AND due_at = ?";
pub(crate) const USE: &str = "UPDATE triggers SET uses = uses + 1 WHERE action = ? AND identity = ? AND uses < ?";
pub(crate) const RESTART: &str = "UPDATE triggers SET last = ? WHERE action = ? AND identity = ? AND last IS ?";

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
        let mut of = self.connection.prepare_cached(&of_text())?;
        let before: Vec<Standing> = of.query_map([action.uuid().as_bytes()], row)?.collect::<rusqlite::Result<_>>()?;
        self.connection.prepare_cached(REMOVE)?.execute([action.uuid().as_bytes()])?;
        let mut add = self.connection.prepare_cached(ADD)?;
        for row in carried_over(rows, &before) {
            add.execute((
                action.uuid().as_bytes(),
                row.place,
                row.kind.code(),
                row.identity.as_bytes(),
                row.since.map(Timestamp::as_micros),
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
            fire.identity.as_bytes(),
            fire.due_at.as_micros(),
        ))?;
        Ok(if changed == 1 { Ok(()) } else { Err(Conflict::FiredBefore) })
    }

    pub(super) fn use_trigger(
        &mut self,
        action: ActionId,
        identity: Digest,
        most: u32,
    ) -> rusqlite::Result<Result<(), Conflict>> {
        let changed =
            self.connection.prepare_cached(USE)?.execute((action.uuid().as_bytes(), identity.as_bytes(), most))?;
        Ok(if changed == 1 { Ok(()) } else { Err(Conflict::UsedUp) })
    }

    pub(super) fn restart(
        &mut self,
        (action, identity): (ActionId, Digest),
        before: Option<ExecutionId>,
        new: ExecutionId,
    ) -> rusqlite::Result<Result<(), Conflict>> {
        let changed = self.connection.prepare_cached(RESTART)?.execute((
            bytes(Some(new)),
            action.uuid().as_bytes(),
            identity.as_bytes(),
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
