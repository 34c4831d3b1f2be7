//! Writing readers of the log: consumers, and those of the service's own.

use super::batch::Batch;
use crate::error::damaged;
use action_domain::{
    consumer::{CONSUMERS_MAX, Consumer},
    event::Position,
    name::Name,
    repositories::Conflict,
};
use rusqlite::{OptionalExtension as _, params};

/// It stays where it stands, and keeps the time when it was made.
pub(crate) const CHANGE: &str = "UPDATE consumers SET document = ? WHERE name = ?";
const ADD: &str = "INSERT INTO consumers (name, document, created_at, position) VALUES (?, ?, ?, ?)";
const COUNT: &str = "SELECT count(*) FROM consumers";
pub(crate) const REMOVE: &str = "DELETE FROM consumers WHERE name = ?";
pub(crate) const ACKNOWLEDGE: &str = "UPDATE consumers SET position = max(position, ?) WHERE name = ?";
pub(crate) const CURSOR: &str = "SELECT position FROM cursors WHERE name = ?";
const PUT_CURSOR: &str = "INSERT INTO cursors (name, position) VALUES (?, ?) \
     ON CONFLICT (name) DO UPDATE SET position = excluded.position";
pub(crate) const REMOVE_CURSOR: &str = "DELETE FROM cursors WHERE name = ?";

impl Batch<'_> {
    pub(super) fn put_consumer(
        &mut self,
        consumer: &Consumer,
        position: Position,
    ) -> rusqlite::Result<Result<(), Conflict>> {
        let document = serde_json::to_string(consumer).map_err(damaged)?;
        let name = consumer.name.as_str();
        if self.connection.execute(CHANGE, (&document, name))? == 1 {
            return Ok(Ok(()));
        }
        let there: u32 = self.connection.query_row(COUNT, [], |row| row.get(0))?;
        if there >= CONSUMERS_MAX {
            return Ok(Err(Conflict::TooMany));
        }
        let values = params![name, document, consumer.created_at.as_micros(), position];
        self.connection.execute(ADD, values)?;
        Ok(Ok(()))
    }

    pub(super) fn remove_consumer(&mut self, name: &Name) -> rusqlite::Result<Result<(), Conflict>> {
        let removed = self.connection.execute(REMOVE, [name.as_str()])?;
        Ok(if removed == 1 { Ok(()) } else { Err(Conflict::NotFound) })
    }

    pub(super) fn acknowledge(&mut self, name: &Name, position: Position) -> rusqlite::Result<Result<(), Conflict>> {
        let moved = self.connection.prepare_cached(ACKNOWLEDGE)?.execute((position, name.as_str()))?;
        Ok(if moved == 1 { Ok(()) } else { Err(Conflict::NotFound) })
    }

    pub(super) fn move_cursor(
        &mut self,
        name: &str,
        from: Option<Position>,
        to: Option<Position>,
    ) -> rusqlite::Result<Result<(), Conflict>> {
        let found = self.connection.prepare_cached(CURSOR)?.query_row([name], |row| row.get(0)).optional()?;
        if found != from {
            return Ok(Err(Conflict::CursorMoved));
        }
        match to {
            Some(to) => self.connection.prepare_cached(PUT_CURSOR)?.execute((name, to))?,
            None => self.connection.prepare_cached(REMOVE_CURSOR)?.execute([name])?,
        };
        Ok(Ok(()))
    }
}
