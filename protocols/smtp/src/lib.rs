//! The protocol `smtp`: sends a mail that is made of the config and the input.
//!
//! Everything here is pure but for the [`Dialer`](action_protocol::net::Dialer) that is handed in;
//! `README.md` is the documentation that the descriptor carries.
//!
//! | module | duty |
//! | --- | --- |
//! | [`config`] | the config as types, from which its schema is derived |
//! | [`validate`] | everything wrong with a config at once |
//! | [`mailbox`] | `Name <local@domain>` |
//! | [`message`] | config and input → envelope and message |
//! | [`dialog`] | commands and replies: greeting, TLS, who asks |
//! | [`send`] | one execution, and the connection test |

pub mod config;
pub mod describe;
pub mod dialog;
pub mod mailbox;
pub mod message;
pub mod send;
pub mod validate;

#[cfg(test)]
mod tests;

use action_protocol::http::Service;
use action_protocol::{
    Accepted, Call, ConnectionReport, Descriptor, Failure, Issue, Outcome, Protocol, export_protocol,
};

use config::Config;

/// The protocol.
pub struct Smtp;

impl Protocol for Smtp {
    type Config = Config;

    fn describe() -> Descriptor {
        describe::descriptor()
    }

    fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
        validate::validate(config)
    }

    fn test_connection(config: Config) -> Result<ConnectionReport, Failure> {
        send::test(&config, &Service)
    }

    fn execute(call: Call<Config>) -> Result<Outcome, Failure> {
        send::execute(&call, &Service)
    }
}

export_protocol!(Smtp);
