//! Statements over secrets.

use super::{Statement, query};
use crate::{error::damaged, row::Columns};
use action_domain::{
    name::Name,
    repositories::Page,
    secret::{Sealed, Secret},
    time::Timestamp,
};
use rusqlite::Row;
use std::sync::Arc;

const COLUMNS: &str = "name, version, key, wrapped, data, created_at, updated_at";

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<Arc<Secret>> {
    let mut columns = Columns::of(row);
    let name = columns.text()?.parse().map_err(damaged)?;
    let version = columns.number()?;
    let sealed = Sealed { key: columns.text()?.into(), wrapped: columns.take()?, data: columns.take()? };
    let created_at = Timestamp::from_micros(columns.take()?);
    let updated_at = Timestamp::from_micros(columns.take()?);
    Ok(Arc::new(Secret { name, version, sealed, created_at, updated_at }))
}

pub(super) fn named(names: &[Name]) -> Statement {
    names.iter().fold(query(named_text(names.len())), |statement, name| statement.bind(name.to_string()))
}

pub(crate) fn named_text(count: usize) -> String {
    let places = vec!["?"; count].join(", ");
    format!("SELECT {COLUMNS} FROM secrets WHERE name IN ({places}) ORDER BY name")
}

pub(super) fn page(page: &Page<Name>) -> Statement {
    // No name is empty: everything comes after that.
    let after = page.after.as_ref().map_or_else(String::new, ToString::to_string);
    query(page_text()).bind(after).bind(i64::from(page.limit))
}

pub(crate) fn page_text() -> String {
    format!("SELECT {COLUMNS} FROM secrets WHERE name > ? ORDER BY name LIMIT ?")
}
