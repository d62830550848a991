//! What a seed decides: every draw of a run comes from here.

use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{ops::RangeInclusive, time::Duration};

/// A stream of draws.
#[derive(Debug)]
pub(crate) struct Dice(StdRng);

impl Dice {
    /// The stream of a seed. `stream` keeps several of one run apart.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        // Odd, so that neighbouring seeds and streams share nothing.
        Self(StdRng::seed_from_u64(seed ^ (stream + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.0.random_bool(share)
    }
    pub(crate) fn number(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.random_range(range)
    }
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.0.random_range(0..len)
    }
    pub(crate) fn ms(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }
}
