//! What a seed makes of a run: how large its world is, what is asked of it, and what befalls it.

use crate::{dice::Dice, link::Weather};
use haul_core::{JobOptions, RetryPolicy, Span};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Kinds of jobs; every worker handles all of them.
pub(crate) const KINDS: [&str; 2] = ["crate.pack", "label.print"];
/// Queues.
pub(crate) const QUEUES: [&str; 2] = ["default", "urgent"];

/// A run, before it begins.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Over the memory dispatch of the product, or over the reference.
    pub(crate) over_memory: bool,
    pub(crate) workers: usize,
    pub(crate) slots: usize,
    pub(crate) lease: Duration,
    pub(crate) ledger_weather: Weather,
    pub(crate) dispatch_weather: Weather,
    /// In order of time.
    pub(crate) batches: Vec<Batch>,
    /// In order of time.
    pub(crate) events: Vec<(Duration, Event)>,
    /// When every fault ends.
    pub(crate) storm: Duration,
}

/// Jobs that are submitted together.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) at: Duration,
    pub(crate) jobs: Vec<JobPlan>,
}

#[derive(Debug)]
pub(crate) struct JobPlan {
    pub(crate) kind: usize,
    pub(crate) queue: usize,
    pub(crate) priority: u8,
    pub(crate) delay: Duration,
    pub(crate) deadline: Option<Duration>,
    pub(crate) options: JobOptions,
    pub(crate) task: Task,
}

/// What a handler does: a job's payload.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Task {
    /// How long each step takes.
    pub(crate) step_ms: u64,
    pub(crate) steps: u32,
    /// Attempts that fail before one succeeds.
    pub(crate) failures: u32,
    /// Times that it is deferred.
    pub(crate) defers: u32,
    /// Jobs that its success asks for.
    pub(crate) follow_ups: u32,
    /// Whether it ends when it is told to.
    pub(crate) heeds: bool,
}

/// What befalls the world.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    /// kill -9; started again after a while.
    Kill { worker: usize, away: Duration },
    /// SIGSTOP and SIGCONT.
    Stop { worker: usize, length: Duration },
    /// SIGTERM; started again when it has ended.
    Drain { worker: usize },
    /// The dispatch forgets everything.
    LoseDispatch,
    /// The dispatch is replaced by an older copy of itself, where it can be.
    RollBackDispatch,
    /// Nobody, or this worker only, reaches the ledger.
    CutLedger { worker: Option<usize>, length: Duration },
    /// Nobody, or this worker only, reaches the dispatch.
    CutDispatch { worker: Option<usize>, length: Duration },
    /// Some job is cancelled.
    Cancel,
    /// An operator pauses a queue, and resumes it.
    Pause { queue: usize, length: Duration },
    /// The process that accepts jobs dies, and another takes its place.
    KillProducer,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0);
        let storm = dice.ms(8_000..=40_000);
        let lease = dice.ms(2_000..=8_000);
        let workers = dice.pick(&[1, 2, 2, 3]);
        let queues = dice.pick(&[1, 1, 2]);
        let jobs = dice.number(3..=25);
        let mut batches: Vec<Batch> = Vec::new();
        let mut planned = 0;
        while planned < jobs {
            let at = dice.ms(0..=ms(storm) * 3 / 4);
            let count = dice.number(1..=3).min(jobs - planned);
            planned += count;
            batches.push(Batch { at, jobs: (0..count).map(|_| job(&mut dice, lease, queues)).collect() });
        }
        batches.sort_by_key(|batch| batch.at);
        let events = events(&mut dice, workers, queues, lease, storm);
        let over_memory = dice.chance(0.5);
        let slots = dice.pick(&[1, 2, 4]);
        let (ledger_weather, dispatch_weather) = (weather(&mut dice), weather(&mut dice));
        Self { over_memory, workers, slots, lease, ledger_weather, dispatch_weather, batches, events, storm }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn weather(dice: &mut Dice) -> Weather {
    // Each fault is absent from half of the runs: what needs a quiet place elsewhere is found there.
    let mut share = |most: f64| if dice.chance(0.5) { 0.0 } else { most * dice.pick(&[0.1, 0.3, 1.0]) };
    Weather { fails: share(0.3), answer_lost: share(0.2), slow: share(0.3), hangs: share(0.03) }
}

fn job(dice: &mut Dice, lease: Duration, queues: usize) -> JobPlan {
    let max_attempts = dice.pick(&[1, 2, 3, 5, 5]);
    let (base, cap) = (Span::from_ms(300), Span::from_ms(3_000));
    let retry = RetryPolicy { max_attempts, base, cap, ..RetryPolicy::default() };
    let timeout = Span::from_ms(dice.number(2_000..=12_000));
    let steps = dice.pick(&[0, 1, 1, 2, 5]);
    let step_ms = if dice.chance(0.7) { dice.number(0..=200) } else { dice.number(100..=ms(lease)) };
    JobPlan {
        kind: dice.index(KINDS.len()),
        queue: dice.index(queues),
        priority: dice.pick(&[5, 5, 5, 0, 9]),
        delay: if dice.chance(0.3) { dice.ms(1..=15_000) } else { Duration::ZERO },
        deadline: dice.chance(0.1).then(|| dice.ms(500..=20_000)),
        options: JobOptions { retry, timeout, ..JobOptions::default() },
        task: Task {
            step_ms,
            steps,
            failures: if dice.chance(0.3) { dice.pick(&[1, 2, 9]) } else { 0 },
            defers: u32::from(dice.chance(0.1)),
            follow_ups: if dice.chance(0.15) { dice.pick(&[1, 2]) } else { 0 },
            heeds: dice.chance(0.5),
        },
    }
}

fn events(dice: &mut Dice, workers: usize, queues: usize, lease: Duration, storm: Duration) -> Vec<(Duration, Event)> {
    let mut events = Vec::new();
    let mut some = |dice: &mut Dice, most: u64, event: &mut dyn FnMut(&mut Dice) -> Event| {
        if dice.chance(0.5) {
            return;
        }
        for _ in 0..dice.number(1..=most) {
            let at = dice.ms(0..=ms(storm));
            events.push((at, event(dice)));
        }
    };
    some(dice, 4, &mut |dice| Event::Kill { worker: dice.index(workers), away: dice.ms(0..=ms(lease) * 2) });
    some(dice, 4, &mut |dice| Event::Stop { worker: dice.index(workers), length: dice.ms(100..=ms(lease) * 3) });
    some(dice, 2, &mut |dice| Event::Drain { worker: dice.index(workers) });
    some(dice, 2, &mut |_| Event::LoseDispatch);
    some(dice, 2, &mut |_| Event::RollBackDispatch);
    some(dice, 3, &mut |dice| Event::CutLedger { worker: whom(dice, workers), length: dice.ms(100..=10_000) });
    some(dice, 3, &mut |dice| Event::CutDispatch { worker: whom(dice, workers), length: dice.ms(100..=10_000) });
    some(dice, 6, &mut |_| Event::Cancel);
    some(dice, 2, &mut |dice| Event::Pause { queue: dice.index(queues), length: dice.ms(100..=10_000) });
    some(dice, 2, &mut |_| Event::KillProducer);
    events.sort_by_key(|(at, _)| *at);
    events
}

fn whom(dice: &mut Dice, workers: usize) -> Option<usize> {
    dice.chance(0.5).then(|| dice.index(workers))
}
