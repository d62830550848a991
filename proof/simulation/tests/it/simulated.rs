//! Seed after seed, over sound stores: nothing may be violated.

use crate::seeds::{asked_for, first_violation, for_each, runs};
use haul_simulation::{Figures, run};
use parking_lot::Mutex;
use std::time::Instant;

/// Runs of a plain `cargo test`: well under a minute on two cores, unoptimised.
const RUNS: u64 = 600;

#[test]
fn every_accepted_job_ends_once_whatever_befalls_the_world() {
    if let Some(seed) = asked_for() {
        let run = run(seed, None);
        println!("{}", run.lines.join("\n"));
        println!(
            "seed {seed}: {:?}, settled {:?} after the calm, hash {:016x}",
            run.figures, run.settled_after, run.hash
        );
        assert!(run.violations.is_empty(), "seed {seed}: {:#?}", run.violations);
        return;
    }
    let (began, runs) = (Instant::now(), runs(RUNS));
    let (total, slowest) = (Mutex::new(Figures::default()), Mutex::new((std::time::Duration::ZERO, 0)));
    for_each(0..runs, |seed| {
        let run = run(seed, None);
        total.lock().add(&run.figures);
        let mut slowest = slowest.lock();
        *slowest = (*slowest).max((run.settled_after, seed));
        drop(slowest);
        first_violation(&run)
    });
    println!("{runs} runs in {:?}: {:?}, slowest {:?}", began.elapsed(), total.lock(), slowest.lock());
}

#[test]
fn the_same_seed_is_the_same_run() {
    for_each(0..40, |seed| {
        let (first, second) = (run(seed, None), run(seed, None));
        if first.hash == second.hash {
            return Ok(());
        }
        let differs = first.lines.iter().zip(&second.lines).position(|(one, other)| one != other);
        let at = differs.unwrap_or_default();
        let around = |lines: &[String]| lines[at.saturating_sub(5)..lines.len().min(at + 3)].join("\n");
        Err(format!("seed {seed} ran in two ways:\n{}\n--\n{}", around(&first.lines), around(&second.lines)))
    });
}
