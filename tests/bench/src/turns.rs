//! Slices of several works by turns, and what one costs beside another.

use crate::{load::Slice, report::median};
use std::fmt::Debug;

/// What was measured, in the order of rounds.
pub(crate) struct Turns<T> {
    slices: Vec<(T, Slice)>,
}

/// A figure of a slice.
pub(crate) type Figure = fn(&Slice) -> f64;

impl<T: Copy + PartialEq + Debug> Turns<T> {
    pub(crate) fn new() -> Self {
        Self { slices: Vec::new() }
    }

    pub(crate) fn add(&mut self, round: usize, turn: T, slice: Slice) {
        let Slice { rate, p99_ms, cpu_us } = slice;
        eprintln!("round {} {turn:?}: {rate:.0}/s, p99 {p99_ms:.2} ms, {cpu_us:.1} µs CPU", round + 1);
        self.slices.push((turn, slice));
    }

    /// The middle one of the rounds.
    pub(crate) fn median(&self, turn: T, figure: Figure) -> f64 {
        median(self.of(turn, figure))
    }

    /// One by another, as it was in the middle one of the rounds.
    pub(crate) fn ratio(&self, turn: T, to: T, figure: Figure) -> f64 {
        median(self.of(turn, figure).zip(self.of(to, figure)).map(|(own, other)| own / other))
    }

    fn of(&self, turn: T, figure: Figure) -> impl Iterator<Item = f64> {
        self.slices.iter().filter(move |(own, _)| *own == turn).map(move |(_, slice)| figure(slice))
    }
}

/// In every other round the other way round, so that whatever the machine does meanwhile meets all.
pub(crate) fn in_turns<T>(round: usize, mut all: Vec<T>) -> Vec<T> {
    if round % 2 == 1 {
        all.reverse();
    }
    all
}
