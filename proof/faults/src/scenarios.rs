//! Every scenario, by what is broken.

mod api;
mod clock;
mod destinations;
mod failover;
mod history;
mod network;
mod party;
mod payments;
mod poison;
mod postgres;
mod redis;
mod rush;
mod scheduler;
mod worker;

use crate::scenario::Scenario;

/// All of them, in the order in which they run.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let groups = [
        worker::all(),
        api::all(),
        redis::all(),
        postgres::all(),
        network::all(),
        party::all(),
        destinations::all(),
        payments::all(),
        clock::all(),
        scheduler::all(),
        rush::all(),
        poison::all(),
        failover::all(),
        history::all(),
    ];
    groups.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_no_run_is_content_with_nothing() {
        let scenarios = all();
        let names: BTreeSet<&str> = scenarios.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), scenarios.len());
        assert!(scenarios.len() >= 25, "{} scenarios", scenarios.len());
        for scenario in &scenarios {
            let demands = scenario.demands;
            assert!(demands.acknowledged_min >= 50 && demands.faults_min >= 1, "{}", scenario.name);
        }
    }
}
