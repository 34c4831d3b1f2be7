//! A connection that may not be made, with whoever has to change what.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a connection may not be made. The words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenialReason {
    /// What was named is no host.
    InvalidHost,
    /// No `x-egress` value of the config and no grant names it.
    NotGranted,
    /// The value of the config that grants it says `https`, and this was a request without TLS.
    HttpsOnly,
    /// It is in a private network, and the action does not ask for those.
    PrivateNotRequested,
    /// It is in a private network, and the operator does not allow those.
    PrivateNotAllowed,
    /// The operator's list of what is denied names it.
    DeniedByOperator,
    /// The operator has a list of what is allowed, and it is not there.
    NotAllowedByOperator,
    /// Addresses of this kind are never reached.
    NeverReached,
    /// Not a matter of grants: the moment, the method or the number of requests.
    Other,
}

/// A connection that may not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The host that was wanted.
    pub host: String,
    /// The port that was wanted; 0 where a name was to be looked up without one.
    pub port: u16,
    /// Why, for programs.
    pub reason: DenialReason,
    /// The rule that forbids it.
    pub rule: String,
    /// What to change if it should be allowed.
    pub hint: String,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            0 => write!(f, "{}: {}; {}", self.host, self.rule, self.hint),
            port => write!(f, "{}:{port}: {}; {}", self.host, self.rule, self.hint),
        }
    }
}
