//! Batches: steps that are taken in one transaction, and what becomes of them.

use crate::{meters::Meters, plan::Planned};
use haul_core::{
    Timestamp,
    schedules::{Due, Step, Stepped},
};

/// What became of steps.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    /// Those that this process has taken.
    pub(crate) taken: usize,
    /// Jobs of these.
    pub(crate) fired: usize,
    /// Those that were stale.
    pub(crate) stale: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.taken += other.taken;
        self.fired += other.fired;
        self.stale += other.stale;
    }
}

/// Steps that are taken together, and where they come from.
#[derive(Default)]
pub(crate) struct Batch {
    due: Vec<(Due, usize)>,
    pub(crate) steps: Vec<Step>,
    pub(crate) jobs: usize,
}

/// A batch that was refused, in halves.
pub(crate) enum Halved {
    Two(Batch, Batch),
    One(Due, Step),
}

impl Batch {
    pub(crate) fn push(&mut self, due: Due, planned: Planned) {
        self.jobs += planned.step.jobs.len();
        self.due.push((due, planned.passed));
        self.steps.push(planned.step);
    }

    /// Counts what was taken.
    pub(crate) fn count(&self, answers: &[Stepped], now: Timestamp, then: Timestamp, meters: &Meters) -> Tally {
        let (mut tally, mut passed) = (Tally::default(), 0);
        for ((due, passes), (step, answer)) in self.due.iter().zip(self.steps.iter().zip(answers)) {
            match answer {
                Stepped::Stale => tally.stale += 1,
                Stepped::Done => {
                    tally.taken += 1;
                    tally.fired += step.jobs.len();
                    passed += passes;
                    if !step.jobs.is_empty() {
                        meters.accepted.count(step.jobs.iter().map(|new| (&new.queue, &new.kind)));
                        meters.lag.record(then.max(now).since(due.position.next_at.unwrap_or(now)).as_secs_f64());
                    }
                }
            }
        }
        meters.fired.increment(tally.fired as u64);
        meters.passed.increment(passed as u64);
        meters.stale.increment(tally.stale as u64);
        tally
    }

    /// Two halves, or the only one. Not to be asked of an empty batch.
    pub(crate) fn halved(mut self) -> Halved {
        if self.steps.len() == 1
            && let (Some((due, _)), Some(step)) = (self.due.pop(), self.steps.pop())
        {
            return Halved::One(due, step);
        }
        let middle = self.steps.len() / 2;
        let second = Self { due: self.due.split_off(middle), steps: self.steps.split_off(middle), jobs: 0 };
        Halved::Two(self, second)
    }
}
