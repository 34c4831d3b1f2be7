//! Statements over tokens.

use super::Statement;
use crate::row::Columns;
use action_domain::{id::TokenId, repositories::Page, token::Token};
use sqlx::postgres::PgRow;
use std::sync::Arc;
use uuid::Uuid;

const ONE: &str = "SELECT document FROM tokens WHERE id = $1";
const PAGE: &str = "SELECT document FROM tokens WHERE id < $1 ORDER BY id DESC LIMIT $2";

pub(crate) fn row(row: &PgRow) -> sqlx::Result<Arc<Token>> {
    Columns::of(row).document().map(Arc::new)
}

pub(crate) fn one(id: TokenId) -> Statement {
    sqlx::query(ONE).bind(id.uuid())
}

pub(crate) fn page(page: Page<TokenId>) -> Statement {
    // No id is the largest UUID: it comes before all.
    sqlx::query(PAGE).bind(page.after.map_or_else(Uuid::max, |after| after.uuid())).bind(i64::from(page.limit))
}
