//! Which seeds are run, on every core.

use haul_simulation::Run;
use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// Lines shown of a run that fails.
const LINES_SHOWN: usize = 60;

/// The one seed to run, if `HAUL_SIM_SEED` names one.
pub(crate) fn asked_for() -> Option<u64> {
    variable("HAUL_SIM_SEED")
}

/// How many seeds to run: `HAUL_SIM_RUNS`, or so many.
pub(crate) fn runs(usual: u64) -> u64 {
    variable("HAUL_SIM_RUNS").unwrap_or(usual)
}

#[expect(clippy::disallowed_methods, reason = "the settings of a test, not of the product")]
fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is not a number")))
}

/// Runs every seed, one thread per core, up to the first error; panics with it.
pub(crate) fn for_each(seeds: Range<u64>, check: impl Fn(u64) -> Result<(), String> + Sync) {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return Ok(());
            }
            if let Err(error) = check(seed) {
                next.store(seeds.end, Ordering::Relaxed);
                return Err(error);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let errors: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("a run panicked").err()).collect()
    });
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

/// What to say of a run that violated something.
pub(crate) fn first_violation(run: &Run) -> Result<(), String> {
    if run.violations.is_empty() {
        return Ok(());
    }
    let tail = run.lines.len().saturating_sub(LINES_SHOWN);
    let (seed, lines, violations) = (run.seed, run.lines[tail..].join("\n"), run.violations.join("\n"));
    Err(format!("{lines}\nseed {seed} (replay it: HAUL_SIM_SEED={seed} cargo test -p haul-simulation):\n{violations}"))
}
