//! A defect on demand, to show that the checker of `cargo xtask faults` finds it: `HAUL_BROKEN=key-per-attempt`.

/// Whether each send of a payment is to have another idempotency key, and nobody is to look up what became of the last one.
#[expect(clippy::disallowed_methods, reason = "a switch of a build that is broken on purpose; no setting of Haul")]
pub(crate) fn makes_a_key_per_attempt() -> bool {
    std::env::var("HAUL_BROKEN").is_ok_and(|defect| defect == "key-per-attempt")
}

/// The key of one send to the payment provider.
pub(crate) fn key_of_send(key: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static SENDS: AtomicU64 = AtomicU64::new(0);
    if !makes_a_key_per_attempt() {
        return key.to_owned();
    }
    format!("{key}_{}_{}", std::process::id(), SENDS.fetch_add(1, Ordering::Relaxed))
}
