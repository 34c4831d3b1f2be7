//! Tokens by their ids, for whoever lets callers in.
//!
//! A revoked token is refused at once, everywhere. Where other processes have the store open too
//! each look is a read of one row by its key, which sees what was committed before it. Where no
//! other process can, tokens are remembered, and revoking one forgets it before it answers.

use crate::{Engine, EngineError};
use action_domain::{id::TokenId, token::Token};
use std::sync::Arc;

/// Tokens that are remembered.
pub(crate) const TOKENS_MAX: u64 = 10_000;

impl Engine {
    /// The token with this id; `None` if there is none (any more). One whose time is over is one
    /// too.
    pub async fn token(&self, id: TokenId) -> Result<Option<Arc<Token>>, EngineError> {
        if !self.inner.parts.exclusive_store {
            return Ok(self.reader().token(id).await?);
        }
        let tokens = &self.inner.tokens;
        if let Some(token) = tokens.get(&id) {
            return Ok(Some(token));
        }
        let before = tokens.before();
        let token = self.reader().token(id).await?;
        if let Some(token) = &token {
            tokens.keep(before, id, token.clone());
        }
        Ok(token)
    }
}
