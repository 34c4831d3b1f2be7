//! Ids and chances that are the same in every run.

use crate::FakeClock;
use action_domain::services::{Clock, Random};
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Ids with the clock's time and a counter, chances from a seed. Later ids are larger, also
/// where the clock stands still.
#[derive(Debug)]
pub struct SeededRandom {
    clock: FakeClock,
    seed: u64,
    ids: AtomicU64,
    chances: AtomicU64,
    /// The time of the last id: ids do not go back with the clock.
    last_ms: AtomicU64,
}

impl SeededRandom {
    /// The ids of one seed are never those of another.
    pub fn new(clock: FakeClock, seed: u16) -> Self {
        let chances = AtomicU64::new(u64::from(seed));
        Self { clock, seed: u64::from(seed), ids: AtomicU64::new(0), chances, last_ms: AtomicU64::new(0) }
    }

    /// Any number.
    pub fn number(&self) -> u64 {
        // SplitMix64: https://prng.di.unimi.it/splitmix64.c
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let state = self.chances.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        let state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        state ^ (state >> 31)
    }

    /// A number below `end`.
    pub fn below(&self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    /// One of them.
    pub fn one_of<'a, T>(&self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// True once in `n` times.
    pub fn once_in(&self, n: usize) -> bool {
        self.below(n) == 0
    }
}

impl Random for SeededRandom {
    fn uuid(&self) -> Uuid {
        let now = (self.clock.now().as_micros() / 1000).max(0) as u64;
        let ms = self.last_ms.fetch_max(now, Ordering::SeqCst).max(now);
        let count = self.ids.fetch_add(1, Ordering::SeqCst);
        // 48 bits of time, version, 12 bits, variant, 62 bits: the counter fills from the top
        // of what is left, so that later ids are larger.
        let low = (count << 16) | self.seed;
        let value = (u128::from(ms) << 80) | (0x7 << 76) | (0b10 << 62) | u128::from(low & ((1 << 62) - 1));
        Uuid::from_u128(value)
    }

    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.number().to_be_bytes()));
        bytes
    }

    fn fraction(&self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ids_grow_repeat_and_carry_the_time() {
        let clock = FakeClock::default();
        let (one, other) = (SeededRandom::new(clock.clone(), 1), SeededRandom::new(clock.clone(), 2));
        let first = one.uuid();
        assert_ne!(first, other.uuid());
        assert_eq!(first, SeededRandom::new(clock.clone(), 1).uuid());
        let second = one.uuid();
        clock.advance(Duration::from_millis(1));
        let third = one.uuid();
        assert!(first < second && second < third);
        assert_eq!(third.get_version_num(), 7);
        assert_eq!(third.get_timestamp().unwrap().to_unix().0, 1_795_410_480);
        assert!((0.0..1.0).contains(&one.fraction()));
    }
}
