//! What really arrived: [`Books`].

use super::Behaviour;
use bytes::Bytes;
use std::collections::BTreeMap;

/// What became of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Taken, for the first time under its id.
    Accepted,
    /// Taken, although its id was taken before.
    Duplicate,
    /// Its signature is right, and it was not taken: the hook behaved so.
    TurnedAway,
    /// The check failed: a signature, or its time, was wrong or missing, or no secret is known.
    Refused,
}

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// `webhook-id`; empty when it is missing, as in the next two.
    pub id: String,
    /// `webhook-timestamp`.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signature: String,
    /// The body.
    pub body: Bytes,
    /// What became of it.
    pub verdict: Verdict,
    /// How it was treated; `None`: it was refused.
    pub behaviour: Option<Behaviour>,
}

/// Everything that arrived at a hook.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// In the order of arrival.
    pub arrivals: Vec<Arrival>,
    pub(super) verdicts: BTreeMap<Verdict, u64>,
    pub(super) behaviours: BTreeMap<Behaviour, u64>,
}

impl Books {
    /// Ids that were taken.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.count(Verdict::Accepted)
    }

    /// How often an id was taken that had been taken before: what a receiver leaves out by its id.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.count(Verdict::Duplicate)
    }

    /// What came with a right signature, and was not taken.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.count(Verdict::TurnedAway)
    }

    /// What failed the check.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.count(Verdict::Refused)
    }

    /// How often it behaved so.
    #[must_use]
    pub fn behaved(&self, behaviour: Behaviour) -> u64 {
        self.behaviours.get(&behaviour).copied().unwrap_or(0)
    }

    /// The arrivals that ended so.
    pub fn of(&self, verdict: Verdict) -> impl Iterator<Item = &Arrival> {
        self.arrivals.iter().filter(move |arrival| arrival.verdict == verdict)
    }

    /// The counts in a line.
    #[must_use]
    pub fn summary(&self) -> String {
        let counts = [self.accepted(), self.duplicates(), self.turned_away(), self.refused()];
        let [accepted, duplicates, turned_away, refused] = counts;
        format!("{accepted} accepted, {duplicates} duplicates, {turned_away} turned away, {refused} refused")
    }

    pub(super) fn add(&mut self, arrival: Arrival) {
        *self.verdicts.entry(arrival.verdict).or_default() += 1;
        if let Some(behaviour) = arrival.behaviour {
            *self.behaviours.entry(behaviour).or_default() += 1;
        }
        self.arrivals.push(arrival);
    }

    fn count(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(&verdict).copied().unwrap_or(0)
    }
}
