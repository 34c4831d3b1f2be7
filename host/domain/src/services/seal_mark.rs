//! How far a process knows the log to be sealed, kept where the database is not.

use crate::audit::Anchor;

/// Remembers the last seal of the chain. Whoever writes the database must not be able to write this:
/// it is what tells a sealer that seals are gone.
pub trait SealMark: Send + Sync {
    /// What was remembered last.
    ///
    /// # Errors
    /// Where that cannot be told: it is not the same as nothing.
    fn read(&self) -> Result<Option<Anchor>, MarkUnusable>;

    /// Remembers this, durably, unless something further is remembered already.
    ///
    /// # Errors
    /// Where it cannot be kept.
    fn keep(&self, mark: Anchor) -> Result<(), MarkUnusable>;
}

/// Why a mark cannot be read or kept, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MarkUnusable(pub String);
