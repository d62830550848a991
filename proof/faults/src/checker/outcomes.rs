//! I2 and I6: what may be written about a job, and in which order.

use super::{Invariant, Violation};
use crate::evidence::{DEAD, Evidence, JobRow, SUCCEEDED, Table, Written};
use std::collections::BTreeMap;

/// How much earlier than its due time a job may end: each process keeps an estimate of the ledger's clock, which is off by
/// the network's delay.
const CLOCK_MS: i64 = 250;

/// I2: one outcome per job, the first committed, never changed; and no failure beside a success of the same attempt,
/// which only a worker without the lease could have recorded.
#[must_use]
pub fn one_outcome(evidence: &Evidence) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (job, log) in by_job(evidence) {
        let mut outcomes = log.iter().filter(|written| written.table == Table::Outcome);
        let Some(first) = outcomes.next() else { continue };
        if first.operation != "INSERT" {
            violations
                .push(Violation::new(Invariant::I2, format!("{job}: its first outcome is an {}", first.operation)));
        }
        if let Some(second) = outcomes.next() {
            let how = format!("{job}: a second outcome, {} by {}", second.state, second.operation);
            violations.push(Violation::new(Invariant::I2, how));
        }
        if evidence.ledger.outcomes.get(job) != Some(&first.state) {
            violations
                .push(Violation::new(Invariant::I2, format!("{job}: its outcome is not the first committed one")));
        }
        let rival = log.iter().find(|written| written.table == Table::Failure && written.attempt == first.attempt);
        if let Some(rival) = rival.filter(|_| first.state == SUCCEEDED) {
            let how = format!("{job}: attempt {} both failed and succeeded", rival.attempt);
            violations.push(Violation::new(Invariant::I2, how));
        }
    }
    violations
}

/// How many outcomes were written beyond the first of each job.
#[must_use]
pub fn duplicate_outcomes(evidence: &Evidence) -> usize {
    let outcomes = |log: &Vec<&Written>| log.iter().filter(|written| written.table == Table::Outcome).count();
    by_job(evidence).values().map(|log| outcomes(log).saturating_sub(1)).sum()
}

/// I6: failures are numbered 1, 2, 3, ..; a success is the next attempt; nothing follows an outcome; nothing ends
/// before it is due; what a transactional handler wrote is there once if the job succeeded, and else not at all.
#[must_use]
pub fn legal_transitions(evidence: &Evidence) -> Vec<Violation> {
    let jobs: BTreeMap<&str, &JobRow> = evidence.ledger.jobs.iter().map(|job| (job.id.as_str(), job)).collect();
    let mut violations = Vec::new();
    let mut refuse = |detail: String| violations.push(Violation::new(Invariant::I6, detail));
    for (id, log) in by_job(evidence) {
        let Some(job) = jobs.get(id) else {
            refuse(format!("{id}: something was written about a job that does not exist"));
            continue;
        };
        let mut failures = 0;
        let mut has_ended = false;
        for written in log {
            if has_ended && written.table == Table::Failure {
                refuse(format!("{id}: a failure was written after its outcome"));
            }
            match written.table {
                Table::Failure if written.operation != "INSERT" => {
                    refuse(format!("{id}: {} of a failure", written.operation));
                }
                Table::Failure => {
                    failures += 1;
                    if written.attempt != failures {
                        refuse(format!("{id}: failure {failures} is of attempt {}", written.attempt));
                    }
                }
                Table::Outcome => {
                    has_ended = true;
                    if written.state == SUCCEEDED && written.attempt != failures + 1 {
                        refuse(format!("{id}: succeeded in attempt {} after {failures} failures", written.attempt));
                    }
                    let has_run = matches!(written.state, SUCCEEDED | DEAD);
                    if has_run && written.at_ms + CLOCK_MS < job.run_at_ms {
                        refuse(format!("{id}: ended {} ms before it was due", job.run_at_ms - written.at_ms));
                    }
                }
            }
        }
    }
    for (id, rows) in rows(evidence) {
        let has_succeeded = evidence.ledger.outcomes.get(id) == Some(&SUCCEEDED);
        if rows != usize::from(has_succeeded) {
            refuse(format!("{id}: its handler's transaction left {rows} rows, and it succeeded: {has_succeeded}"));
        }
    }
    violations
}

fn by_job(evidence: &Evidence) -> BTreeMap<&str, Vec<&Written>> {
    let mut logs: BTreeMap<&str, Vec<&Written>> = BTreeMap::new();
    for written in &evidence.ledger.log {
        logs.entry(&written.job).or_default().push(written);
    }
    logs
}

/// How many rows the transactional job of each id has left.
fn rows(evidence: &Evidence) -> BTreeMap<&str, usize> {
    let transactional = evidence.ledger.jobs.iter().filter(|job| job.kind == "ledger-effect");
    let mut rows: BTreeMap<&str, usize> = transactional.map(|job| (job.id.as_str(), 0)).collect();
    for job in &evidence.ledger.rows {
        *rows.entry(job).or_default() += 1;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::sample::{Sample, good};

    fn said(violations: Vec<Violation>) -> String {
        violations.into_iter().map(|violation| violation.detail + "\n").collect()
    }
    fn i2(sample: &Sample) -> String {
        said(one_outcome(&sample.0))
    }
    fn i6(sample: &Sample) -> String {
        said(legal_transitions(&sample.0))
    }

    #[test]
    fn a_failure_and_then_a_success_is_legal() {
        assert_eq!((i2(&good()), i6(&good())), (String::new(), String::new()));
        assert_eq!(duplicate_outcomes(&good().0), 0);
    }

    #[test]
    fn an_overwritten_outcome_is_seen_even_when_it_is_the_same_again() {
        let sample = good().written(Table::Outcome, "UPDATE", 2, SUCCEEDED);
        assert!(i2(&sample).contains("a second outcome, 1 by UPDATE"), "{}", i2(&sample));
        assert_eq!(duplicate_outcomes(&sample.0), 1);
    }

    #[test]
    fn an_outcome_that_changed_behind_the_log_is_seen() {
        let mut sample = good();
        sample.0.ledger.outcomes.insert("job-1".to_owned(), DEAD);
        assert!(i2(&sample).contains("not the first committed one"));
    }

    #[test]
    fn a_failure_of_the_attempt_that_succeeded_was_recorded_without_the_lease() {
        let mut sample = good();
        sample.0.ledger.log[1].attempt = 1;
        assert!(i2(&sample).contains("both failed and succeeded"));
    }

    #[test]
    fn failures_are_numbered_without_gaps_and_end_with_the_outcome() {
        let mut sample = good();
        sample.0.ledger.log[0].attempt = 2;
        assert!(i6(&sample).contains("failure 1 is of attempt 2"));
        let mut sample = good();
        sample.0.ledger.log[1].attempt = 3;
        assert!(i6(&sample).contains("succeeded in attempt 3 after 1 failures"));
        let sample = good().written(Table::Failure, "INSERT", 2, 0);
        assert!(i6(&sample).contains("after its outcome"));
        let sample = good().written(Table::Failure, "DELETE", 1, 0);
        assert!(i6(&sample).contains("DELETE of a failure"));
    }

    #[test]
    fn nothing_ends_before_it_is_due_and_nothing_is_written_about_nobody() {
        let mut sample = good();
        sample.0.ledger.jobs[0].run_at_ms = 5_000;
        assert!(i6(&sample).contains("4700 ms before it was due"), "{}", i6(&sample));
        sample.0.ledger.jobs.clear();
        assert!(i6(&sample).contains("does not exist"));
    }

    #[test]
    fn a_transactional_handler_leaves_one_row_if_and_only_if_it_succeeded() {
        let mut sample = good();
        sample.rename("ledger-effect");
        assert!(i6(&sample).contains("left 0 rows"));
        sample.0.ledger.rows = vec!["job-1".to_owned()];
        assert_eq!(i6(&sample), "");
        sample.0.ledger.rows.push("job-1".to_owned());
        assert!(i6(&sample).contains("left 2 rows"));
        sample.0.ledger.rows.pop();
        sample.0.ledger.outcomes.insert("job-1".to_owned(), DEAD);
        assert!(i6(&sample).contains("left 1 rows"));
    }
}
