//! How far an attempt got towards the outside, and how many bytes went each way.
//!
//! A request counts as sent just before its first byte can reach a socket, and is taken back
//! where none did. Once the attempt's report is made the meter is sealed: a task of the attempt
//! that is still on its way to the socket (wasi:http runs in one) finds that it may not send.

use action_domain::failure::Sent;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// One attempt's meter.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    connected: AtomicBool,
    sent: Mutex<Sendings>,
}

#[derive(Debug, Default)]
struct Sendings {
    begun: u32,
    answered: u32,
    sealed: bool,
}

/// The attempt is over: nothing more may be sent for it.
#[derive(Debug)]
pub(crate) struct Sealed;

impl Meter {
    fn sent(&self) -> MutexGuard<'_, Sendings> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes are about to be handed to a socket.
    pub(crate) fn begin_sending(&self) -> Result<(), Sealed> {
        let mut sent = self.sent();
        if sent.sealed {
            return Err(Sealed);
        }
        sent.begun += 1;
        Ok(())
    }

    /// What was begun did not hand a byte to a socket after all.
    pub(crate) fn nothing_sent(&self) {
        let mut sent = self.sent();
        sent.begun = sent.begun.saturating_sub(1);
    }

    /// What was begun was answered: the whole head of the response is there.
    pub(crate) fn answered(&self) {
        self.sent().answered += 1;
    }

    /// Somebody was reached.
    pub(crate) fn connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
    }

    /// Whether anybody was reached.
    pub(crate) fn has_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Bytes that went out.
    pub(crate) fn add_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that came in.
    pub(crate) fn add_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes out and in, so far.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.bytes_out.load(Ordering::Relaxed), self.bytes_in.load(Ordering::Relaxed))
    }

    /// How far it got. Nothing can be sent from here on.
    pub(crate) fn seal(&self) -> Sent {
        let mut sent = self.sent();
        sent.sealed = true;
        match (sent.begun, sent.answered) {
            (0, _) => Sent::NotSent,
            (begun, answered) if begun == answered => Sent::Acknowledged,
            _ => Sent::MaybeSent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_is_what_is_known() {
        let meter = Meter::default();
        meter.begin_sending().unwrap();
        meter.nothing_sent();
        assert_eq!(meter.seal(), Sent::NotSent);
        assert!(meter.begin_sending().is_err(), "the report is made: nothing may leave any more");

        let meter = Meter::default();
        meter.begin_sending().unwrap();
        meter.answered();
        meter.begin_sending().unwrap();
        assert_eq!(meter.seal(), Sent::MaybeSent);
        meter.answered();
        assert_eq!(meter.seal(), Sent::Acknowledged);
    }
}
