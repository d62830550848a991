//! I8: each tick has exactly one job.
//!
//! Which ticks there are is computed here by looking at every second, without Haul's calendar.

use super::{Invariant, Violation};
use crate::evidence::{Evidence, TickRow, Timetable};
use std::collections::{BTreeMap, BTreeSet};

/// I8: each tick that a schedule was to fire has exactly one job, under its own name; nothing else has, nothing is accepted
/// before its tick, nothing while its schedule is paused.
#[must_use]
pub fn each_tick_once(evidence: &Evidence) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse = |detail: String| violations.push(Violation::new(Invariant::I8, detail));
    let mut fired: BTreeMap<(&str, i64), Vec<&TickRow>> = BTreeMap::new();
    for row in &evidence.ledger.ticks {
        fired.entry((&row.schedule, row.due_s)).or_default().push(row);
        if row.at_ms < row.due_s * 1_000 {
            let early_ms = row.due_s * 1_000 - row.at_ms;
            refuse(format!("{} of {} was fired {early_ms} ms early", row.tick, row.schedule));
        }
        let sleeps = evidence.pauses.iter().filter(|pause| pause.schedule == row.schedule);
        for pause in sleeps.filter(|pause| pause.from_ms < row.at_ms && row.at_ms < pause.to_ms) {
            let pause_ms = row.at_ms - pause.from_ms;
            refuse(format!("{} of {} was fired {pause_ms} ms after its pause", row.tick, row.schedule));
        }
    }
    let mut expected = BTreeSet::new();
    for part in &evidence.timetable {
        for due_s in ticks(part) {
            expected.insert((part.schedule.as_str(), due_s));
            match fired.get(&(part.schedule.as_str(), due_s)).map(Vec::as_slice) {
                None | Some([]) => refuse(format!("second {due_s} of {} has no job", part.schedule)),
                Some([row]) if row.tick.ends_with(part.rule.suffix()) => {}
                Some([row]) => refuse(format!("{} of {} has another's name", row.tick, part.schedule)),
                Some(rows) => {
                    let jobs: Vec<&str> = rows.iter().map(|row| row.job.as_str()).collect();
                    refuse(format!(
                        "{} of {} has {} jobs: {}",
                        rows[0].tick,
                        part.schedule,
                        rows.len(),
                        jobs.join(", ")
                    ));
                }
            }
        }
    }
    for ((schedule, due_s), rows) in fired.iter().filter(|(tick, _)| !expected.contains(tick)) {
        refuse(format!("{schedule} fired {} (second {due_s}), which is no tick of it", rows[0].tick));
    }
    violations
}

/// The ticks of a part of a timetable, in seconds since 1970.
fn ticks(part: &Timetable) -> impl Iterator<Item = i64> {
    (part.after_s + 1..=part.through_s).filter(|second| part.rule.fires_at(*second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Pause, Rule};

    /// Ticks at 60, 64, 68 by an interval of 4 s, then at 75 and 80 by an expression, each with its job.
    fn good() -> Evidence {
        let part = |rule, after_s, through_s| Timetable { schedule: "s".to_owned(), rule, after_s, through_s };
        let timetable = vec![part(Rule::Every(4), 59, 70), part(Rule::Seconds(vec![15, 20]), 71, 85)];
        let mut evidence = Evidence { timetable, ..Evidence::default() };
        for (due_s, zone) in [(60, "Z"), (64, "Z"), (68, "Z"), (75, "[UTC]"), (80, "[UTC]")] {
            evidence.ledger.ticks.push(TickRow {
                schedule: "s".to_owned(),
                tick: format!("1970-01-01T00:01:{:02}{zone}", due_s - 60),
                due_s,
                job: format!("job-{due_s}"),
                at_ms: due_s * 1_000 + 5,
            });
        }
        evidence
    }

    fn said(evidence: &Evidence) -> String {
        each_tick_once(evidence).into_iter().map(|violation| violation.detail + "\n").collect()
    }

    #[test]
    fn a_good_timetable_has_no_fault() {
        assert_eq!(said(&good()), "");
    }

    #[test]
    fn a_tick_with_two_jobs_is_seen() {
        let mut evidence = good();
        let twice = TickRow { job: "other".to_owned(), at_ms: 90_000, ..evidence.ledger.ticks[1].clone() };
        evidence.ledger.ticks.push(twice);
        assert_eq!(said(&evidence), "1970-01-01T00:01:04Z of s has 2 jobs: job-64, other\n");
    }

    #[test]
    fn a_tick_without_a_job_is_seen() {
        let mut evidence = good();
        evidence.ledger.ticks.remove(2);
        assert_eq!(said(&evidence), "second 68 of s has no job\n");
    }

    #[test]
    fn what_is_no_tick_is_seen_also_when_it_was_one_by_an_earlier_definition() {
        let mut evidence = good();
        let old = TickRow { due_s: 76, at_ms: 76_000, ..evidence.ledger.ticks[0].clone() };
        evidence.ledger.ticks.push(old);
        assert!(said(&evidence).contains("(second 76), which is no tick of it"));
    }

    #[test]
    fn a_tick_that_comes_early_or_during_a_pause_or_under_another_name_is_seen() {
        let mut evidence = good();
        evidence.ledger.ticks[0].at_ms = 59_999;
        assert!(said(&evidence).contains("was fired 1 ms early"));
        let mut evidence = good();
        evidence.pauses = vec![Pause { schedule: "s".to_owned(), from_ms: 64_000, to_ms: 64_010 }];
        assert!(said(&evidence).contains("was fired 5 ms after its pause"));
        let mut evidence = good();
        evidence.ledger.ticks[3].tick = "1970-01-01T00:01:15Z".to_owned();
        assert!(said(&evidence).contains("has another's name"));
    }
}
