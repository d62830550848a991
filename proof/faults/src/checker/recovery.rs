//! I4 and I7: how soon everything runs again.
//!
//! *Recovery* is measured per job. A fault's victims are the jobs that had been acknowledged, were due, and had no
//! outcome when it ended (for a kill, which is over at once: when it struck). A victim's recovery lasts from the end of the *first* fault that found it
//! so until its outcome was committed, by the ledger's log. It includes the wait for a slot and the job's own work; in a
//! row of faults it includes the further ones. Kinds that fail on purpose are not counted.

use super::{Invariant, Violation};
use crate::evidence::{Evidence, JobRow, Reach, Table};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// Kinds whose retries or crashes are their own.
const UNCOUNTED: [&str; 3] = ["flaky", "abort", "overflow"];

/// How long the victims of a run's faults took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// How many there were.
    pub victims: usize,
    /// Half of them took at most so long.
    pub p50_ms: i64,
    /// All but one in a hundred.
    pub p99_ms: i64,
    /// All of them.
    pub max_ms: i64,
}

/// How long recovery took; none when no job was a victim.
#[must_use]
pub fn recovery(evidence: &Evidence) -> Option<Recovery> {
    let mut took: Vec<i64> = recoveries(evidence).into_values().collect();
    took.sort_unstable();
    let max_ms = *took.last()?;
    let rank = |percent: usize| took[(took.len() * percent).div_ceil(100).clamp(1, took.len()) - 1];
    Some(Recovery { victims: took.len(), p50_ms: rank(50), p99_ms: rank(99), max_ms })
}

/// I7: every victim ended within the limit, when there is one.
#[must_use]
pub fn recovered_in_time(evidence: &Evidence, limit: Option<Duration>) -> Vec<Violation> {
    let Some(limit) = limit else { return Vec::new() };
    let took = recoveries(evidence);
    let slowest = took.iter().max_by_key(|(_, took_ms)| **took_ms);
    let too_slow = slowest.filter(|(_, took_ms)| u128::try_from(**took_ms).unwrap_or(0) > limit.as_millis());
    let detail = |(job, took_ms): (&&str, &i64)| format!("{job} took {took_ms} ms to recover, allowed are {limit:?}");
    too_slow.map(|slowest| Violation::new(Invariant::I7, detail(slowest))).into_iter().collect()
}

/// I4: what is unsettled in the ledger has a ticket, and nothing else has.
#[must_use]
pub fn reachable(evidence: &Evidence) -> Vec<Violation> {
    let Some(reach) = evidence.reach else { return Vec::new() };
    if reach.tickets == Some(reach.unsettled) && reach.findings == Some(0) {
        return Vec::new();
    }
    let number = |number: Option<u64>| number.map_or("an unknown number of".to_owned(), |number| number.to_string());
    let (tickets, findings) = (number(reach.tickets), number(reach.findings));
    let Reach { unsettled, waited_ms, .. } = reach;
    let detail = format!(
        "{unsettled} unsettled jobs, {tickets} tickets and {findings} findings of an audit after {waited_ms} ms"
    );
    vec![Violation::new(Invariant::I4, detail)]
}

/// The recovery of each victim, in milliseconds, by job.
fn recoveries(evidence: &Evidence) -> BTreeMap<&str, i64> {
    let jobs: BTreeMap<&str, &JobRow> = evidence.ledger.jobs.iter().map(|job| (job.id.as_str(), job)).collect();
    let outcomes = evidence.ledger.log.iter().filter(|written| written.table == Table::Outcome);
    let mut ended: BTreeMap<&str, i64> = BTreeMap::new();
    for written in outcomes {
        ended.entry(&written.job).or_insert(written.at_ms);
    }
    let mut ends: Vec<i64> = evidence.faults.iter().map(|fault| fault.to_ms).collect();
    ends.sort_unstable();
    let mut took = BTreeMap::new();
    for submit in evidence.submits().values() {
        let Some((id, accepted_ms)) = submit.accepted.first() else { continue };
        let Some((id, job)) = jobs.get_key_value(id.as_str()) else { continue };
        if UNCOUNTED.contains(&submit.kind.as_str()) {
            continue;
        }
        let waiting_from = job.run_at_ms.max(*accepted_ms);
        let end = ended.get(id).copied().unwrap_or(evidence.end_ms);
        if let Some(fault_end) = ends.iter().find(|fault_end| (waiting_from..end).contains(*fault_end)) {
            took.insert(*id, end - fault_end);
        }
    }
    took
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::sample::{Sample, good};
    use crate::evidence::Fault;

    fn with_faults(ends: &[i64]) -> Sample {
        let mut sample = good();
        let fault = |to_ms: &i64| Fault { name: "a fault".to_owned(), from_ms: 0, to_ms: *to_ms };
        sample.0.faults = ends.iter().map(fault).collect();
        sample
    }

    #[test]
    fn recovery_lasts_from_the_first_fault_that_found_the_job_waiting_to_its_outcome() {
        // Acknowledged at 100, ended at 300.
        let expected = Recovery { victims: 1, p50_ms: 150, p99_ms: 150, max_ms: 150 };
        assert_eq!(recovery(&with_faults(&[50, 150, 200]).0), Some(expected));
        assert_eq!(recovery(&with_faults(&[50, 300]).0), None);
    }

    #[test]
    fn a_recovery_that_took_too_long_is_a_violation_and_so_is_one_that_never_came() {
        let sample = with_faults(&[150]);
        assert_eq!(recovered_in_time(&sample.0, Some(Duration::from_millis(150))), []);
        assert_eq!(recovered_in_time(&sample.0, Some(Duration::from_millis(149))).len(), 1);
        assert_eq!(recovered_in_time(&sample.0, None), []);
        let mut sample = sample;
        sample.0.ledger.log.clear();
        assert_eq!(recovered_in_time(&sample.0, Some(Duration::from_secs(5))).len(), 1);
    }

    #[test]
    fn unsettled_jobs_and_tickets_are_as_many() {
        let mut sample = good();
        assert_eq!(reachable(&sample.0), []);
        for (tickets, findings, violations) in
            [(Some(2), Some(0), 0), (Some(1), Some(0), 1), (Some(3), None, 1), (None, None, 1), (Some(2), Some(1), 1)]
        {
            sample.0.reach = Some(Reach { unsettled: 2, tickets, findings, waited_ms: 5 });
            assert_eq!(reachable(&sample.0).len(), violations, "{tickets:?}, {findings:?}");
        }
    }
}
