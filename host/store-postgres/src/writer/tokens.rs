//! Writing tokens.

use super::batch::Batch;
use crate::error::damaged;
use action_domain::{id::TokenId, repositories::Conflict, token::Token};

pub(crate) const REMOVE: &str = "DELETE FROM tokens WHERE id = $1";

impl Batch<'_> {
    pub(super) async fn add_token(&mut self, token: &Token) -> sqlx::Result<Result<(), Conflict>> {
        sqlx::query("INSERT INTO tokens (id, document) VALUES ($1, $2)")
            .bind(token.id.uuid())
            .bind(serde_json::to_string(token).map_err(damaged)?)
            .execute(&mut *self.connection)
            .await?;
        Ok(Ok(()))
    }

    pub(super) async fn remove_token(&mut self, id: TokenId) -> sqlx::Result<Result<(), Conflict>> {
        let removed = sqlx::query(REMOVE).bind(id.uuid()).execute(&mut *self.connection).await?;
        Ok(if removed.rows_affected() == 0 { Err(Conflict::NotFound) } else { Ok(()) })
    }
}
