//! Chance that a seed decides: what befalls a request follows from its name and from how often that came before, and not from
//! the order in which requests arrive.

use rand::{Rng, SeedableRng, rngs::StdRng};

/// One of these, each in so many of a thousand, or none.
pub(crate) fn draw<T: Copy>(per_mille: &[(T, u16)], seed: u64, name: &str, nth: u64) -> Option<T> {
    if per_mille.iter().all(|&(_, share)| share == 0) {
        return None;
    }
    let mut drawn = StdRng::seed_from_u64(hash(name, seed ^ nth.rotate_left(32))).random_range(0..1_000);
    per_mille.iter().find_map(|&(one, share)| {
        let is_it = drawn < share;
        drawn = drawn.saturating_sub(share);
        is_it.then_some(one)
    })
}

/// FNV-1a: the same on every machine, unlike the hash of a map.
fn hash(text: &str, seed: u64) -> u64 {
    text.bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
