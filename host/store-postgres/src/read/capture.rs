//! Statements over what actions captured.

use super::Statement;
use crate::{error::damaged, row::Columns};
use action_domain::id::ActionId;
use bytes::Bytes;
use sqlx::postgres::PgRow;
use std::sync::Arc;

const KNOWN: &str = "SELECT key FROM item_keys WHERE action = $1 AND key = ANY($2)";
const VALUES: &str = "SELECT key, value FROM action_values WHERE action = $1";

pub(crate) fn known(action: ActionId, keys: &[Arc<str>]) -> Statement {
    sqlx::query(KNOWN).bind(action.uuid()).bind(keys.iter().map(|key| key.as_bytes().to_vec()).collect::<Vec<_>>())
}

pub(crate) fn key(row: &PgRow) -> sqlx::Result<Arc<str>> {
    Columns::of(row).text()
}

pub(crate) fn values(action: ActionId) -> Statement {
    sqlx::query(VALUES).bind(action.uuid())
}

pub(crate) fn value(row: &PgRow) -> sqlx::Result<(String, Bytes)> {
    let mut columns = Columns::of(row);
    let key = String::from_utf8(columns.take()?).map_err(damaged)?;
    Ok((key, columns.take::<Vec<u8>>()?.into()))
}
