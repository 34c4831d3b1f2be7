//! Statements over actions. The current revisions' documents stand with the other revisions.

use super::{Statement, list};
use crate::row::Columns;
use action_domain::{
    action::Action,
    id::ActionId,
    name::Name,
    repositories::{ActionFilter, ActionKey, Page},
};
use sqlx::postgres::PgRow;
use std::sync::{Arc, LazyLock};

const DOCUMENT: &str = "JOIN action_revisions r ON r.action = a.id AND r.revision = a.revision";

pub(crate) const REVISION: &str = "SELECT document FROM action_revisions WHERE action = $1 AND revision = $2";

pub(crate) fn row(row: &PgRow) -> sqlx::Result<Arc<Action>> {
    Columns::of(row).document().map(Arc::new)
}

pub(crate) fn one(key: &ActionKey) -> Statement {
    match key {
        ActionKey::Id(id) => sqlx::query(BY_ID.as_str()).bind(id.uuid()),
        ActionKey::Name(name) => sqlx::query(BY_NAME.as_str()).bind(name.to_string()),
    }
}

static BY_ID: LazyLock<String> = LazyLock::new(|| one_by("id"));
static BY_NAME: LazyLock<String> = LazyLock::new(|| one_by("name"));

fn one_by(column: &str) -> String {
    format!("SELECT r.document FROM actions a {DOCUMENT} WHERE a.{column} = $1")
}

pub(crate) fn revision(id: ActionId, revision: u32) -> Statement {
    sqlx::query(REVISION).bind(id.uuid()).bind(i64::from(revision))
}

pub(crate) fn page(filter: &ActionFilter, page: &Page<Name>) -> Statement {
    let (key, value) = filter.label.clone().unzip();
    list(page_text(filter))
        // No name is empty: everything comes after that.
        .bind(page.after.as_ref().map_or_else(String::new, ToString::to_string))
        .bind(i64::from(page.limit))
        .bind(filter.protocol.as_ref().map(ToString::to_string))
        .bind(filter.enabled)
        .bind(key.map(String::into_bytes))
        .bind(value.map(String::into_bytes))
}

/// By name, from the index of one condition; the others are checked on the way.
pub(crate) fn page_text(filter: &ActionFilter) -> String {
    let (from, name) = if filter.label.is_some() {
        ("action_labels l JOIN actions a ON a.id = l.action", "l.name")
    } else {
        ("actions a", "a.name")
    };
    let mut text = format!("SELECT r.document FROM {from} {DOCUMENT} WHERE {name} > $1");
    for (given, condition) in [
        (filter.protocol.is_some(), " AND a.protocol_name = $3"),
        (filter.enabled.is_some(), " AND a.enabled = $4"),
        (filter.label.is_some(), " AND l.key = $5 AND l.value = $6"),
    ] {
        if given {
            text.push_str(condition);
        }
    }
    text + " ORDER BY " + name + " LIMIT $2"
}
