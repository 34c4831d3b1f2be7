//! Protocols that are not HTTP: a connection that is read line by line or by length, within a deadline.
//!
//! The service resolves names, checks them against the action's grants, connects and does TLS;
//! [`Stream`] adds a buffer, bounds and a deadline. What a protocol needs beside that is a
//! [`Dialer`]: the service, or in tests a [`Script`].

mod address;
mod deadline;
mod script;
mod stream;

pub use address::Address;
pub use deadline::{Deadline, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX};
pub use script::{Heard, Script};
pub use stream::Stream;

use crate::http::Service;
use crate::{Connection, OutboundError, TlsOptions, outbound};

/// A connection, as the service gives it.
pub trait Wire {
    /// Waits for at least one byte. Empty: the remote has closed its side.
    fn read(&mut self, bytes_max: u32) -> Result<Vec<u8>, OutboundError>;
    /// Returns when all bytes are handed to the system.
    fn write(&mut self, bytes: &[u8]) -> Result<(), OutboundError>;
    /// Puts TLS over it.
    fn start_tls(&mut self, options: &TlsOptions) -> Result<(), OutboundError>;
    /// For each further read and write.
    fn set_timeout_ms(&mut self, timeout_ms: u32);
}

/// What connects.
pub trait Dialer {
    /// What it gives.
    type Wire: Wire;

    /// Connects, with TLS from the first byte where options are given.
    fn dial(&self, address: &Address, tls: Option<&TlsOptions>) -> Result<Self::Wire, OutboundError>;
}

impl Dialer for Service {
    type Wire = Connection;

    fn dial(&self, address: &Address, tls: Option<&TlsOptions>) -> Result<Connection, OutboundError> {
        outbound::connect(&address.host, address.port, tls)
    }
}

impl Wire for Connection {
    fn read(&mut self, bytes_max: u32) -> Result<Vec<u8>, OutboundError> {
        Connection::read(self, bytes_max)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), OutboundError> {
        Connection::write(self, bytes)
    }

    fn start_tls(&mut self, options: &TlsOptions) -> Result<(), OutboundError> {
        Connection::start_tls(self, options).map(|_alpn| ())
    }

    fn set_timeout_ms(&mut self, timeout_ms: u32) {
        self.set_timeout(timeout_ms);
    }
}
