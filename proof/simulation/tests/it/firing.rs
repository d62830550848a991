//! Schedulers, seed after seed: each tick has exactly one job.

use crate::seeds::{asked_for, for_each, runs};
use haul_simulation::fire;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs of a plain `cargo test`.
const RUNS: u64 = 40;
/// Seeds within which a store without the guard has to be found out.
const UNGUARDED_RUNS: u64 = 3;

#[test]
fn each_tick_has_one_job_whatever_befalls_the_schedulers() {
    let seeds = asked_for().map_or(0..runs(RUNS), |seed| seed..seed + 1);
    let (count, ticks) = (seeds.end - seeds.start, AtomicUsize::new(0));
    for_each(seeds, |seed| {
        let fired = fire(seed, false);
        ticks.fetch_add(fired.ticks, Ordering::Relaxed);
        let shown: Vec<String> = fired.violations.into_iter().take(5).collect();
        if shown.is_empty() { Ok(()) } else { Err(format!("seed {seed}:\n{}", shown.join("\n"))) }
    });
    let ticks = ticks.into_inner();
    println!("{count} runs, {ticks} ticks");
    assert!(ticks as u64 > count * 100, "only {ticks} ticks in {count} runs");
}

#[test]
fn a_store_without_the_guard_is_found_out() {
    for_each(0..UNGUARDED_RUNS, |seed| {
        let fired = fire(seed, true);
        let is_found = fired.violations.iter().any(|violation| violation.contains("has 2 jobs"));
        if is_found { Ok(()) } else { Err(format!("seed {seed}: {:?}", fired.violations)) }
    });
}
