//! A defect on demand, to show that the checker of `cargo xtask faults` finds it: `HAUL_BROKEN=key-per-attempt`.

/// Whether `http.request` is to send another idempotency key in each attempt.
#[expect(clippy::disallowed_methods, reason = "a switch of a build that is broken on purpose; no setting of Haul")]
pub(crate) fn makes_a_key_per_attempt() -> bool {
    std::env::var("HAUL_BROKEN").is_ok_and(|defect| defect == "key-per-attempt")
}
