//! Statements over readers of the log.

use super::{Statement, query};
use crate::row::Columns;
use action_domain::{
    consumer::{Consumer, StandingConsumer},
    name::Name,
    repositories::Page,
};
use rusqlite::Row;
use std::sync::Arc;

pub(crate) const ONE: &str = "SELECT document, created_at, position FROM consumers WHERE name = ?";
pub(crate) const PAGE: &str =
    "SELECT document, created_at, position FROM consumers WHERE name > ? ORDER BY name LIMIT ?";
pub(crate) const CURSORS: &str = "SELECT name, position FROM cursors WHERE name > ? ORDER BY name LIMIT ?";

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<StandingConsumer> {
    let mut columns = Columns::of(row);
    let consumer: Consumer = columns.document()?;
    let created_at = columns.time()?;
    Ok(StandingConsumer { consumer: Consumer { created_at, ..consumer }, position: columns.take()? })
}

pub(super) fn one(name: &Name) -> Statement {
    query(ONE).bind(name.to_string())
}

pub(super) fn page(page: &Page<Name>) -> Statement {
    // No name is empty: everything comes after that.
    let after = page.after.as_ref().map_or_else(String::new, ToString::to_string);
    query(PAGE).bind(after).bind(i64::from(page.limit))
}

pub(super) fn cursors(page: &Page<Arc<str>>) -> Statement {
    // No name is empty: everything comes after that.
    let after = page.after.as_deref().unwrap_or_default().to_owned();
    query(CURSORS).bind(after).bind(i64::from(page.limit))
}
