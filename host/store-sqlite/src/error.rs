//! Errors at the border: nothing of the driver leaves this crate.

use action_domain::repositories::StoreUnavailable;
use std::path::PathBuf;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{path} is in use by another process: only one may open a database of the service", path = .path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// A newer release has migrated it.
    #[error(
        "{path} has schema version {found}, and this release knows {known} at most: use the release that wrote it, or a newer one",
        path = .path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The version of its schema.
        found: i64,
        /// The newest version that this release knows.
        known: i64,
    },
    /// The file cannot be made or read.
    #[error("{path}: {message}", path = .path.display())]
    Unusable {
        /// The database.
        path: PathBuf,
        /// What the system or the database says.
        message: String,
    },
}

/// For readers and writers alike.
pub(crate) fn unavailable(error: &rusqlite::Error) -> StoreUnavailable {
    StoreUnavailable(error.to_string())
}

/// A row does not hold what was written.
pub(crate) fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
}
