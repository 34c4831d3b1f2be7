//! Statements over readers of the log.

use super::Statement;
use crate::row::Columns;
use action_domain::{
    consumer::{Consumer, StandingConsumer},
    name::Name,
    repositories::Page,
};
use sqlx::postgres::PgRow;
use std::sync::Arc;

const ONE: &str = "SELECT document, created_at, position FROM consumers WHERE name = $1";
const PAGE: &str = "SELECT document, created_at, position FROM consumers WHERE name > $1 ORDER BY name LIMIT $2";
const CURSORS: &str = "SELECT name, position FROM cursors WHERE name > $1 ORDER BY name LIMIT $2";

pub(crate) fn row(row: &PgRow) -> sqlx::Result<StandingConsumer> {
    let mut columns = Columns::of(row);
    let consumer: Consumer = columns.document()?;
    let created_at = columns.time()?;
    Ok(StandingConsumer { consumer: Consumer { created_at, ..consumer }, position: columns.take()? })
}

pub(crate) fn one(name: &Name) -> Statement {
    sqlx::query(ONE).bind(name.to_string())
}

pub(crate) fn page(page: &Page<Name>) -> Statement {
    // No name is empty: everything comes after that.
    let after = page.after.as_ref().map_or_else(String::new, ToString::to_string);
    sqlx::query(PAGE).bind(after).bind(i64::from(page.limit))
}

pub(crate) fn cursors(page: &Page<Arc<str>>) -> Statement {
    // No name is empty: everything comes after that.
    let after = page.after.as_deref().unwrap_or_default().to_owned();
    sqlx::query(CURSORS).bind(after).bind(i64::from(page.limit))
}
