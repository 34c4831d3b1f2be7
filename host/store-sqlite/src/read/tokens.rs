//! Statements over tokens.

use super::{Statement, query};
use crate::row::Columns;
use action_domain::{id::TokenId, repositories::Page, token::Token};
use rusqlite::Row;
use std::sync::Arc;
use uuid::Uuid;

pub(crate) const ONE: &str = "SELECT document FROM tokens WHERE id = ?";
pub(crate) const PAGE: &str = "SELECT document FROM tokens WHERE id < ? ORDER BY id DESC LIMIT ?";

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<Arc<Token>> {
    Columns::of(row).document().map(Arc::new)
}

pub(super) fn one(id: TokenId) -> Statement {
    query(ONE).bind_id(id.uuid())
}

pub(super) fn page(page: Page<TokenId>) -> Statement {
    // No id is the largest UUID: it comes before all.
    query(PAGE).bind_id(page.after.map_or_else(Uuid::max, |after| after.uuid())).bind(i64::from(page.limit))
}
