//! How long the next answer may take. A connection has one deadline, that of the execution; within it a server that is
//! silent or sends a byte now and then is given up earlier.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use action_protocol::net::{Address, Dialer, Wire};
use action_protocol::{OutboundError, TlsOptions};

/// Until when the other side may take. Shared between a session and its connection.
#[derive(Clone, Debug)]
pub struct Pace(Rc<Cell<Instant>>);

impl Pace {
    /// This long from now.
    pub fn new(wait: Duration) -> Self {
        Self(Rc::new(Cell::new(Instant::now() + wait)))
    }

    /// This long from now on.
    pub fn set(&self, wait: Duration) {
        self.0.set(Instant::now() + wait);
    }

    fn left_ms(&self) -> Option<u32> {
        let left = self.0.get().checked_duration_since(Instant::now())?;
        // Part of a millisecond is not nothing.
        Some(u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1))
    }
}

/// Gives connections at this pace.
#[derive(Debug)]
pub struct PacedDialer<'a, D> {
    /// What connects.
    pub dialer: &'a D,
    /// The pace.
    pub pace: Pace,
}

/// A connection whose reads and writes keep to a pace.
#[derive(Debug)]
pub struct Paced<W> {
    wire: W,
    pace: Pace,
    /// What is left of the time of the whole.
    left_ms: u32,
}

impl<D: Dialer> Dialer for PacedDialer<'_, D> {
    type Wire = Paced<D::Wire>;

    fn dial(&self, address: &Address, tls: Option<&TlsOptions>) -> Result<Self::Wire, OutboundError> {
        Ok(Paced { wire: self.dialer.dial(address, tls)?, pace: self.pace.clone(), left_ms: u32::MAX })
    }
}

impl<W: Wire> Paced<W> {
    fn hurry(&mut self) -> Result<(), OutboundError> {
        let left_ms = self.pace.left_ms().ok_or(OutboundError::TimedOut)?;
        self.wire.set_timeout_ms(left_ms.min(self.left_ms));
        Ok(())
    }
}

impl<W: Wire> Wire for Paced<W> {
    fn read(&mut self, bytes_max: u32) -> Result<Vec<u8>, OutboundError> {
        self.hurry()?;
        self.wire.read(bytes_max)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), OutboundError> {
        self.hurry()?;
        self.wire.write(bytes)
    }

    fn start_tls(&mut self, options: &TlsOptions) -> Result<(), OutboundError> {
        self.hurry()?;
        self.wire.start_tls(options)
    }

    fn set_timeout_ms(&mut self, timeout_ms: u32) {
        self.left_ms = timeout_ms;
    }
}
