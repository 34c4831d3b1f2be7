//! Writing readers of the log: consumers, and those of the service's own.

use super::batch::Batch;
use crate::error::damaged;
use action_domain::{
    consumer::{CONSUMERS_MAX, Consumer},
    event::Position,
    name::Name,
    repositories::Conflict,
};

/// It stays where it stands, and keeps the time when it was made.
pub(crate) const CHANGE: &str = "UPDATE consumers SET document = $2 WHERE name = $1";
const ADD: &str = "INSERT INTO consumers (name, document, created_at, position) VALUES ($1, $2, $3, $4)";
const COUNT: &str = "SELECT count(*) FROM consumers";
pub(crate) const REMOVE: &str = "DELETE FROM consumers WHERE name = $1";
pub(crate) const ACKNOWLEDGE: &str = "UPDATE consumers SET position = greatest(position, $2) WHERE name = $1";
pub(crate) const CURSOR: &str = "SELECT position FROM cursors WHERE name = $1";
const ADD_CURSOR: &str = "INSERT INTO cursors (name, position) VALUES ($1, $2) ON CONFLICT DO NOTHING";
pub(crate) const MOVE_CURSOR: &str = "UPDATE cursors SET position = $3 WHERE name = $1 AND position = $2";
pub(crate) const REMOVE_CURSOR: &str = "DELETE FROM cursors WHERE name = $1 AND position = $2";

impl Batch<'_> {
    pub(super) async fn put_consumer(
        &mut self,
        consumer: &Consumer,
        position: Position,
    ) -> sqlx::Result<Result<(), Conflict>> {
        let document = serde_json::to_string(consumer).map_err(damaged)?;
        let name = consumer.name.as_str();
        let changed = sqlx::query(CHANGE).bind(name).bind(&document).execute(&mut *self.connection).await?;
        if changed.rows_affected() == 1 {
            return Ok(Ok(()));
        }
        // One process at a time adds them: it is a cold unit.
        let there: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut *self.connection).await?;
        if there >= i64::from(CONSUMERS_MAX) {
            return Ok(Err(Conflict::TooMany));
        }
        sqlx::query(ADD)
            .bind(name)
            .bind(document)
            .bind(consumer.created_at.as_micros())
            .bind(position)
            .execute(&mut *self.connection)
            .await?;
        Ok(Ok(()))
    }

    pub(super) async fn remove_consumer(&mut self, name: &Name) -> sqlx::Result<Result<(), Conflict>> {
        let removed = sqlx::query(REMOVE).bind(name.as_str()).execute(&mut *self.connection).await?;
        Ok(if removed.rows_affected() == 1 { Ok(()) } else { Err(Conflict::NotFound) })
    }

    pub(super) async fn acknowledge(&mut self, name: &Name, position: Position) -> sqlx::Result<Result<(), Conflict>> {
        let moved = sqlx::query(ACKNOWLEDGE).bind(name.as_str()).bind(position).execute(&mut *self.connection).await?;
        Ok(if moved.rows_affected() == 1 { Ok(()) } else { Err(Conflict::NotFound) })
    }

    pub(super) async fn move_cursor(
        &mut self,
        name: &str,
        from: Option<Position>,
        to: Option<Position>,
    ) -> sqlx::Result<Result<(), Conflict>> {
        let statement = match (from, to) {
            (None, None) => {
                let found = sqlx::query(CURSOR).bind(name).fetch_optional(&mut *self.connection).await?;
                return Ok(if found.is_none() { Ok(()) } else { Err(Conflict::CursorMoved) });
            }
            (None, Some(to)) => sqlx::query(ADD_CURSOR).bind(name).bind(to),
            (Some(from), None) => sqlx::query(REMOVE_CURSOR).bind(name).bind(from),
            (Some(from), Some(to)) => sqlx::query(MOVE_CURSOR).bind(name).bind(from).bind(to),
        };
        let changed = statement.execute(&mut *self.connection).await?;
        Ok(if changed.rows_affected() == 1 { Ok(()) } else { Err(Conflict::CursorMoved) })
    }
}
