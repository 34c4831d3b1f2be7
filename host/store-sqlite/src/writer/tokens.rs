//! Writing tokens.

use super::batch::Batch;
use crate::error::damaged;
use action_domain::{id::TokenId, repositories::Conflict, token::Token};

pub(crate) const REMOVE: &str = "DELETE FROM tokens WHERE id = ?";

impl Batch<'_> {
    pub(super) fn add_token(&mut self, token: &Token) -> rusqlite::Result<()> {
        let document = serde_json::to_string(token).map_err(damaged)?;
        let id = token.id.uuid();
        self.connection.execute("INSERT INTO tokens (id, document) VALUES (?, ?)", (id.as_bytes(), document)).map(drop)
    }

    pub(super) fn remove_token(&mut self, id: TokenId) -> rusqlite::Result<Result<(), Conflict>> {
        let removed = self.connection.execute(REMOVE, [id.uuid().as_bytes()])?;
        Ok(if removed == 0 { Err(Conflict::NotFound) } else { Ok(()) })
    }
}
