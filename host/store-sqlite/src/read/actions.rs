//! Statements over actions. The current revisions' documents stand with the other revisions.

use super::{Statement, query};
use crate::row::Columns;
use action_domain::{
    action::Action,
    id::ActionId,
    name::Name,
    repositories::{ActionFilter, ActionKey, Page},
};
use rusqlite::Row;
use std::sync::Arc;

const DOCUMENT: &str = "CROSS JOIN action_revisions r ON r.action = a.id AND r.revision = a.revision";

pub(crate) const REVISION: &str = "SELECT document FROM action_revisions WHERE action = ? AND revision = ?";

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<Arc<Action>> {
    Columns::of(row).document().map(Arc::new)
}

pub(super) fn one(key: &ActionKey) -> Statement {
    match key {
        ActionKey::Id(id) => query(one_by("id")).bind_id(id.uuid()),
        ActionKey::Name(name) => query(one_by("name")).bind(name.to_string()),
    }
}

pub(crate) fn one_by(column: &str) -> String {
    format!("SELECT r.document FROM actions a {DOCUMENT} WHERE a.{column} = ?")
}

pub(super) fn revision(id: ActionId, revision: u32) -> Statement {
    query(REVISION).bind_id(id.uuid()).bind(i64::from(revision))
}

pub(super) fn page(filter: &ActionFilter, page: &Page<Name>) -> Statement {
    let (key, value) = filter.label.clone().unzip();
    query(page_text(filter))
        // No name is empty: everything comes after that.
        .bind(page.after.as_ref().map_or_else(String::new, ToString::to_string))
        .bind(i64::from(page.limit))
        .bind(filter.protocol.as_ref().map(ToString::to_string))
        .bind(filter.enabled)
        .bind(key)
        .bind(value)
}

/// By the index of the condition that lets the fewest pass; the others are checked on the way.
pub(crate) fn page_text(filter: &ActionFilter) -> String {
    let (from, name) = if filter.label.is_some() {
        ("action_labels l CROSS JOIN actions a ON a.id = l.action", "l.name")
    } else if filter.protocol.is_some() {
        ("actions a INDEXED BY actions_by_protocol", "a.name")
    } else if filter.enabled.is_some() {
        ("actions a INDEXED BY actions_by_enabled", "a.name")
    } else {
        ("actions a", "a.name")
    };
    let mut text = format!("SELECT r.document FROM {from} {DOCUMENT} WHERE {name} > ?1");
    for (given, condition) in [
        (filter.protocol.is_some(), " AND a.protocol_name = ?3"),
        (filter.enabled.is_some(), " AND a.enabled = ?4"),
        (filter.label.is_some(), " AND l.key = ?5 AND l.value = ?6"),
    ] {
        if given {
            text.push_str(condition);
        }
    }
    text + " ORDER BY " + name + " LIMIT ?2"
}
