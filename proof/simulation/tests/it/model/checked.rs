//! The sound rules hold in every order of events; each broken one fails, and by what names it.

use super::{End, Luck, Platform, Rules, Step, properties};
use stateright::{Checker, HasDiscoveries, Model};
use std::thread;

const FEW: Luck = Luck { kills: 1, expiries: 1, losses: 0, lost_enqueues: 0, cancels: 1 };

fn platform(rules: Rules, luck: Luck) -> Platform {
    Platform { rules, luck, may_fail: true, has_poison: false }
}

fn check(platform: Platform, until: HasDiscoveries) -> impl Checker<Platform> {
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let what = format!("{platform:?}");
    let checker = platform.checker().threads(threads).finish_when(until).spawn_bfs().join();
    println!("{} states, {} deep: {what}", checker.unique_state_count(), checker.max_depth());
    checker
}

#[test]
fn nothing_is_lost_and_nothing_changes_when_a_worker_dies_and_a_lease_runs_out() {
    check(platform(Rules::Sound, FEW), HasDiscoveries::All).assert_properties();
}

#[test]
fn nothing_is_lost_when_the_dispatch_and_an_enqueue_are() {
    let luck = Luck { kills: 1, expiries: 0, losses: 1, lost_enqueues: 1, cancels: 1 };
    let checker = check(Platform { may_fail: false, ..platform(Rules::Sound, luck) }, HasDiscoveries::All);
    for property in [properties::OUTCOME_STAYS, properties::FAILURES_ARE_LEASED, properties::IS_REACHABLE] {
        checker.assert_no_discovery(property);
    }
    checker.assert_no_discovery(properties::ENDS);
}

#[test]
fn a_poison_job_dies_and_its_neighbour_is_never_blamed() {
    let luck = Luck { kills: 1, expiries: 1, losses: 0, lost_enqueues: 0, cancels: 0 };
    let checker =
        check(Platform { may_fail: false, has_poison: true, ..platform(Rules::Sound, luck) }, HasDiscoveries::All);
    checker.assert_no_discovery(properties::INNOCENT);
    checker.assert_no_discovery(properties::IS_REACHABLE);
    checker.assert_no_discovery(properties::ENDS);
    checker.assert_any_discovery("a dead job");
}

/// The broken rules fail this property, on a way that has all of these steps.
fn fails(platform: Platform, property: &'static str, steps: &[fn(&Step) -> bool]) {
    let checker = check(platform, HasDiscoveries::AllOf([property].into()));
    let way = checker.assert_any_discovery(property).into_actions();
    println!("{way:?}");
    assert!(steps.iter().all(|is_it| way.iter().any(is_it)), "{way:?}");
}

#[test]
fn outcomes_that_overwrite_are_found() {
    let is_record: fn(&Step) -> bool = |step| matches!(step, Step::Record(..));
    fails(platform(Rules::OutcomeOverwrites, FEW), properties::OUTCOME_STAYS, &[is_record]);
}

#[test]
fn failures_without_a_lease_are_found() {
    let [is_expiry, is_failure]: [fn(&Step) -> bool; 2] =
        [|step| matches!(step, Step::Expire(_)), |step| matches!(step, Step::End(.., End::Failure))];
    fails(platform(Rules::FailureWithoutLease, FEW), properties::FAILURES_ARE_LEASED, &[is_expiry, is_failure]);
}

#[test]
fn tickets_taken_away_for_good_without_repair_are_found() {
    let platform = Platform { may_fail: false, ..platform(Rules::DestructivePop, FEW) };
    let is_kill: fn(&Step) -> bool = |step| matches!(step, Step::Kill(_));
    fails(platform.clone(), properties::ENDS, &[is_kill]);
    let is_claim: fn(&Step) -> bool = |step| matches!(step, Step::Claim(..));
    fails(platform, properties::IS_REACHABLE, &[is_claim]);
}

#[test]
fn expiries_counted_as_crashes_are_found() {
    let is_expiry: fn(&Step) -> bool = |step| matches!(step, Step::Expire(_));
    fails(platform(Rules::ExpiryIsACrash, FEW), properties::INNOCENT, &[is_expiry]);
}
