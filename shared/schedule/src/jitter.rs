//! Jitter: runs of one moment are spread over a window, so that midnight does not stampede.
//!
//! The spread comes from a hash of the schedule's id and the tick's name: every process says the same, and a schedule moves
//! within its window from tick to tick. A tick still fires at its time; what is spread is the `run_at` of its job.

use crate::tick::TickName;
use haul_core::Span;

/// The widest window.
pub const JITTER_MAX: Span = Span::from_secs(24 * 3_600);

/// How long after its time the tick `name` of the schedule `id` runs: less than `window`.
pub fn jitter(id: &str, name: &TickName, window: Span) -> Span {
    let text = name.to_string();
    let bytes = id.bytes().chain([0]).chain(text.bytes());
    let hash = mix(bytes.fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)));
    // The high half of the product: evenly spread without a division.
    let spread = (u128::from(hash) * u128::from(window.as_ms())) >> 64;
    Span::from_ms(u64::try_from(spread).unwrap_or_default())
}

// FNV-1a, 64 bits (draft-eastlake-fnv). It must never change: processes of two versions run side by side.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV leaves the high bits of short texts alike; the finalizer of MurmurHash3 spreads them.
const fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}
