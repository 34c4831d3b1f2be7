//! What an attempt cost.

use serde::{Deserialize, Serialize};

/// What one attempt used, as measured by the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Fuel: about one unit for each WebAssembly instruction.
    pub fuel: u64,
    /// The most linear memory that the instance had, in bytes, all memories together.
    pub memory_bytes: u64,
    /// From the start of the attempt to its end, in microseconds.
    pub wall_us: u64,
    /// The part of it in which the component's own code ran, in microseconds.
    pub guest_us: u64,
    /// Requests and connections to the outside that were let through.
    pub requests: u32,
    /// Bytes sent to the outside.
    pub bytes_out: u64,
    /// Bytes received from the outside.
    pub bytes_in: u64,
}
