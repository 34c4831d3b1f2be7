//! Writing the triggers of current revisions.
//!
//! A trigger fires in one of many processes: the one whose write finds it as it believes. Its row is
//! held from the batch's beginning ([`hold_rows`](super::guard::hold_rows)).

use super::batch::Batch;
use crate::read::triggers;
use action_domain::{
    digest::Digest,
    id::{ActionId, ExecutionId},
    repositories::{Conflict, Fire},
    time::Timestamp,
    trigger::{Standing, carried_over},
};
use sqlx::postgres::PgBindIterExt as _;

/// The paths among these that other actions have.
pub(crate) const TAKEN_PATHS: &str = "SELECT path FROM triggers WHERE path = ANY($1) AND action <> $2";
pub(crate) const REMOVE: &str = "DELETE FROM triggers WHERE action = $1";
const ADD: &str = "INSERT INTO triggers (action, place, kind, identity, since, path, due_at, last, uses) \
     SELECT $1, * FROM unnest($2::bigint[], $3::smallint[], $4::bytea[], $5::bigint[], $6::bytea[], $7::bigint[], \
     $8::uuid[], $9::bigint[])";
/// The row is found among its action's; when it is due is only checked.
pub(crate) const FIRE: &str = "UPDATE triggers SET due_at = $4, last = coalesce($5, last) \
     WHERE action = $1 AND identity = $2 AND (due_at = $3) IS TRUE";
pub(crate) const USE: &str = "UPDATE triggers SET uses = uses + 1 WHERE action = $1 AND identity = $2 AND uses < $3";
pub(crate) const RESTART: &str =
    "UPDATE triggers SET last = $4 WHERE action = $1 AND identity = $2 AND last IS NOT DISTINCT FROM $3";

impl Batch<'_> {
    pub(super) async fn set_triggers(
        &mut self,
        action: ActionId,
        rows: &[Standing],
    ) -> sqlx::Result<Result<(), Conflict>> {
        if !self.is_there(action).await? {
            return Ok(Ok(()));
        }
        let paths = || rows.iter().filter_map(|row| row.path.as_deref());
        if paths().next().is_some() {
            let taken: Vec<Vec<u8>> = sqlx::query_scalar(TAKEN_PATHS)
                .bind(paths().map(str::as_bytes).bind_iter())
                .bind(action.uuid())
                .fetch_all(&mut *self.connection)
                .await?;
            if let Some(path) = paths().find(|path| taken.iter().any(|taken| taken == path.as_bytes())) {
                return Ok(Err(Conflict::PathTaken(path.to_owned())));
            }
        }
        let before = triggers::of(action).fetch_all(&mut *self.connection).await?;
        let before: Vec<Standing> = before.iter().map(triggers::row).collect::<sqlx::Result<_>>()?;
        let rows = carried_over(rows, &before);
        sqlx::query(REMOVE).bind(action.uuid()).execute(&mut *self.connection).await?;
        if rows.is_empty() {
            return Ok(Ok(()));
        }
        sqlx::query(ADD)
            .bind(action.uuid())
            .bind(rows.iter().map(|row| i64::from(row.place)).bind_iter())
            .bind(rows.iter().map(|row| row.kind.code() as i16).bind_iter())
            .bind(rows.iter().map(|row| &row.identity.as_bytes()[..]).bind_iter())
            .bind(rows.iter().map(|row| row.since.map(Timestamp::as_micros)).bind_iter())
            .bind(rows.iter().map(|row| row.path.as_deref().map(str::as_bytes)).bind_iter())
            .bind(rows.iter().map(|row| row.due_at.map(Timestamp::as_micros)).bind_iter())
            .bind(rows.iter().map(|row| row.last.map(|id| id.uuid())).bind_iter())
            .bind(rows.iter().map(|row| i64::from(row.uses)).bind_iter())
            .execute(&mut *self.connection)
            .await?;
        self.stage.note_due_at(rows.iter().filter_map(|row| row.due_at).min());
        Ok(Ok(()))
    }

    pub(super) async fn fire(&mut self, fire: &Fire) -> sqlx::Result<Result<(), Conflict>> {
        let changed = sqlx::query(FIRE)
            .bind(fire.action.uuid())
            .bind(&fire.identity.as_bytes()[..])
            .bind(fire.due_at.as_micros())
            .bind(fire.next.map(Timestamp::as_micros))
            .bind(fire.last.map(|id| id.uuid()))
            .execute(&mut *self.connection)
            .await?;
        Ok(if changed.rows_affected() == 1 { Ok(()) } else { Err(Conflict::FiredBefore) })
    }

    pub(super) async fn use_trigger(
        &mut self,
        action: ActionId,
        identity: Digest,
        most: u32,
    ) -> sqlx::Result<Result<(), Conflict>> {
        let changed = sqlx::query(USE)
            .bind(action.uuid())
            .bind(&identity.as_bytes()[..])
            .bind(i64::from(most))
            .execute(&mut *self.connection)
            .await?;
        Ok(if changed.rows_affected() == 1 { Ok(()) } else { Err(Conflict::UsedUp) })
    }

    pub(super) async fn restart(
        &mut self,
        (action, identity): (ActionId, Digest),
        before: Option<ExecutionId>,
        new: ExecutionId,
    ) -> sqlx::Result<Result<(), Conflict>> {
        let changed = sqlx::query(RESTART)
            .bind(action.uuid())
            .bind(&identity.as_bytes()[..])
            .bind(before.map(|id| id.uuid()))
            .bind(new.uuid())
            .execute(&mut *self.connection)
            .await?;
        Ok(if changed.rows_affected() == 1 { Ok(()) } else { Err(Conflict::FiredBefore) })
    }
}
