//! test-connection: logs in and opens the mailbox to look at it.

use std::time::Instant;

use action_protocol::net::{Deadline, Dialer};
use action_protocol::{ConnectionReport, Failure};
use serde_json::json;

use crate::config::Config;
use crate::mailbox::Mailbox;
use crate::session::Session;

/// Tests the connection with whatever connects.
pub fn test(config: &Config, dialer: &impl Dialer) -> Result<ConnectionReport, Failure> {
    let start = Instant::now();
    let session = Session::open(config, dialer, Deadline::after_ms(config.timeout_ms))?;
    let mailbox = Mailbox::open(session, config, false)?;
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Mailbox { session, uid_validity } = mailbox;
    let summary = format!(
        "the server at {} answered as user {} in {ms} ms: {} mails in {}",
        config.address, config.username, session.exists, config.mailbox
    );
    let details = json!({
        "address": config.address.to_string(),
        "greeting": session.greeting,
        "capabilities": session.capabilities,
        "authentication": session.method,
        "user": config.username,
        "mailbox": config.mailbox,
        "messages": session.exists,
        "uid_validity": uid_validity,
        "waits": if session.can("IDLE") { "idle" } else { "poll" },
        "ms": ms,
    });
    session.close();
    Ok(ConnectionReport::new(summary).details(&details))
}
