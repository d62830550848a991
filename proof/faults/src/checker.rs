//! The checker: what must hold of every run, whatever was done to it.
//!
//! Each invariant is a function over the [`Evidence`], with tests on histories that violate it. `docs/faults.md` tells
//! them in a sentence each.

mod acceptance;
mod effects;
mod outcomes;
mod payments;
mod recovery;
#[cfg(test)]
mod sample;
mod ticks;

pub use acceptance::{lost, nothing_is_lost};
pub use effects::{at_most_one_effect, duplicate_sends, executions_per_job};
pub use outcomes::{duplicate_outcomes, legal_transitions, one_outcome};
pub use payments::payments_agree;
pub use recovery::{Recovery, reachable, recovered_in_time, recovery};
pub use ticks::each_tick_once;

use crate::evidence::Evidence;
use serde::Serialize;
use std::time::Duration;

/// The promises, by the numbers that the documents give them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Invariant {
    /// Every acknowledged job reaches the outcome that it should, or is still reachable.
    I1,
    /// One outcome per job, the first committed.
    I2,
    /// At most one applied effect per submit, however often it was sent.
    I3,
    /// Unsettled in the ledger means reachable in the dispatch.
    I4,
    /// Postings are balanced, and are what the payment provider did.
    I5,
    /// Only legal state transitions.
    I6,
    /// Recovery within the limit, where there is one.
    I7,
    /// Each tick of a schedule has exactly one job.
    I8,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// How, with the job or submit that shows it.
    pub detail: String,
}

impl Violation {
    fn new(invariant: Invariant, detail: String) -> Self {
        Self { invariant, detail }
    }
}

/// Every violation in the evidence. Recovery is judged only against a limit.
#[must_use]
pub fn check(evidence: &Evidence, recovery_max: Option<Duration>) -> Vec<Violation> {
    let mut violations = nothing_is_lost(evidence);
    violations.extend(one_outcome(evidence));
    violations.extend(at_most_one_effect(evidence));
    violations.extend(reachable(evidence));
    violations.extend(payments_agree(evidence));
    violations.extend(legal_transitions(evidence));
    violations.extend(recovered_in_time(evidence, recovery_max));
    violations.extend(each_tick_once(evidence));
    violations
}
