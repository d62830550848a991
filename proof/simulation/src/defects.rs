//! Stores that break one promise each: a simulation that does not find them proves nothing.

use haul_core::{
    Clock, Dispatch, FinalState, JobId, Outcome, QueueRef,
    dispatch::{self, Claim, Claimed, Lease, LeaseToken, Next, Settlement},
    ledger::{Entry, Record, Recorded, UnsettledPage},
    outcome::JobRecord,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// What is wrong with the stores of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The ledger takes a later outcome in the place of the first.
    OutcomeOverwrites,
    /// A claim takes tickets away for good, and no lease brings them back.
    DestructivePop,
    /// Whoever looks for unsettled jobs is not told of those that are due later.
    DelayedForgotten,
    /// Leases are extended for whoever asks.
    AnybodyExtends,
}

/// The defect of a run, and what it has done so far.
pub(crate) struct Defects {
    defect: Option<Defect>,
    overwritten: Mutex<BTreeMap<JobId, Outcome>>,
}

impl Defects {
    pub(crate) fn new(defect: Option<Defect>) -> Self {
        Self { defect, overwritten: Mutex::default() }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    pub(crate) fn recorded(&self, records: &[Record], answers: &mut [Recorded]) {
        if !self.is(Defect::OutcomeOverwrites) {
            return;
        }
        for (record, answer) in records.iter().zip(answers) {
            let (state, result, error) = match (&record.entry, *answer) {
                (Entry::Succeeded(result), Recorded::Stale) => (FinalState::Succeeded, result.clone(), None),
                (Entry::Dead(error), Recorded::Stale) => (FinalState::Dead, None, Some(error.clone())),
                _ => continue,
            };
            let outcome = Outcome { state, attempt: record.attempt, finished_at: record.at, result, error };
            self.overwritten.lock().insert(record.job, outcome);
            *answer = Recorded::Committed;
        }
    }

    /// What the ledger shows.
    pub(crate) fn shown(&self, mut truth: JobRecord) -> JobRecord {
        if let Some(outcome) = self.overwritten.lock().get(&truth.job.id) {
            truth.outcome = Some(outcome.clone());
        }
        truth
    }

    pub(crate) async fn claimed(
        &self,
        dispatch: &dyn Dispatch,
        queue: &QueueRef,
        token: LeaseToken,
        claim: &Claim,
    ) -> dispatch::Result<()> {
        if !self.is(Defect::DestructivePop) {
            return Ok(());
        }
        let taken = |ticket: &Claimed| Settlement {
            lease: Lease { id: ticket.id, kind: ticket.kind.clone(), priority: ticket.priority, token },
            next: Next::Done,
        };
        let settlements: Vec<Settlement> = claim.tickets.iter().map(taken).collect();
        dispatch.settle(queue, &settlements).await
    }

    pub(crate) fn extended(&self, held: Vec<bool>) -> Vec<bool> {
        match self.defect {
            Some(Defect::DestructivePop | Defect::AnybodyExtends) => vec![true; held.len()],
            _ => held,
        }
    }

    pub(crate) fn unsettled(&self, mut page: UnsettledPage, clock: &Clock) -> UnsettledPage {
        if self.is(Defect::DelayedForgotten) {
            let now = clock.now();
            page.jobs.retain(|job| job.due <= now);
        }
        page
    }
}
