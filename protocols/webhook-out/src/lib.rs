//! The protocol `webhook-out`: delivers the input to somebody's webhook endpoint, signed as
//! [Standard Webhooks](https://www.standardwebhooks.com/)
//! say.
//!
//! Everything here is pure but for the [`Transport`] and the [`Sign`] that are handed in; `README.md`
//! is the documentation that the descriptor carries.
//!
//! | module | duty |
//! | --- | --- |
//! | [`config`] | the config as types, from which its schema is derived |
//! | [`validate`] | everything wrong with a config at once |
//! | [`delivery`] | id, time and signatures; config and input → request |
//! | [`answer`] | answer → output or failure, and what to do then |
//! | [`connection`] | test-connection |

pub mod answer;
pub mod config;
pub mod connection;
pub mod delivery;
pub mod describe;
pub mod validate;

#[cfg(test)]
mod tests;

use std::time::{SystemTime, UNIX_EPOCH};

use action_protocol::http::{Service, Transport};
use action_protocol::secrets::{KeyEncoding, Secret, SecretError};
use action_protocol::{
    Accepted, Call, ConnectionReport, Descriptor, Effect, Failure, Issue, Outcome, Protocol, export_protocol,
};

use config::Config;

/// The protocol.
pub struct WebhookOut;

/// What signs with a secret. The service does, and the secret is not seen; a test may do instead.
pub trait Sign {
    /// HMAC-SHA-256, keyed with the secret.
    fn sign(&self, secret: &Secret, message: &[u8]) -> Result<Vec<u8>, SecretError>;
}

impl Sign for Service {
    fn sign(&self, secret: &Secret, message: &[u8]) -> Result<Vec<u8>, SecretError> {
        // The secrets of Standard Webhooks are base64 behind `whsec_`.
        secret.hmac_sha256(KeyEncoding::Base64, "", message)
    }
}

impl Protocol for WebhookOut {
    type Config = Config;

    fn describe() -> Descriptor {
        describe::descriptor()
    }

    fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
        validate::validate(config)
    }

    fn test_connection(config: Config) -> Result<ConnectionReport, Failure> {
        connection::test(&config, &Service, &Service)
    }

    #[expect(clippy::disallowed_methods, reason = "a guest's clock is WASI's, and this is where it comes in")]
    fn execute(call: Call<Config>) -> Result<Outcome, Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        execute(&call, &Service, &Service, now)
    }
}

export_protocol!(WebhookOut);

/// One delivery, with whatever sends and signs, at this time (seconds since the epoch).
pub fn execute(
    call: &Call<Config>,
    transport: &impl Transport,
    signer: &impl Sign,
    now: u64,
) -> Result<Outcome, Failure> {
    let request = delivery::build(call, signer, now)?;
    let response = transport.send(&request).map_err(|error| {
        // The receiver knows a repeat by its id.
        let mut failure = Failure::from_outbound(&error, Effect::Keyed);
        failure.message = format!("{}: {}", call.config.url, failure.message);
        failure
    })?;
    answer::judge(&response, &call.config.url, &call.idempotency_key)
}
