//! test-connection: reaches the endpoint without delivering anything, and tries whether the secrets sign.

use action_protocol::http::Transport;
use action_protocol::tls::Tls;
use action_protocol::{ConnectionReport, Effect, Failure, FailureKind, HttpRequest};
use serde_json::json;

use crate::config::Config;
use crate::{Sign, delivery};

/// Tests the connection with whatever sends and signs.
pub fn test(config: &Config, transport: &impl Transport, signer: &impl Sign) -> Result<ConnectionReport, Failure> {
    delivery::signatures(config, signer, b"a test")?;
    let mut request = HttpRequest::new("OPTIONS", &config.url);
    request.timeout_ms = Some(config.timeout_ms);
    request.tls = config.tls.as_ref().map(Tls::options);
    let response = transport.send(&request).map_err(|error| {
        let mut failure = Failure::from_outbound(&error, Effect::Read);
        failure.message = format!("{}: {}", config.url, failure.message);
        failure
    })?;
    // Whether it takes deliveries only a delivery would show; that it answers shows that it is there.
    let status = response.status;
    if status >= 500 && status != 501 {
        let message = format!("{} answered {status}", config.url);
        return Err(Failure::new(FailureKind::Unavailable, message));
    }
    let summary = format!("{} answers ({status} to OPTIONS), and the secret signs", config.url);
    Ok(ConnectionReport::new(summary).details(&json!({ "status": status, "server": response.header("server") })))
}
