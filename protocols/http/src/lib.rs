//! The protocol `http`: sends a request that is made of the config and the input, and gives
//! back the answer.
//!
//! Everything here is pure but for the [`Transport`] that is handed in, so that the tests
//! need no service; `README.md` is the documentation that the descriptor carries.
//!
//! | module | duty |
//! | --- | --- |
//! | [`config`] | the config as types, from which its schema is derived |
//! | [`validate`] | everything wrong with a config at once; its effect |
//! | [`request`], [`body`] | config and input → request |
//! | [`status`], [`failure`] | answer or error → outcome or failure, and what to do then |
//! | [`output`] | answer → output |
//! | [`poll`] | only what is new, as items |
//! | [`connection`] | test-connection |

pub mod body;
pub mod config;
pub mod connection;
pub mod describe;
pub mod failure;
pub mod output;
pub mod poll;
pub mod request;
pub mod status;
pub mod validate;

#[cfg(test)]
mod tests;

use action_protocol::http::{self, Followed, Service, Transport};
use action_protocol::{
    Accepted, Call, ConnectionReport, Descriptor, Failure, HttpRequest, Issue, Outcome, Protocol, export_protocol,
};

use config::Config;

/// The protocol.
pub struct Http;

impl Protocol for Http {
    type Config = Config;

    fn describe() -> Descriptor {
        describe::descriptor()
    }

    fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
        validate::validate(config)
    }

    fn test_connection(config: Config) -> Result<ConnectionReport, Failure> {
        connection::test(&config, &Service)
    }

    fn execute(call: Call<Config>) -> Result<Outcome, Failure> {
        match &call.config.poll {
            Some(poll) => poll::execute(&call, poll, &Service, &poll::Capture),
            None => execute(&call, &Service),
        }
    }
}

export_protocol!(Http);

/// One execution, with whatever sends.
pub fn execute(call: &Call<Config>, transport: &impl Transport) -> Result<Outcome, Failure> {
    let followed = send(call, request::build(call)?, transport, |_| false)?;
    Ok(output::of(followed, &call.config)?.into())
}

/// The answer to a request, which is a success. `is_fine`: statuses that are one whatever the config says.
fn send(
    call: &Call<Config>,
    request: HttpRequest,
    transport: &impl Transport,
    is_fine: impl Fn(u16) -> bool,
) -> Result<Followed, Failure> {
    let config = &call.config;
    let effect = validate::effect(config);
    let followed = http::follow(transport, request, config.redirects_max())
        .map_err(|error| failure::from_redirects(error, config, effect))?;
    let status = followed.response.status;
    if !config.expects(status) && !is_fine(status) {
        return Err(failure::from_response(&followed, config, effect));
    }
    Ok(followed)
}
