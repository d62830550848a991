//! The simulation can fail: over stores that break one promise each, some seed finds it.

use crate::seeds::for_each;
use haul_simulation::{Defect, run};
use parking_lot::Mutex;

/// A defect that is not found within so many seeds is not found.
const SEEDS_MAX: u64 = 400;

/// The first seed that finds the defect, by a violation that names it.
fn is_found(defect: Defect, names_it: &[&str]) {
    let found = Mutex::new(None);
    for_each(0..SEEDS_MAX, |seed| {
        if found.lock().is_some() {
            return Ok(());
        }
        let violations = run(seed, Some(defect)).violations;
        if let Some(violation) = violations.into_iter().find(|text| names_it.iter().any(|name| text.contains(name))) {
            found.lock().get_or_insert((seed, violation));
        }
        Ok(())
    });
    let found = found.into_inner();
    println!("{defect:?}: {found:?}");
    assert!(found.is_some(), "{defect:?} is not found by {SEEDS_MAX} seeds");
}

#[test]
fn a_ledger_that_overwrites_outcomes_is_found() {
    is_found(Defect::OutcomeOverwrites, &["its outcome was"]);
}

#[test]
fn a_claim_that_takes_tickets_away_for_good_is_found() {
    is_found(Defect::DestructivePop, &["nothing leads to"]);
}

#[test]
fn a_repair_that_forgets_delayed_jobs_is_found() {
    is_found(Defect::DelayedForgotten, &["nothing leads to", "has no outcome"]);
}

#[test]
fn a_dispatch_that_extends_leases_for_anybody_is_found() {
    is_found(Defect::AnybodyExtends, &["without its lease"]);
}
