//! The protocol `imap`: captures the mails of a mailbox that are new. IMAP4rev1 (RFC 3501), which every server speaks,
//! and IDLE (RFC 2177) where the server does.
//!
//! Everything here is pure but for the [`Dialer`](action_protocol::net::Dialer) and the [`Keeper`](reading::Keeper)
//! that are handed in; `README.md` is the documentation that the descriptor carries.
//!
//! | module | duty |
//! | --- | --- |
//! | [`config`] | the config as types, from which its schema is derived |
//! | [`validate`] | everything wrong with a config at once; its effect |
//! | [`command`] | what is said: strings, names of mailboxes, what is searched for |
//! | [`response`] | what is heard: responses of RFC 3501 are read |
//! | [`pace`] | how long an answer may take, within the time of the whole |
//! | [`session`] | greeting, TLS, who asks; commands and their responses |
//! | [`mailbox`] | what is asked of an open mailbox |
//! | [`mail`] | a mail becomes an item |
//! | [`reading`] | one execution: from where the last one ended to the newest mail |
//! | [`connection`] | test-connection |

pub mod command;
pub mod config;
pub mod connection;
pub mod describe;
pub mod mail;
pub mod mailbox;
pub mod pace;
pub mod reading;
pub mod response;
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
pub struct Imap;

impl Protocol for Imap {
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
        reading::execute(&call, &Service, &reading::Capture)
    }
}

export_protocol!(Imap);
