//! The protocol `postgres`: queries a Postgres database and changes it, with parameters made of the input.
//!
//! Everything here is pure but for the [`Dialer`](action_protocol::net::Dialer) that is handed in;
//! `README.md` is the documentation that the descriptor carries.
//!
//! | module | duty |
//! | --- | --- |
//! | [`config`] | the config as types, from which its schema is derived |
//! | [`validate`] | everything wrong with a config at once; its effect |
//! | [`wire`] | messages of the frontend/backend protocol, version 3 |
//! | [`scram`] | SCRAM-SHA-256, which proves the password and does not need to see it |
//! | [`session`] | connects, does TLS, authenticates |
//! | [`statement`] | prepares a statement and runs it |
//! | [`values`], [`arrays`] | JSON ↔ the text form of Postgres's types |
//! | [`run`] | one execution: a transaction |
//! | [`failure`] | SQLSTATE or error → failure, and what to do then |
//! | [`connection`] | test-connection |

pub mod arrays;
pub mod config;
pub mod connection;
pub mod describe;
pub mod failure;
pub mod run;
pub mod scram;
pub mod session;
pub mod statement;
pub mod validate;
pub mod values;
pub mod wire;

#[cfg(test)]
mod tests;

use action_protocol::http::Service;
use action_protocol::{
    Accepted, Call, ConnectionReport, Descriptor, Failure, Issue, Outcome, Protocol, export_protocol,
};

use config::Config;

/// The protocol.
pub struct Postgres;

impl Protocol for Postgres {
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

export_protocol!(Postgres);
