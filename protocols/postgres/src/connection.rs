//! test-connection: connects, says who asks, and has the server look at the statements without running them.

use std::time::Instant;

use action_protocol::net::{Deadline, Dialer};
use action_protocol::{ConnectionReport, Effect, Failure};
use serde_json::json;

use crate::config::Config;
use crate::session::Session;
use crate::{run, statement};

/// Tests the connection with whatever connects.
pub fn test(config: &Config, dialer: &impl Dialer) -> Result<ConnectionReport, Failure> {
    let start = Instant::now();
    let mut session = Session::open(config, dialer, Deadline::after_ms(config.timeout_ms))?;
    run::begin(&mut session, config)?;
    for part in config.parts() {
        let prepared = statement::prepare(&mut session, part.sql)
            .map_err(|broken| broken.failure(config, Effect::Read, Some(&part.pointer())))?;
        run::check_count(&part, prepared.parameters.len())?;
    }
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let database = config.database.as_ref().unwrap_or(&config.user);
    let (version, method) = (session.version.clone(), session.method);
    session.close();
    let summary = format!(
        "Postgres {version} at {} answered as user {} in database {database} in {ms} ms",
        config.address, config.user
    );
    let details = json!({
        "address": config.address.to_string(),
        "version": version,
        "user": config.user,
        "database": database,
        "authentication": method,
        "statements": config.parts().len(),
        "ms": ms,
    });
    Ok(ConnectionReport::new(summary).details(&details))
}
