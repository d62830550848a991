//! I3: what reached the third party, and what it did there.

use super::{Invariant, Violation};
use crate::evidence::{Evidence, SUCCEEDED, Send, Step};
use std::collections::{BTreeMap, BTreeSet};

/// I3: at most one applied effect per submit; and none of a job that its client never asked for.
#[must_use]
pub fn at_most_one_effect(evidence: &Evidence) -> Vec<Violation> {
    let is_invoke = |step: &Step| matches!(step, Step::Invoke { .. });
    let asked: BTreeSet<&str> =
        evidence.history.iter().filter(|event| is_invoke(&event.step)).map(|event| event.key.as_str()).collect();
    let mut violations = Vec::new();
    for (key, sends) in effects(evidence) {
        let applied: Vec<&str> =
            sends.iter().filter(|send| send.applied).map(|send| send.idempotency_key.as_str()).collect();
        if applied.len() > 1 {
            let how = format!("{key}: applied {} times, under {}", applied.len(), applied.join(" and "));
            violations.push(Violation::new(Invariant::I3, how));
        }
        if !asked.contains(key) {
            violations.push(Violation::new(Invariant::I3, format!("{key}: an effect that nobody asked for")));
        }
    }
    let applied = evidence.sends.iter().filter(|send| send.applied).map(|send| send.key.as_str());
    let applied: BTreeSet<&str> = applied.collect();
    for job in &evidence.ledger.jobs {
        let has_succeeded = evidence.ledger.outcomes.get(&job.id) == Some(&SUCCEEDED);
        // What has no key was not submitted by the load: its effects are elsewhere, and its scenario looks after them.
        let is_effect = matches!(job.kind.as_str(), "effect" | "http.request") && !job.key.is_empty();
        if is_effect && has_succeeded && !applied.contains(job.key.as_str()) {
            violations.push(Violation::new(Invariant::I3, format!("{}: succeeded without its effect", job.key)));
        }
    }
    violations
}

/// How often effects were sent again after their first time. Allowed, as each carries the same idempotency key.
#[must_use]
pub fn duplicate_sends(evidence: &Evidence) -> usize {
    effects(evidence).values().map(|sends| sends.len() - 1).sum()
}

/// How many attempts were begun for each job that was begun at all; none when nothing was.
#[must_use]
pub fn executions_per_job(evidence: &Evidence) -> Option<f64> {
    // What begins an attempt says so; the built-in kinds do not, and are counted by their effects.
    let mut begun: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for send in &evidence.sends {
        begun.entry(&send.key).or_default()[usize::from(send.is_beginning)] += 1;
    }
    let executions: usize = begun.values().map(|[effects, beginnings]| (*effects).max(*beginnings)).sum();
    #[expect(clippy::cast_precision_loss, reason = "a run has some hundred thousand jobs at most")]
    let rate = executions as f64 / begun.len() as f64;
    (!begun.is_empty()).then_some(rate)
}

fn effects(evidence: &Evidence) -> BTreeMap<&str, Vec<&Send>> {
    let mut effects: BTreeMap<&str, Vec<&Send>> = BTreeMap::new();
    for send in evidence.sends.iter().filter(|send| !send.is_beginning) {
        effects.entry(&send.key).or_default().push(send);
    }
    effects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::sample::good;

    #[test]
    fn sending_again_under_the_same_key_is_counted_and_allowed() {
        let sample = good();
        assert_eq!(at_most_one_effect(&sample.0), []);
        assert_eq!(duplicate_sends(&sample.0), 1);
        assert_eq!(executions_per_job(&sample.0), Some(2.0));
    }

    #[test]
    fn a_second_effect_under_another_key_is_one_too_many() {
        let violations = at_most_one_effect(&good().sent("job-1 again", true).0);
        assert_eq!(violations.len(), 1);
        assert!(violations[0].detail.contains("applied 2 times, under job-1 and job-1 again"));
    }

    #[test]
    fn an_effect_of_no_submit_is_one_too_many() {
        let mut sample = good();
        sample.0.history.clear();
        assert!(at_most_one_effect(&sample.0)[0].detail.contains("nobody asked for"));
    }

    #[test]
    fn a_success_without_its_effect_is_a_lie() {
        let mut sample = good();
        sample.0.sends.clear();
        assert!(at_most_one_effect(&sample.0)[0].detail.contains("without its effect"));
        assert_eq!(executions_per_job(&sample.0), None);
    }
}
