//! Tokens by their ids, for whoever lets callers in.
//!
//! A revoked token is refused at once, everywhere. Where other processes have the store open too
//! each look is a read of one row by its key, which sees what was committed before it. Where no
//! other process can, tokens are remembered, and revoking one forgets it before it answers.

use crate::{Engine, EngineError};
use action_domain::{id::TokenId, token::Token};
use moka::sync::Cache;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Tokens that are remembered.
const TOKENS_MAX: u64 = 10_000;
/// What nobody used for this long is forgotten.
const IDLE: Duration = Duration::from_hours(1);

/// Tokens that were read.
pub(crate) struct Tokens {
    known: Cache<TokenId, Arc<Token>>,
    /// Grows with every revocation: what was read before one is not kept after it.
    revocations: AtomicU64,
    /// Held while something is kept or forgotten, so that the two do not interleave.
    keeping: Mutex<()>,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        let known = Cache::builder().max_capacity(TOKENS_MAX).time_to_idle(IDLE).build();
        Self { known, revocations: AtomicU64::new(0), keeping: Mutex::new(()) }
    }

    pub(crate) fn forget(&self, id: TokenId) {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.revocations.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate(&id);
    }

    fn keep(&self, token: &Arc<Token>, seen_at: u64) {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if self.revocations.load(Ordering::SeqCst) == seen_at {
            self.known.insert(token.id, token.clone());
        }
    }
}

impl Engine {
    /// The token with this id; `None` if there is none (any more). One whose time is over is one
    /// too.
    pub async fn token(&self, id: TokenId) -> Result<Option<Arc<Token>>, EngineError> {
        if !self.inner.parts.exclusive_store {
            return Ok(self.reader().token(id).await?);
        }
        let tokens = &self.inner.tokens;
        if let Some(token) = tokens.known.get(&id) {
            return Ok(Some(token));
        }
        let seen_at = tokens.revocations.load(Ordering::SeqCst);
        let token = self.reader().token(id).await?;
        if let Some(token) = &token {
            tokens.keep(token, seen_at);
        }
        Ok(token)
    }
}
