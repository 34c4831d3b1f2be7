//! test-connection: connects under a name of its own, says who asks, and asks whether the broker is there.

use std::time::{Duration, Instant};

use action_protocol::net::Dialer;
use action_protocol::{ConnectionReport, Failure};
use serde_json::json;

use crate::config::Config;
use crate::packet::{self, Packet};
use crate::session::{Session, lost};

/// Tests the connection with whatever connects.
pub fn test(config: &Config, dialer: &impl Dialer) -> Result<ConnectionReport, Failure> {
    let start = Instant::now();
    // The name of the action's own session would put that out.
    let mut session = Session::open(config, dialer, "action-service-test", true)?;
    session.send(&packet::PING).map_err(|error| lost(&error, config))?;
    let wait = Duration::from_millis(config.timeout_ms.into());
    match session.next(wait).map_err(|error| error.into_failure(config))? {
        Some(Packet::PingResp) => {}
        _ => return Err(Failure::bad_response("the broker does not answer PINGREQ")),
    }
    let _ = session.send(&packet::DISCONNECT);
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let user = config.username.as_deref().map_or_else(|| "without a user".to_owned(), |user| format!("as {user}"));
    let summary = format!("the broker at {} answered {user} in {ms} ms", config.address);
    Ok(ConnectionReport::new(summary).details(&json!({ "address": config.address.to_string(), "ms": ms })))
}
