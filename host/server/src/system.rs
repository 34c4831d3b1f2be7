//! The machine's own clock and randomness: the only place where either comes from.

use action_domain::{
    services::{Clock, Random},
    time::Timestamp,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use uuid::{Builder, Uuid};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(since_epoch().as_micros()).unwrap_or(i64::MAX))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
fn since_epoch() -> std::time::Duration {
    // Before 1970 it is 1970: such a clock is not set at all.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Random bytes are fetched in pieces of this size: one call of the kernel for some 500 ids,
/// of which an execution takes about five.
const POOL_BYTES: usize = 4096;
/// Bits of a UUIDv7 below its milliseconds that are ours: 12 and 62.
const TAIL_BITS: u32 = 74;

/// Ids and chances from the operating system's randomness.
pub(crate) struct SystemRandom {
    /// Of the times in ids: ids of several processes that share a store grow together.
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    pool: Box<[u8; POOL_BYTES]>,
    used: usize,
    /// Of the last id.
    milliseconds: u64,
    /// Of the last id. Grows by a random step within a millisecond: later ids are larger and
    /// still cannot be guessed from earlier ones.
    tail: u128,
}

impl SystemRandom {
    /// Ready to use.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let state = State { pool: Box::new([0; POOL_BYTES]), used: POOL_BYTES, milliseconds: 0, tail: 0 };
        Self { clock, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Random for SystemRandom {
    fn uuid(&self) -> Uuid {
        let milliseconds = u64::try_from(self.clock.now().as_micros() / 1000).unwrap_or(0);
        let mut state = self.state();
        state.next_id(milliseconds)
    }

    fn secret(&self) -> [u8; 32] {
        // Not of the pool: what is read ahead would lie in memory until it is used.
        let mut bytes = [0; 32];
        fill(&mut bytes);
        bytes
    }

    fn fraction(&self) -> f64 {
        // 53 bits are what a double holds.
        (self.state().random() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl State {
    fn random(&mut self) -> u64 {
        if self.used == POOL_BYTES {
            fill(&mut *self.pool);
            self.used = 0;
        }
        let mut bytes = [0; 8];
        let taken = &mut self.pool[self.used..self.used + 8];
        bytes.copy_from_slice(taken);
        // What was given out is not kept.
        taken.fill(0);
        self.used += 8;
        u64::from_ne_bytes(bytes)
    }

    fn next_id(&mut self, milliseconds: u64) -> Uuid {
        // A clock that was set back does not make ids smaller.
        if milliseconds > self.milliseconds {
            self.milliseconds = milliseconds;
            // The highest bit stays free, so that a millisecond has room for 2^41 steps.
            self.tail = (u128::from(self.random()) << 9) | u128::from(self.random() >> 55);
        } else {
            self.tail += 1 + u128::from(self.random() >> 32);
            if self.tail >> TAIL_BITS != 0 {
                self.milliseconds += 1;
                self.tail = u128::from(self.random());
            }
        }
        let high = (self.tail >> 62) as u16;
        let low = (self.tail as u64) & ((1 << 62) - 1);
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&high.to_be_bytes());
        bytes[2..].copy_from_slice(&low.to_be_bytes());
        Builder::from_unix_timestamp_millis(self.milliseconds, &bytes).into_uuid()
    }
}

/// Fills `bytes` from the operating system.
pub(crate) fn fill(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        // Ids that are not random would repeat those of another process: there is no going on.
        tracing::error!(%error, "the operating system gives no random bytes");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_grow_and_are_version_7() {
        let random = SystemRandom::new(Arc::new(SystemClock));
        let ids: Vec<Uuid> = (0..10_000).map(|_| random.uuid()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122));
    }

    #[test]
    fn ids_grow_also_when_the_clock_is_set_back_or_a_millisecond_is_full() {
        let mut state = SystemRandom::new(Arc::new(SystemClock)).state.into_inner().unwrap();
        let first = state.next_id(1_000);
        let second = state.next_id(10);
        state.tail = (1 << TAIL_BITS) - 1;
        let third = state.next_id(1_000);
        assert!(first < second && second < third);
        assert_eq!(state.milliseconds, 1_001);
    }

    #[test]
    fn fractions_are_between_0_and_1_and_differ() {
        let random = SystemRandom::new(Arc::new(SystemClock));
        let fractions: Vec<f64> = (0..1_000).map(|_| random.fraction()).collect();
        assert!(fractions.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        let different: HashSet<u64> = fractions.iter().map(|fraction| fraction.to_bits()).collect();
        assert!(different.len() > 990);
    }
}
