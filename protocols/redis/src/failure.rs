//! What an error means, and what to do then.

use action_protocol::{Advice, Effect, Failure, FailureKind, OutboundError};
use serde_json::{Value, json};

use crate::config::{Config, Security};

/// An error on the way.
pub fn of_connection(error: &OutboundError, config: &Config, effect: Effect) -> Failure {
    let mut failure = Failure::from_outbound(error, effect);
    failure.message = format!("{}: {}", config.address, failure.message);
    // A server with TLS takes a command for garbage and closes, or answers with an alert of TLS.
    let may_want_tls = matches!(error, OutboundError::BadResponse(_) | OutboundError::Closed);
    if may_want_tls && config.security == Security::None && effect == Effect::Read {
        failure.message = format!("{}; does the server want TLS?", failure.message);
    }
    failure
}

/// An error that the server gave. `nothing_done`: whether no command before it took effect that may not
/// be repeated.
pub fn of_error(error: &str, nothing_done: bool) -> Failure {
    let code = error.split([' ', '\r']).next().unwrap_or_default();
    let kind = match code {
        "NOAUTH" | "WRONGPASS" | "NOPERM" => FailureKind::Unauthenticated,
        _ if error.contains("max number of clients") => FailureKind::RateLimited,
        // It starts, it is busy with a script, its master is away, or it is full for now.
        "LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN" | "CLUSTERDOWN" | "READONLY" | "NOREPLICAS" | "OOM"
        | "MISCONF" => FailureKind::Unavailable,
        // How servers before Redis 6 say it.
        "ERR" if error.contains("invalid password") || error.contains("without any password configured") => {
            FailureKind::Unauthenticated
        }
        "MOVED" | "ASK" => {
            let message = format!("{error}: the key is on another node, and this protocol speaks to one");
            return with_code(Failure::invalid_config(message), code);
        }
        _ => FailureKind::Rejected,
    };
    let mut failure = Failure::new(kind, error);
    if !nothing_done && matches!(failure.advice, Advice::Retry) {
        failure.advice = Advice::InDoubt;
    }
    with_code(failure, code)
}

/// The database cannot be chosen.
pub fn of_database(error: &str, database: u32) -> Failure {
    let failure = of_error(error, true);
    if failure.kind == FailureKind::Rejected {
        return Failure::invalid_config(format!("config /database, {database}: {error}"));
    }
    failure
}

/// Whether a server does not know a command: one before Redis 6 does not know HELLO.
pub fn is_unknown_command(error: &str) -> bool {
    error.starts_with("NOPROTO") || error.starts_with("ERR unknown command")
}

fn with_code(failure: Failure, code: &str) -> Failure {
    failure.details(&json!({ "redis_error": code }))
}

/// The same with which command it was, and what those before it gave.
pub fn at_command(mut failure: Failure, index: usize, before: Vec<Value>) -> Failure {
    failure.message = format!("command {index}: {}", failure.message);
    let mut details: Value =
        failure.details.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| json!({}));
    details["command"] = index.into();
    details["replies"] = before.into();
    failure.details(&details)
}
