//! Chance: the jitter of retries and pauses. A simulation seeds it, so that its runs can be repeated.

/// A share of one, less than all of it.
pub(crate) fn share() -> f64 {
    #[cfg(feature = "simulation")]
    if let Some(share) = crate::simulation::share() {
        return share;
    }
    rand::random()
}
