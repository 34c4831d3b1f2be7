//! Statements over triggers.

use super::{Statement, lead};
use crate::{error::damaged, row::Columns};
use action_domain::{
    id::{ActionId, ExecutionId},
    repositories::Page,
    time::Timestamp,
    trigger::{Standing, StandingKind},
};
use sqlx::postgres::PgRow;
use std::sync::LazyLock;
use uuid::Uuid;

const COLUMNS: &str = "action, place, kind, identity, since, path, due_at, last, uses";

static AT: LazyLock<String> = LazyLock::new(|| format!("SELECT {COLUMNS} FROM triggers WHERE path = $1"));
pub(crate) static OF: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {COLUMNS} FROM triggers WHERE action = $1 ORDER BY place"));
static PAGE: LazyLock<String> = LazyLock::new(|| {
    let lead = lead("kind", 1);
    format!(
        "SELECT {COLUMNS} FROM triggers WHERE {lead} AND (action, place) > ($2, $3) \
         ORDER BY kind, action, place LIMIT $4"
    )
});
static DUE: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {COLUMNS} FROM triggers WHERE due_at <= $1 ORDER BY due_at, action, place LIMIT $2")
});
pub(crate) const NEXT: &str = "SELECT due_at FROM triggers WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1";

pub(crate) fn row(row: &PgRow) -> sqlx::Result<Standing> {
    let mut columns = Columns::of(row);
    Ok(Standing {
        action: ActionId::from_uuid(columns.take()?),
        place: columns.number()?,
        kind: kind(columns.take()?).ok_or_else(|| damaged("an unknown kind of trigger"))?,
        identity: columns.digest()?,
        since: columns.maybe_time()?,
        path: columns.maybe_text()?.map(|path| path.as_ref().to_owned()),
        due_at: columns.maybe_time()?,
        last: columns.take::<Option<Uuid>>()?.map(ExecutionId::from_uuid),
        uses: columns.number()?,
    })
}

fn kind(code: i16) -> Option<StandingKind> {
    StandingKind::from_code(code.into())
}

pub(crate) fn at(path: &str) -> Statement {
    sqlx::query(AT.as_str()).bind(path.as_bytes().to_vec())
}

pub(crate) fn of(action: ActionId) -> Statement {
    sqlx::query(OF.as_str()).bind(action.uuid())
}

pub(crate) fn page(kind: StandingKind, page: Page<(ActionId, u32)>) -> Statement {
    // No id is the smallest UUID: everything comes after that.
    let (action, place) = page.after.map_or((Uuid::nil(), 0), |(action, place)| (action.uuid(), place));
    sqlx::query(PAGE.as_str()).bind(kind.code() as i16).bind(action).bind(i64::from(place)).bind(i64::from(page.limit))
}

pub(crate) fn due(now: Timestamp, limit: u32) -> Statement {
    sqlx::query(DUE.as_str()).bind(now.as_micros()).bind(i64::from(limit))
}
