//! Statements over protocols.

use super::{Statement, query};
use crate::{SqliteStore, row::Columns};
use action_domain::{
    digest::Digest,
    limits::PAGE_ITEMS_MAX,
    name::Name,
    protocol::{Pin, Protocol},
    repositories::{Page, StoreUnavailable},
};
use rusqlite::Row;
use semver::Version;
use std::sync::Arc;

pub(crate) const ONE: &str = "SELECT document FROM protocols WHERE name = ? AND version = ?";
pub(crate) const PAGE: &str =
    "SELECT document FROM protocols WHERE (name, version) > (?, ?) ORDER BY name, version LIMIT ?";
pub(crate) const WITH: &str = "SELECT document FROM protocols INDEXED BY protocols_by_digest \
     WHERE digest = ? ORDER BY name, version LIMIT ?";
pub(crate) const VERSIONS: &str = "SELECT version FROM protocols WHERE name = ?";

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<Arc<Protocol>> {
    Columns::of(row).document().map(Arc::new)
}

pub(super) fn one(pin: &Pin) -> Statement {
    query(ONE).bind(pin.name.to_string()).bind(pin.version.to_string())
}

pub(super) fn page(page: &Page<Pin>) -> Statement {
    // No name is empty: everything comes after that.
    let (name, version) = match &page.after {
        Some(pin) => (pin.name.to_string(), pin.version.to_string()),
        None => (String::new(), String::new()),
    };
    query(PAGE).bind(name).bind(version).bind(i64::from(page.limit))
}

pub(super) fn with(digest: &Digest) -> Statement {
    query(WITH).bind(digest.as_bytes().to_vec()).bind(i64::from(PAGE_ITEMS_MAX))
}

/// The newest versions of a name. SQLite does not know the order of versions: their texts are
/// read from the index and sorted here, and only the documents that are wanted are read.
pub(super) async fn versions(store: &SqliteStore, name: &Name) -> Result<Vec<Arc<Protocol>>, StoreUnavailable> {
    let read = |row: &Row<'_>| Columns::of(row).text().map(|text| text.parse::<Version>().ok());
    let texts = store.all(query(VERSIONS).bind(name.to_string()), read).await?;
    let mut versions: Vec<Version> = texts.into_iter().flatten().collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.truncate(PAGE_ITEMS_MAX as usize);
    let mut statement = query(chosen(versions.len())).bind(name.to_string());
    for version in &versions {
        statement = statement.bind(version.to_string());
    }
    let mut protocols = store.all(statement, row).await?;
    protocols.sort_unstable_by(|a, b| b.descriptor.version.cmp(&a.descriptor.version));
    Ok(protocols)
}

/// Some versions of a name.
pub(crate) fn chosen(versions: usize) -> String {
    let places = vec!["?"; versions].join(",");
    format!("SELECT document FROM protocols WHERE name = ? AND version IN ({places})")
}
