//! Worker and repair in a world of faults that a seed decides.
//!
//! One run is one seed: a few workers with their repairers, a process that accepts jobs, the stores, and up to a minute
//! of simulated time in which everything goes wrong; then the weather is calm, and everything must come to its end. What
//! runs is the product's own worker and repairer, over the reference ledger of `haul-conformance` and the memory dispatch of
//! `haul-embedded`, or the reference dispatch. Time is tokio's paused clock: it goes on only when nobody has anything to do,
//! so a run takes some milliseconds.
//!
//! **What befalls the world**: calls that fail before or after they take effect, take long, or hang (and take effect in
//! their own time, whatever became of the caller); workers killed, drained, and stopped past their lease and let go on; the
//! dispatch losing everything or going back to an older copy of itself; anybody cut off from either store; jobs cancelled;
//! queues paused; the accepting process killed between its commit and its enqueue, repairers anywhere. Jobs are delayed,
//! retried, deferred, out of time, past their deadline, deaf, and ask for further jobs. Each fault is absent from half of
//! the runs.
//!
//! **What must hold** ([`Run::violations`]): every committed job gets one outcome, and the first stays; failures are numbered
//! without gaps, none comes after the outcome, and none is sent by a worker while another was given the lease (unless the
//! dispatch had lost the lease under it: it cannot know); no attempt starts that the ledger's last answer to its process
//! does not allow, and none twice at a time in one process; no worker ends by itself; no ticket is left over; and all of it
//! soon after the calm.
//!
//! **What is not simulated**: threads (one thread runs everything, in one order per seed), a process stopped between two
//! instructions (it stops between two awaits), clocks that differ, SQL, Lua and the network's bytes, transactional handlers,
//! suspects in processes of their own, the API's group commit. `proof/faults` and the adapters' own tests have those.
//!
//! Schedulers have a world of their own ([`fire`]): each tick has exactly one job, whatever befalls those who fire it.
//!
//! Beside it, `tests/it/model` checks a small model of the same rules in every order of events.
//!
//! **To replay** a run: `HAUL_SIM_SEED=n cargo test -p haul-simulation --test it every_accepted -- --nocapture` prints
//! everything that took effect, in order. `HAUL_SIM_RUNS=n` runs that many seeds. The same seed is the same run, as long as
//! nothing in it draws from anywhere but `dice` and `haul_worker::simulation`, or walks a table by hash: a test compares
//! two runs of each seed. It is not the same run after a change to the code.

mod defects;
mod dice;
mod firing;
mod handler;
mod history;
mod link;
mod plan;
mod producer;
mod stores;
mod world;

pub use defects::Defect;
pub use firing::Fired;
pub use history::Figures;
use std::time::Duration;
use tokio::runtime::Builder;

/// How long everything may take once the weather is calm, until the last job has its outcome. The longest way is that of a
/// receipt whose living owner could not give it up: repair takes it after three minutes.
const SETTLE_MAX: Duration = Duration::from_secs(210);
/// From then on, until no ticket is left.
const EMPTY_MAX: Duration = Duration::from_secs(60);

/// What came of one seed.
#[derive(Debug)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// What it came to.
    pub figures: Figures,
    /// A hash over everything that took effect, and when.
    pub hash: u64,
    /// What was violated, if anything.
    pub violations: Vec<String>,
    /// The last things that took effect.
    pub lines: Vec<String>,
    /// When the last outcome was committed, from when the faults ended.
    pub settled_after: Duration,
}

/// Runs one seed of schedulers, over a sound store or one that takes steps wherever their schedules are.
pub fn fire(seed: u64, is_unguarded: bool) -> Fired {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without any I/O").block_on(firing::run(seed, is_unguarded))
}

/// Runs one seed, over sound stores or over some with a defect.
pub fn run(seed: u64, defect: Option<Defect>) -> Run {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without any I/O").block_on(world::run(seed, defect))
}
