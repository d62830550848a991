//! I1: every acknowledged job reaches the outcome that it should, or is still reachable.

use super::{Invariant, Violation};
use crate::evidence::{CANCELLED, DEAD, Evidence, JobRow, SUCCEEDED, Submit};
use std::collections::BTreeMap;

/// Kinds that end their worker, and so must end dead.
const POISON: [&str; 2] = ["abort", "overflow"];

/// I1: no acknowledged job is missing or without its outcome, and each ended as its client was told or asked for.
#[must_use]
pub fn nothing_is_lost(evidence: &Evidence) -> Vec<Violation> {
    let jobs = by_id(evidence);
    let mut violations = Vec::new();
    for (key, submit) in evidence.submits() {
        if let Some(fault) = fault(evidence, &jobs, key, &submit) {
            violations.push(Violation::new(Invariant::I1, format!("{key} ({}): {fault}", submit.kind)));
        }
    }
    violations
}

/// How many acknowledged jobs are not in the ledger, or have no outcome although they were due.
#[must_use]
pub fn lost(evidence: &Evidence) -> usize {
    let jobs = by_id(evidence);
    let submits = evidence.submits();
    let acknowledged = submits.values().flat_map(|submit| &submit.accepted);
    let is_lost = |id: &str| match jobs.get(id) {
        None => true,
        Some(job) => !evidence.ledger.outcomes.contains_key(id) && !evidence.is_far(job),
    };
    acknowledged.filter(|(id, _)| is_lost(id)).count()
}

fn by_id(evidence: &Evidence) -> BTreeMap<&str, &JobRow> {
    evidence.ledger.jobs.iter().map(|job| (job.id.as_str(), job)).collect()
}

fn fault(evidence: &Evidence, jobs: &BTreeMap<&str, &JobRow>, key: &str, submit: &Submit) -> Option<String> {
    let (id, _) = submit.accepted.first()?;
    if let Some((other, _)) = submit.accepted.iter().find(|(other, _)| other != id) {
        return Some(format!("one key was acknowledged as two jobs, {id} and {other}"));
    }
    let Some(job) = jobs.get(id.as_str()) else {
        return Some(format!("acknowledged as {id}, and not in the ledger"));
    };
    if job.key != key || job.kind != submit.kind {
        return Some(format!("acknowledged as {id}, which is {} of {}", job.kind, job.key));
    }
    let expected = match &submit.kind {
        _ if submit.cancelled => CANCELLED,
        kind if POISON.contains(&kind.as_str()) => DEAD,
        _ => SUCCEEDED,
    };
    match evidence.ledger.outcomes.get(id) {
        None if evidence.is_far(job) && !submit.cancelled => None,
        None => Some(format!("{id} has no outcome")),
        Some(state) if *state == expected => None,
        // Asked for, and never heard whether: both are right.
        Some(state) if *state == CANCELLED && submit.cancel_asked => None,
        Some(state) => Some(format!("{id} ended as {state}, and not as {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::sample::{Sample, good};
    use crate::evidence::Step;

    fn details(sample: &Sample) -> Vec<String> {
        nothing_is_lost(&sample.0).into_iter().map(|violation| violation.detail).collect()
    }

    #[test]
    fn a_good_history_has_no_fault() {
        assert_eq!(details(&good()), Vec::<String>::new());
        assert_eq!(lost(&good().0), 0);
    }

    #[test]
    fn an_acknowledged_job_that_is_not_in_the_ledger_is_lost() {
        let mut sample = good();
        sample.0.ledger.jobs.clear();
        assert!(details(&sample)[0].contains("not in the ledger"));
        assert_eq!(lost(&sample.0), 1);
    }

    #[test]
    fn an_acknowledged_job_without_an_outcome_is_lost_unless_it_is_due_after_the_run() {
        let mut sample = good();
        sample.0.ledger.outcomes.clear();
        assert!(details(&sample)[0].contains("has no outcome"));
        assert_eq!(lost(&sample.0), 1);
        sample.0.ledger.jobs[0].run_at_ms = sample.0.end_ms + 1;
        assert_eq!(details(&sample), Vec::<String>::new());
        assert_eq!(lost(&sample.0), 0);
    }

    #[test]
    fn a_good_job_must_not_die_and_a_poisonous_one_must() {
        let mut sample = good();
        sample.0.ledger.outcomes.insert("job-1".to_owned(), DEAD);
        assert!(details(&sample)[0].contains("ended as 2"));
        sample.rename("abort");
        assert_eq!(details(&sample), Vec::<String>::new());
    }

    #[test]
    fn one_key_is_one_job() {
        let sample = good().event("key-1", Step::Ok { job: "job-2".to_owned() });
        assert!(details(&sample)[0].contains("two jobs"));
    }

    #[test]
    fn a_cancellation_that_was_confirmed_is_the_outcome() {
        let mut sample = good().event("key-1", Step::Cancel);
        assert_eq!(details(&sample), Vec::<String>::new());
        sample.0.ledger.outcomes.insert("job-1".to_owned(), CANCELLED);
        assert_eq!(details(&sample), Vec::<String>::new());
        sample.0.ledger.outcomes.insert("job-1".to_owned(), SUCCEEDED);
        let sample = sample.event("key-1", Step::Cancelled);
        assert!(details(&sample)[0].contains("ended as 1, and not as 3"));
    }

    #[test]
    fn an_unknown_submit_promises_nothing() {
        let sample = good()
            .event("key-9", Step::Invoke { kind: "nap".to_owned() })
            .event("key-9", Step::Unknown { why: "no answer".to_owned() });
        assert_eq!(details(&sample), Vec::<String>::new());
    }
}
