//! Random sequences of calls, shrunk when one of them is answered wrongly.

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngSeed, TestError, TestRunner},
};
use std::{cell::Cell, fmt::Debug};
use tokio::{runtime::Handle, task::block_in_place};

/// How many sequences are tried: each takes a fresh adapter.
const CASES: u32 = 24;
/// How many shorter sequences are tried once one has failed.
const SHRINKS_MAX: u32 = 200;

/// Tries random values; `check` panics when one is answered wrongly. A run is repeated with the variable
/// `PROPTEST_RNG_SEED` set to the seed that the failure tells, a longer one is had with `PROPTEST_CASES`.
///
/// # Panics
/// With the shortest value found that fails, why it does, and the seed.
pub(crate) fn check_all<V: Debug>(strategy: impl Strategy<Value = V>, check: impl AsyncFn(V)) {
    let told = Config::default();
    let seed = match told.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => rand::random(),
    };
    // What the environment says of the cases counts; proptest's own default is for functions that cost nothing.
    let cases = if told.cases == DEFAULT_CASES { CASES } else { told.cases };
    let config = Config {
        cases,
        max_shrink_iters: SHRINKS_MAX,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..told
    };
    let tried = Cell::new(0);
    let result = block_in_place(|| {
        TestRunner::new(config).run(&strategy, |value| {
            tried.set(tried.get() + 1);
            Handle::current().block_on(check(value));
            Ok(())
        })
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, value)) => {
            panic!("{why}\nafter {value:#?}\nwith PROPTEST_RNG_SEED={seed}, shrunk in {} tries", tried.get())
        }
        Err(TestError::Abort(why)) => panic!("no sequence could be made: {why}"),
    }
}

/// What proptest tries when nothing is told.
const DEFAULT_CASES: u32 = 256;
