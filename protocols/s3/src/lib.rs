//! The protocol `s3`: puts, gets, lists and deletes objects of a bucket, at AWS or at whoever speaks like it.
//!
//! Everything here is pure but for the [`Transport`](action_protocol::http::Transport) that is handed in;
//! `README.md` is the documentation that the descriptor carries.
//!
//! | module | duty |
//! | --- | --- |
//! | [`config`] | the config as types, from which its schema is derived |
//! | [`validate`] | everything wrong with a config at once; its effect |
//! | [`sign`] | Signature Version 4, whose key the protocol never sees |
//! | [`xml`] | what of XML the answers hold |
//! | [`run`] | one execution: request, answer, output; and the connection test |
//! | [`failure`] | an answer that refuses → failure, and what to do then |

pub mod config;
pub mod describe;
pub mod failure;
pub mod run;
pub mod sign;
pub mod validate;
pub mod xml;

#[cfg(test)]
mod tests;

use action_protocol::http::Service;
use action_protocol::{
    Accepted, Call, ConnectionReport, Descriptor, Failure, Issue, Outcome, Protocol, export_protocol,
};

use config::Config;

/// The protocol.
pub struct S3;

impl Protocol for S3 {
    type Config = Config;

    fn describe() -> Descriptor {
        describe::descriptor()
    }

    fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
        validate::validate(config)
    }

    fn test_connection(config: Config) -> Result<ConnectionReport, Failure> {
        run::test(&config, &Service)
    }

    fn execute(call: Call<Config>) -> Result<Outcome, Failure> {
        run::execute(&call, &Service)
    }
}

export_protocol!(S3);
