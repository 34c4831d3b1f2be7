//! Errors at the border: nothing of the driver leaves this crate.

use action_domain::repositories::StoreUnavailable;

/// Why a store could not be opened. `place` is where the database is, without the password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is none of a Postgres database.
    #[error("not the address of a Postgres database (postgres://user@host/name): {0}")]
    Address(String),
    /// A newer release has migrated it.
    #[error(
        "{place} has schema version {found}, and this release knows {known} at most: use the release that wrote it, or a newer one"
    )]
    Newer {
        /// The database.
        place: String,
        /// The version of its schema.
        found: i64,
        /// The newest version that this release knows.
        known: i64,
    },
    /// It cannot be reached or used.
    #[error("{place}: {message}")]
    Unusable {
        /// The database.
        place: String,
        /// What the system or the database says.
        message: String,
    },
}

/// For readers and writers alike.
pub(crate) fn unavailable(error: &sqlx::Error) -> StoreUnavailable {
    StoreUnavailable(error.to_string())
}

/// A row does not hold what was written.
pub(crate) fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// Another process wrote what this batch had found to be free.
#[derive(Debug, thiserror::Error)]
#[error("another process was faster")]
pub(crate) struct Overtaken;

/// What an error says about what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One unit broke a rule that no unit may break: the others can do without it.
    OfOneUnit,
    /// Two processes were in each other's way: the same again.
    Again,
    /// The connection is of no use any more: the same on another one.
    Broken,
    /// Trying again does not help.
    Lasting,
}

/// The fault behind an error, by its SQLSTATE.
pub(crate) fn fault(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(error) => error.code().map_or(Fault::Lasting, |code| fault_of_code(&code)),
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Encode(_) => Fault::OfOneUnit,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            Fault::Broken
        }
        sqlx::Error::AnyDriverError(error) if error.is::<Overtaken>() => Fault::Again,
        _ => Fault::Lasting,
    }
}

fn fault_of_code(code: &str) -> Fault {
    match code {
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => Fault::Again,
        // The server says goodbye (admin_shutdown, crash_shutdown, cannot_connect_now,
        // idle_session_timeout, idle_in_transaction_session_timeout), has no room for a
        // connection (too_many_connections), only reads any more, because it is another one now
        // (read_only_sql_transaction), or prepared statements for an older schema
        // (feature_not_supported: "cached plan must not change result type").
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" | "25006" | "0A000" => Fault::Broken,
        // connection_exception
        _ if code.starts_with("08") => Fault::Broken,
        // data_exception, integrity_constraint_violation, program_limit_exceeded (a key that is
        // too long for an index)
        _ if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => Fault::OfOneUnit,
        _ => Fault::Lasting,
    }
}
