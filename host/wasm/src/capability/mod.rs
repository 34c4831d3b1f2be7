//! What components can do beside computing: one file for each interface, and the gate through
//! which everything goes that leaves for the outside.
//!
//! To add a capability: a WIT interface, a file here that implements its `Host` for
//! [`crate::state::State`], one line in [`crate::state::linker`], a grant.

pub(crate) mod capture;
pub(crate) mod connection;
pub(crate) mod gate;
pub(crate) mod http;
mod journal;
pub(crate) mod meter;
mod outbound;
pub(crate) mod pool;
pub(crate) mod resolver;
pub(crate) mod secrets;
mod sending;
mod stream;
mod substitute;
pub(crate) mod tls;
mod tls_failure;
mod vouched;
pub(crate) mod wasi_http;
pub(crate) mod wasi_sockets;
