//! The protocol `redis`: sends commands that are made of the config and the input, and gives back
//! the replies.
//!
//! Everything here is pure but for the [`Dialer`](action_protocol::net::Dialer) that is handed in; `README.md` is the documentation
//! that the descriptor carries.
//!
//! | module | duty |
//! | --- | --- |
//! | [`config`] | the config as types, from which its schema is derived |
//! | [`validate`] | everything wrong with a config at once |
//! | [`effect`] | what a repeat of a command can do |
//! | [`resp`] | replies are read, commands written (RESP2 and RESP3) |
//! | [`session`] | connects, authenticates, sends a command and waits for its reply |
//! | [`run`] | one execution: commands in turn, or as a transaction |
//! | [`output`] | replies → JSON |
//! | [`failure`] | an error of the server → failure, and what to do then |
//! | [`connection`] | test-connection |

pub mod config;
pub mod connection;
pub mod describe;
pub mod effect;
pub mod failure;
pub mod output;
pub mod resp;
pub mod run;
pub mod session;
pub mod validate;

#[cfg(test)]
mod tests;

use action_protocol::http::Service;
use action_protocol::{
    Accepted, Call, ConnectionReport, Descriptor, Failure, Issue, Outcome, Protocol, export_protocol,
};

use config::Config;

/// The protocol.
pub struct Redis;

impl Protocol for Redis {
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
        run::execute(&call, &Service)
    }
}

export_protocol!(Redis);
