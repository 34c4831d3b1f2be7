//! A remote that says what it was told to, for tests of how a protocol reads. How it behaves towards
//! somebody real, a test against a real server shows.

use std::cell::{Ref, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Address, Dialer, Wire};
use crate::{OutboundError, TlsOptions};

/// Gives its pieces in turn, one at each read, then closes. Every connection goes on with the same script.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pieces: Rc<RefCell<VecDeque<Vec<u8>>>>,
    heard: Rc<RefCell<Heard>>,
}

/// What was done to a [`Script`].
#[derive(Debug, Default)]
pub struct Heard {
    /// All that was written.
    pub bytes: Vec<u8>,
    /// At which byte TLS began, each time.
    pub tls_from: Vec<usize>,
}

impl Script {
    /// A remote that says this.
    pub fn new(pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { pieces: Rc::new(RefCell::new(pieces.into_iter().collect())), heard: Rc::default() }
    }

    /// What it heard so far.
    pub fn heard(&self) -> Ref<'_, Heard> {
        self.heard.borrow()
    }

    fn tls(&self) {
        let mut heard = self.heard.borrow_mut();
        let at = heard.bytes.len();
        heard.tls_from.push(at);
    }
}

impl Dialer for Script {
    type Wire = Self;

    fn dial(&self, _: &Address, tls: Option<&TlsOptions>) -> Result<Self, OutboundError> {
        if tls.is_some() {
            self.tls();
        }
        Ok(self.clone())
    }
}

impl Wire for Script {
    fn read(&mut self, _: u32) -> Result<Vec<u8>, OutboundError> {
        Ok(self.pieces.borrow_mut().pop_front().unwrap_or_default())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), OutboundError> {
        self.heard.borrow_mut().bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn start_tls(&mut self, _: &TlsOptions) -> Result<(), OutboundError> {
        self.tls();
        Ok(())
    }

    fn set_timeout_ms(&mut self, _: u32) {}
}
