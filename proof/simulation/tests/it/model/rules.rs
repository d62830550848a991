//! What each step does, and when it is possible. Every step uses something up, so that every way has an end.

use super::{
    ATTEMPTS_MAX, CRASHES_MAX, End, JOBS, Job, Outcome, Platform, Rules, Run, Stage, State, Step, Ticket, WORKERS,
};

/// Every step that there is.
pub(super) fn candidates() -> Vec<Step> {
    let mut steps = vec![Step::Lose, Step::Rebuild];
    for job in 0..JOBS {
        steps.extend([Step::Enqueue(job), Step::LoseEnqueue(job), Step::SweepReceipt(job)]);
        steps.extend([Step::Expire(job), Step::Cancel(job)]);
        for worker in 0..WORKERS {
            steps.extend([Step::Claim(worker, job), Step::Load(worker, job), Step::Poison(worker, job)]);
            steps.extend([End::Success, End::Failure, End::Crash].map(|end| Step::End(worker, job, end)));
            steps.extend([Step::Record(worker, job), Step::Settle(worker, job), Step::LetGo(worker, job)]);
            steps.push(Step::Reassert(worker, job));
        }
    }
    steps.extend((0..WORKERS).map(Step::Kill));
    steps
}

/// The state after the step; `None` when it is not possible.
pub(super) fn next(platform: &Platform, state: &State, step: Step) -> Option<State> {
    let mut next = state.clone();
    next.take(platform, step)?;
    next.forget();
    Some(next)
}

impl State {
    /// Makes one of states that differ in nothing that matters any more: workers are interchangeable, and so are tokens
    /// that nobody holds and failures of a job that has ended.
    fn forget(&mut self) {
        self.runs.sort_unstable();
        for (at, job) in self.jobs.iter_mut().enumerate() {
            let is_idle = self.runs.iter().all(|runs| runs[at].is_none());
            if is_idle && !matches!(job.ticket, Ticket::Leased { .. }) {
                job.token = 0;
                if job.outcome.is_some() {
                    job.failures = 0;
                }
            }
        }
    }

    fn take(&mut self, platform: &Platform, step: Step) -> Option<()> {
        match step {
            Step::Enqueue(job) => self.enqueue(job),
            Step::LoseEnqueue(job) => self.lose_enqueue(job),
            Step::SweepReceipt(job) => self.sweep_receipt(platform, job),
            Step::Claim(worker, job) => self.claim(platform, worker, job),
            Step::Load(worker, job) => self.load(worker, job),
            Step::End(worker, job, end) => self.end(platform, worker, job, end),
            Step::Poison(worker, job) => self.poison(platform, worker, job),
            Step::Record(worker, job) => self.record(platform, worker, job),
            Step::Settle(worker, job) => self.settle(worker, job),
            Step::LetGo(worker, job) => self.let_go(worker, job),
            Step::Kill(worker) => {
                self.luck.kills = self.luck.kills.checked_sub(1)?;
                self.die(worker)
            }
            Step::Expire(job) => self.expire(platform, job),
            Step::Lose => self.lose(),
            Step::Reassert(worker, job) => self.reassert(worker, job),
            Step::Rebuild => self.rebuild(platform),
            Step::Cancel(job) => self.cancel(job),
        }
    }

    /// The ticket arrives. The receipt goes in the same breath, a minute sooner than in the product.
    fn enqueue(&mut self, job: usize) -> Option<()> {
        let job = &mut self.jobs[job];
        job.has_receipt = false;
        std::mem::take(&mut job.is_on_its_way).then(|| job.add_ticket())
    }

    fn lose_enqueue(&mut self, job: usize) -> Option<()> {
        self.luck.lost_enqueues = self.luck.lost_enqueues.checked_sub(1)?;
        let job = &mut self.jobs[job];
        // Its process died: nobody drops the receipt but repair.
        std::mem::take(&mut job.is_on_its_way).then_some(())
    }

    fn sweep_receipt(&mut self, platform: &Platform, job: usize) -> Option<()> {
        let job = &mut self.jobs[job];
        let is_left = job.has_receipt && !job.is_on_its_way && platform.rules != Rules::DestructivePop;
        job.has_receipt = false;
        if job.outcome.is_none() {
            job.add_ticket();
        }
        is_left.then_some(())
    }

    fn claim(&mut self, platform: &Platform, worker: usize, job: usize) -> Option<()> {
        let is_alone = match self.jobs[job].ticket {
            Ticket::Ready { is_suspect } if !self.is_lost => is_suspect || self.jobs[job].crashes > 0,
            _ => return None,
        };
        if self.runs[worker][job].is_some() {
            return None;
        }
        let job_state = &mut self.jobs[job];
        job_state.token += 1;
        let token = job_state.token;
        job_state.ticket = match platform.rules {
            Rules::DestructivePop => Ticket::None,
            _ => Ticket::Leased { token },
        };
        self.runs[worker][job] = Some(Run { token, is_alone, stage: Stage::Claimed });
        Some(())
    }

    fn load(&mut self, worker: usize, job: usize) -> Option<()> {
        let (has_outcome, attempt) = (self.jobs[job].outcome.is_some(), self.jobs[job].failures + 1);
        let run = self.run(worker, job, |stage| stage == Stage::Claimed)?;
        run.stage = if has_outcome { Stage::Recorded { is_settled: true } } else { Stage::Running { attempt } };
        Some(())
    }

    fn end(&mut self, platform: &Platform, worker: usize, job: usize, end: End) -> Option<()> {
        let is_poison = platform.is_poison(job);
        let run = self.run(worker, job, |stage| matches!(stage, Stage::Running { .. }))?;
        let is_possible = match end {
            End::Success => !is_poison,
            End::Failure => platform.may_fail && job == 0,
            // Only a parent that sees its child die knows of a crash.
            End::Crash => is_poison && run.is_alone,
        };
        let Stage::Running { attempt } = run.stage else { return None };
        run.stage = Stage::Ended { attempt, end };
        is_possible.then_some(())
    }

    fn poison(&mut self, platform: &Platform, worker: usize, job: usize) -> Option<()> {
        let run = self.run(worker, job, |stage| matches!(stage, Stage::Running { .. }))?;
        if run.is_alone || !platform.is_poison(job) {
            return None;
        }
        self.die(worker)
    }

    fn record(&mut self, platform: &Platform, worker: usize, job: usize) -> Option<()> {
        let is_lost = self.is_lost;
        let run = self.run(worker, job, |stage| matches!(stage, Stage::Ended { .. }))?;
        let Stage::Ended { attempt, end } = run.stage else { return None };
        let token = run.token;
        let job_state = &mut self.jobs[job];
        // A lease that a lost dispatch does not know is taken up again.
        let is_held = match job_state.ticket {
            Ticket::Leased { token: held } => held == token,
            Ticket::None => is_lost || platform.rules == Rules::DestructivePop,
            Ticket::Ready { .. } => false,
        };
        if end != End::Success && !is_held && platform.rules != Rules::FailureWithoutLease {
            self.runs[worker][job] = None;
            return Some(());
        }
        let is_final = job_state.write(platform, attempt, end, is_held);
        self.run(worker, job, |_| true)?.stage = Stage::Recorded { is_settled: is_final };
        Some(())
    }

    fn settle(&mut self, worker: usize, job: usize) -> Option<()> {
        let run = self.runs[worker][job].take()?;
        let Stage::Recorded { is_settled } = run.stage else { return None };
        let job = &mut self.jobs[job];
        let is_held = job.ticket == Ticket::Leased { token: run.token };
        match (is_held, is_settled) {
            (true, true) => job.ticket = Ticket::None,
            (true, false) => job.ticket = Ticket::Ready { is_suspect: false },
            (false, _) => {}
        }
        Some(())
    }

    fn let_go(&mut self, worker: usize, job: usize) -> Option<()> {
        let is_lost = self.is_lost;
        let has_outcome = self.jobs[job].outcome.is_some();
        let ticket = self.jobs[job].ticket;
        let run = self.run(worker, job, |stage| matches!(stage, Stage::Running { .. }))?;
        let is_another_s = match ticket {
            Ticket::Leased { token } => token != run.token,
            Ticket::Ready { .. } => !is_lost,
            Ticket::None => false,
        };
        if has_outcome {
            run.stage = Stage::Recorded { is_settled: true };
            return Some(());
        }
        self.runs[worker][job] = None;
        is_another_s.then_some(())
    }

    fn die(&mut self, worker: usize) -> Option<()> {
        let was_at_it = self.runs[worker].iter().any(Option::is_some);
        self.runs[worker] = Default::default();
        was_at_it.then_some(())
    }

    /// A lease runs out by itself when nobody is there to extend it; under a living holder only by misfortune.
    fn expire(&mut self, platform: &Platform, job: usize) -> Option<()> {
        let Ticket::Leased { token } = self.jobs[job].ticket else { return None };
        let is_held = self.runs.iter().any(|runs| runs[job].is_some_and(|run| run.token == token));
        if is_held {
            self.luck.expiries = self.luck.expiries.checked_sub(1)?;
        }
        let job = &mut self.jobs[job];
        job.ticket = Ticket::Ready { is_suspect: true };
        if platform.rules == Rules::ExpiryIsACrash && job.outcome.is_none() {
            job.crashes += 1;
            if job.crashes >= CRASHES_MAX {
                job.conclude(platform, Outcome::Dead);
            }
        }
        Some(())
    }

    fn lose(&mut self) -> Option<()> {
        self.luck.losses = self.luck.losses.checked_sub(1)?;
        self.is_lost = true;
        self.jobs.iter_mut().for_each(|job| job.ticket = Ticket::None);
        Some(())
    }

    fn reassert(&mut self, worker: usize, job: usize) -> Option<()> {
        let (is_lost, run) = (self.is_lost, self.runs[worker][job]?);
        let job = &mut self.jobs[job];
        let is_free = job.ticket == Ticket::None;
        job.ticket = Ticket::Leased { token: run.token };
        (is_lost && is_free).then_some(())
    }

    fn rebuild(&mut self, platform: &Platform) -> Option<()> {
        let is_possible = std::mem::take(&mut self.is_lost) && platform.rules != Rules::DestructivePop;
        let unsettled = self.jobs.iter_mut().filter(|job| job.outcome.is_none());
        unsettled.for_each(Job::add_ticket);
        is_possible.then_some(())
    }

    fn cancel(&mut self, job: usize) -> Option<()> {
        self.luck.cancels = self.luck.cancels.checked_sub(1)?;
        let job = &mut self.jobs[job];
        if job.outcome.is_some() {
            return None;
        }
        job.outcome = Some(Outcome::Cancelled);
        job.first_outcome = job.outcome;
        // The ticket is removed as far as that is cheap; here it is left to cost a read.
        Some(())
    }

    fn run(&mut self, worker: usize, job: usize, is_at: impl Fn(Stage) -> bool) -> Option<&mut Run> {
        self.runs[worker][job].as_mut().filter(|run| is_at(run.stage))
    }
}

impl Job {
    /// A second ticket of what waits, or of what is leased, is none.
    fn add_ticket(&mut self) {
        if self.ticket == Ticket::None {
            self.ticket = Ticket::Ready { is_suspect: false };
        }
    }

    /// Writes how an attempt ended. Says whether the ticket is done with.
    fn write(&mut self, platform: &Platform, attempt: u8, end: End, is_held: bool) -> bool {
        let is_open = self.outcome.is_none();
        match end {
            End::Success => {
                self.conclude(platform, Outcome::Succeeded);
                return true;
            }
            End::Failure | End::Crash => {}
        }
        // Once per attempt, and only while there is no outcome.
        if !is_open || attempt <= self.failures {
            return self.outcome.is_some();
        }
        self.failed_unleased |= !is_held;
        self.crashes += u8::from(end == End::Crash);
        if attempt >= ATTEMPTS_MAX || self.crashes >= CRASHES_MAX {
            self.conclude(platform, Outcome::Dead);
            return true;
        }
        self.failures += 1;
        false
    }

    fn conclude(&mut self, platform: &Platform, outcome: Outcome) {
        if self.outcome.is_none() || platform.rules == Rules::OutcomeOverwrites {
            self.outcome = Some(outcome);
        }
        self.first_outcome = self.first_outcome.or(self.outcome);
    }
}

impl Platform {
    pub(super) fn is_poison(&self, job: usize) -> bool {
        self.has_poison && job + 1 == JOBS
    }
}
