//! The protocol `mqtt`: publishes to a broker, or subscribes to its topics and captures what comes.
//! MQTT 3.1.1 (OASIS, 2014), which every broker speaks.
//!
//! Everything here is pure but for the [`Dialer`](action_protocol::net::Dialer) and the [`Keeper`](subscribe::Keeper)
//! that are handed in; `README.md` is the documentation that the descriptor carries.
//!
//! | module | duty |
//! | --- | --- |
//! | [`config`] | the config as types, from which its schema is derived |
//! | [`validate`] | everything wrong with a config at once; its effect |
//! | [`packet`] | packets are read and written |
//! | [`session`] | connects, authenticates, reads and writes packets within their times |
//! | [`publish`] | one execution: a message goes out |
//! | [`subscribe`] | one execution: messages come in, as items |
//! | [`connection`] | test-connection |

pub mod config;
pub mod connection;
pub mod describe;
pub mod packet;
pub mod publish;
pub mod session;
pub mod subscribe;
pub mod validate;

#[cfg(test)]
mod tests;

use action_protocol::http::Service;
use action_protocol::{
    Accepted, Call, ConnectionReport, Descriptor, Failure, Issue, Outcome, Protocol, export_protocol,
};

use config::Config;

/// The protocol.
pub struct Mqtt;

impl Protocol for Mqtt {
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
        match (&call.config.publish, &call.config.subscribe) {
            (Some(publish), _) => publish::execute(&call, publish, &Service),
            (None, Some(subscribe)) => subscribe::execute(&call, subscribe, &Service, &subscribe::Capture),
            (None, None) => Err(Failure::invalid_config("there is nothing to do: publish or subscribe")),
        }
    }
}

export_protocol!(Mqtt);
