//! What an error means, and what to do then.
//!
//! Whatever the server refuses it takes back: a transaction is done as a whole. So a repeat is right until
//! COMMIT is on its way, whatever the statements do.

use action_protocol::{Advice, Effect, Failure, FailureKind, OutboundError};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::wire::Message;

/// An error of the server, by its fields.
#[derive(Debug, Default)]
pub struct ServerError {
    fields: Vec<(u8, String)>,
}

impl ServerError {
    /// From its message.
    pub fn read(message: &mut Message) -> Result<Self, OutboundError> {
        let mut fields = Vec::new();
        loop {
            match message.byte()? {
                0 => return Ok(Self { fields }),
                kind => fields.push((kind, message.text()?)),
            }
        }
    }

    fn field(&self, kind: u8) -> Option<&str> {
        self.fields.iter().find(|(of, _)| *of == kind).map(|(_, text)| text.as_str())
    }

    /// The SQLSTATE: five letters and digits.
    pub fn state(&self) -> &str {
        self.field(b'C').unwrap_or_default()
    }

    /// The failure that it is. Where a statement is named, it is that one's.
    pub fn failure(&self, statement: Option<&str>) -> Failure {
        let (kind, retried) = judge(self.state());
        let mut message = format!("{}: {}", self.state(), self.field(b'M').unwrap_or("an error without a message"));
        if let Some(detail) = self.field(b'D') {
            message = format!("{message} ({detail})");
        }
        let mut details = Map::new();
        let named = [
            ("sqlstate", b'C'),
            ("detail", b'D'),
            ("hint", b'H'),
            ("position", b'P'),
            ("table", b't'),
            ("column", b'c'),
            ("constraint", b'n'),
        ];
        for (name, kind) in named {
            details.extend(self.field(kind).map(|text| (name.to_owned(), Value::from(text))));
        }
        if let Some(pointer) = statement {
            message = format!("config {pointer}: {message}");
            details.insert("config_pointer".into(), pointer.into());
        }
        let advice = if retried { Advice::Retry } else { Advice::GiveUp };
        Failure { kind, message, advice, details: None }.details(&Value::Object(details))
    }
}

/// What an SQLSTATE means (Postgres, appendix A), and whether a repeat can help.
fn judge(state: &str) -> (FailureKind, bool) {
    match state {
        // insufficient_privilege stands among the mistakes of SQL.
        "42501" => (FailureKind::Unauthenticated, false),
        "53300" => (FailureKind::RateLimited, true),
        // A serialization failure, a deadlock, a lock that somebody else has, a server that starts or stops.
        "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" => (FailureKind::Unavailable, true),
        // invalid_catalog_name: no such database.
        "3D000" | "25006" => (FailureKind::InvalidConfig, false),
        _ => match state.get(..2).unwrap_or_default() {
            "28" => (FailureKind::Unauthenticated, false),
            "40" | "08" | "53" | "58" => (FailureKind::Unavailable, true),
            // Data that does not fit: a text that is no date, a division by zero.
            "22" => (FailureKind::InvalidInput, false),
            "42" | "26" | "3F" => (FailureKind::InvalidConfig, false),
            _ => (FailureKind::Rejected, false),
        },
    }
}

/// An error on the way, of an exchange with this effect.
pub fn of_connection(error: &OutboundError, config: &Config, effect: Effect) -> Failure {
    let mut failure = Failure::from_outbound(error, effect);
    failure.message = format!("{}: {}", config.address, failure.message);
    failure
}
