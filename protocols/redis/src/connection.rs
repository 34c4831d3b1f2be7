//! test-connection: connects, says who asks, chooses the database, and sends PING.

use std::time::Instant;

use action_protocol::net::{Deadline, Dialer};
use action_protocol::{ConnectionReport, Effect, Failure, FailureKind};
use serde_json::{Value, json};

use crate::config::Config;
use crate::failure;
use crate::resp::Reply;
use crate::session::Session;

/// Tests the connection with whatever connects.
pub fn test(config: &Config, dialer: &impl Dialer) -> Result<ConnectionReport, Failure> {
    let start = Instant::now();
    let mut session = Session::open(config, dialer, Deadline::after_ms(config.timeout_ms))?;
    let pong =
        session.ask(&[b"PING".to_vec()]).map_err(|error| failure::of_connection(&error, config, Effect::Read))?;
    if let Reply::Error(error) = pong {
        let refused = failure::of_error(&error, true);
        // Who may not send PING may still send what the action sends.
        if !(refused.kind == FailureKind::Unauthenticated && error.starts_with("NOPERM")) {
            return Err(refused);
        }
    }
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let said = |name: &str| session.server.get(name).and_then(Reply::text);
    let server = said("server").unwrap_or("a server that speaks RESP2");
    let version = said("version").map(|version| format!(" {version}")).unwrap_or_default();
    let role = said("role").map(|role| format!(", {role}")).unwrap_or_default();
    let user = match (&config.password, &config.username) {
        (None, _) => "without a password".to_owned(),
        (Some(_), user) => format!("as user {}", user.as_deref().unwrap_or("default")),
    };
    let summary = format!("{server}{version}{role} at {} answered {user} in {ms} ms", config.address);
    let details: Value = json!({
        "address": config.address.to_string(),
        "server": said("server"),
        "version": said("version"),
        "role": said("role"),
        "mode": said("mode"),
        "user": config.password.as_ref().map(|_| config.username.as_deref().unwrap_or("default")),
        "database": config.database,
        "ms": ms,
    });
    Ok(ConnectionReport::new(summary).details(&details))
}
