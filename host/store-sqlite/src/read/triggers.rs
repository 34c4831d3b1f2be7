//! Statements over triggers.

use super::{Statement, query};
use crate::{error::damaged, row::Columns};
use action_domain::{
    id::{ActionId, ExecutionId},
    repositories::Page,
    time::Timestamp,
    trigger::{Standing, StandingKind},
};
use rusqlite::Row;
use uuid::Uuid;

const COLUMNS: &str = "action, place, kind, identity, since, path, due_at, last, uses";

pub(crate) const NEXT: &str =
    "SELECT due_at FROM triggers INDEXED BY triggers_due WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1";

pub(crate) fn row(row: &Row<'_>) -> rusqlite::Result<Standing> {
    let mut columns = Columns::of(row);
    Ok(Standing {
        action: ActionId::from_uuid(columns.uuid()?),
        place: columns.number()?,
        kind: StandingKind::from_code(columns.take()?).ok_or_else(|| damaged("an unknown kind of trigger"))?,
        identity: columns.digest()?,
        since: columns.maybe_time()?,
        path: columns.take()?,
        due_at: columns.maybe_time()?,
        last: columns.maybe_uuid()?.map(ExecutionId::from_uuid),
        uses: columns.number()?,
    })
}

pub(super) fn at(path: &str) -> Statement {
    query(at_text()).bind(path.to_owned())
}

pub(crate) fn at_text() -> String {
    format!("SELECT {COLUMNS} FROM triggers INDEXED BY triggers_by_path WHERE path = ?")
}

pub(super) fn of(action: ActionId) -> Statement {
    query(of_text()).bind_id(action.uuid())
}

pub(crate) fn of_text() -> String {
    format!("SELECT {COLUMNS} FROM triggers WHERE action = ? ORDER BY place")
}

pub(super) fn page(kind: StandingKind, page: Page<(ActionId, u32)>) -> Statement {
    // No id is the smallest UUID: everything comes after that.
    let (action, place) = page.after.map_or((Uuid::nil(), 0), |(action, place)| (action.uuid(), place));
    query(page_text()).bind(kind.code()).bind_id(action).bind(i64::from(place)).bind(i64::from(page.limit))
}

pub(crate) fn page_text() -> String {
    format!(
        "SELECT {COLUMNS} FROM triggers INDEXED BY triggers_by_kind \
         WHERE kind = ? AND (action, place) > (?, ?) ORDER BY action, place LIMIT ?"
    )
}

pub(super) fn due(now: Timestamp, limit: u32) -> Statement {
    query(due_text()).bind(now.as_micros()).bind(i64::from(limit))
}

pub(crate) fn due_text() -> String {
    format!(
        "SELECT {COLUMNS} FROM triggers INDEXED BY triggers_due WHERE due_at <= ? \
         ORDER BY due_at, action, place LIMIT ?"
    )
}
