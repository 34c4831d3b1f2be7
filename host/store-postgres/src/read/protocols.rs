//! Statements over protocols.

use super::Statement;
use crate::{PostgresStore, row::Columns};
use action_domain::{
    digest::Digest,
    limits::PAGE_ITEMS_MAX,
    name::Name,
    protocol::{Pin, Protocol},
    repositories::{Page, StoreUnavailable},
};
use semver::Version;
use sqlx::postgres::PgRow;
use std::sync::Arc;

pub(crate) const ONE: &str = "SELECT document FROM protocols WHERE name = $1 AND version = $2";
pub(crate) const PAGE: &str =
    "SELECT document FROM protocols WHERE (name, version) > ($1, $2) ORDER BY name, version LIMIT $3";
pub(crate) const WITH: &str = "SELECT document FROM protocols \
     WHERE digest = $1 ORDER BY name, version LIMIT $2";
pub(crate) const VERSIONS: &str = "SELECT version FROM protocols WHERE name = $1";
pub(crate) const CHOSEN: &str = "SELECT document FROM protocols WHERE name = $1 AND version = ANY($2)";

pub(crate) fn row(row: &PgRow) -> sqlx::Result<Arc<Protocol>> {
    Columns::of(row).document().map(Arc::new)
}

pub(crate) fn one(pin: &Pin) -> Statement {
    sqlx::query(ONE).bind(pin.name.to_string()).bind(pin.version.to_string())
}

pub(crate) fn page(page: &Page<Pin>) -> Statement {
    // No name is empty: everything comes after that.
    let (name, version) = match &page.after {
        Some(pin) => (pin.name.to_string(), pin.version.to_string()),
        None => (String::new(), String::new()),
    };
    sqlx::query(PAGE).bind(name).bind(version).bind(i64::from(page.limit))
}

pub(crate) fn with(digest: &Digest) -> Statement {
    sqlx::query(WITH).bind(digest.as_bytes().to_vec()).bind(i64::from(PAGE_ITEMS_MAX))
}

/// The newest versions of a name. Postgres does not know the order of versions: their texts are
/// read from the index and sorted here, and only the documents that are wanted are read.
pub(super) async fn versions(store: &PostgresStore, name: &Name) -> Result<Vec<Arc<Protocol>>, StoreUnavailable> {
    let read = |row: &PgRow| Columns::of(row).take::<&str>().map(|text| text.parse::<Version>().ok());
    let texts = store.all(|| sqlx::query(VERSIONS).bind(name.to_string()), read).await?;
    let mut versions: Vec<Version> = texts.into_iter().flatten().collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.truncate(PAGE_ITEMS_MAX as usize);
    let chosen: Vec<String> = versions.iter().map(ToString::to_string).collect();
    let statement = || sqlx::query(CHOSEN).bind(name.to_string()).bind(chosen.clone());
    let mut protocols = store.all(statement, row).await?;
    protocols.sort_unstable_by(|a, b| b.descriptor.version.cmp(&a.descriptor.version));
    Ok(protocols)
}
