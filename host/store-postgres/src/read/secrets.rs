//! Statements over secrets.

use super::Statement;
use crate::{error::damaged, row::Columns};
use action_domain::{
    name::Name,
    repositories::Page,
    secret::{Sealed, Secret},
    time::Timestamp,
};
use sqlx::postgres::PgRow;
use std::sync::Arc;

pub(crate) const NAMED: &str = "SELECT name, version, key, wrapped, data, created_at, updated_at FROM secrets \
     WHERE name = ANY($1) ORDER BY name";
pub(crate) const PAGE: &str = "SELECT name, version, key, wrapped, data, created_at, updated_at FROM secrets \
     WHERE name > $1 ORDER BY name LIMIT $2";

pub(crate) fn row(row: &PgRow) -> sqlx::Result<Arc<Secret>> {
    let mut columns = Columns::of(row);
    let name = columns.take::<String>()?.parse().map_err(damaged)?;
    let version = columns.number()?;
    let key = columns.take::<String>()?.into();
    let sealed = Sealed { key, wrapped: columns.take()?, data: columns.take()? };
    let created_at = Timestamp::from_micros(columns.take()?);
    let updated_at = Timestamp::from_micros(columns.take()?);
    Ok(Arc::new(Secret { name, version, sealed, created_at, updated_at }))
}

pub(crate) fn named(names: &[Name]) -> Statement {
    sqlx::query(NAMED).bind(names.iter().map(ToString::to_string).collect::<Vec<_>>())
}

pub(crate) fn page(page: &Page<Name>) -> Statement {
    // No name is empty: everything comes after that.
    let after = page.after.as_ref().map_or_else(String::new, ToString::to_string);
    sqlx::query(PAGE).bind(after).bind(i64::from(page.limit))
}
