//! Statements over what actions captured.

use super::{Statement, query};
use crate::row::Columns;
use action_domain::id::ActionId;
use bytes::Bytes;
use rusqlite::{Connection, Row};
use std::{collections::BTreeSet, sync::Arc};

pub(crate) const KNOWN: &str = "SELECT EXISTS (SELECT 1 FROM item_keys WHERE action = ? AND key = ?)";
pub(crate) const VALUES: &str = "SELECT key, value FROM action_values WHERE action = ?";

/// Those of these keys that are known. One look each: there is nobody to send them to.
pub(super) fn known(
    connection: &Connection,
    action: ActionId,
    keys: &BTreeSet<Arc<str>>,
) -> rusqlite::Result<Vec<Arc<str>>> {
    let mut look = connection.prepare_cached(KNOWN)?;
    let mut found = Vec::new();
    for key in keys {
        if look.query_row((action.uuid().as_bytes(), key), |row| row.get(0))? {
            found.push(Arc::clone(key));
        }
    }
    Ok(found)
}

pub(super) fn values(action: ActionId) -> Statement {
    query(VALUES).bind_id(action.uuid())
}

pub(super) fn value(row: &Row<'_>) -> rusqlite::Result<(String, Bytes)> {
    let mut columns = Columns::of(row);
    Ok((columns.take()?, columns.take::<Vec<u8>>()?.into()))
}
