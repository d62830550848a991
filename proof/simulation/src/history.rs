//! What really took effect, in order: the witness at the stores' end of every way.
//!
//! It checks at once what must hold at every moment, and keeps a hash over everything, so that two runs of one seed can
//! be compared. Jobs are numbered in the order in which they were first seen: their ids differ from run to run.

use haul_core::{
    Clock, FinalState, JobId, ProcessId,
    dispatch::{Claimed, LeaseToken, Next, Settlement},
    ledger::{Entry, Loaded, Record, Recorded},
    outcome::JobRecord,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    hash::{DefaultHasher, Hasher},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Lines kept of a run, for the one that fails.
const LINES_KEPT: usize = 4_000;

/// Everything that took effect in one run.
pub(crate) struct History {
    began: Instant,
    clock: Arc<Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    names: BTreeMap<ProcessId, String>,
    numbers: BTreeMap<JobId, usize>,
    jobs: BTreeMap<JobId, Story>,
    hasher: DefaultHasher,
    lines: VecDeque<String>,
    violations: Vec<String>,
    figures: Figures,
}

/// What is known of one job.
#[derive(Default)]
struct Story {
    /// Tickets of jobs that the ledger does not have are harmless: they may come from a lost answer.
    is_committed: bool,
    is_acknowledged: bool,
    /// The outcome that was seen first, and when.
    outcome: Option<(FinalState, u32, Instant)>,
    failures: usize,
    /// Who was given its lease last, as far as the dispatch has not lost it since.
    holder: Option<Holder>,
    /// Those whose leases the dispatch lost: they cannot know.
    bereft: BTreeSet<ProcessId>,
    /// What each process last read about it: whether it had an outcome, and its failures.
    read: BTreeMap<ProcessId, (bool, u32)>,
    running: BTreeSet<ProcessId>,
    defers: u32,
}

#[derive(Clone, Copy)]
struct Holder {
    process: ProcessId,
    token: LeaseToken,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Jobs that were committed.
    pub jobs: usize,
    /// Jobs whose submitter was told so.
    pub acknowledged: usize,
    /// Attempts that started.
    pub attempts: usize,
    /// Handlers that got as far as their effect.
    pub effects: usize,
    /// Failures that were committed.
    pub failures: usize,
    /// Records that came too late.
    pub stale: usize,
    /// Leases that were taken over from another process.
    pub taken_over: usize,
    /// Jobs that ended `cancelled`.
    pub cancelled: usize,
    /// Jobs that ended `dead`.
    pub dead: usize,
}

impl Figures {
    /// Takes over those of another run.
    pub fn add(&mut self, other: &Self) {
        let Self { jobs, acknowledged, attempts, effects, failures, stale, taken_over, cancelled, dead } = other;
        self.jobs += jobs;
        self.acknowledged += acknowledged;
        self.attempts += attempts;
        self.effects += effects;
        self.failures += failures;
        self.stale += stale;
        self.taken_over += taken_over;
        self.cancelled += cancelled;
        self.dead += dead;
    }
}

impl History {
    pub(crate) fn new(clock: Arc<Clock>) -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), clock, state: Mutex::default() })
    }

    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// Gives a process its name in the lines.
    pub(crate) fn name(&self, process: ProcessId, name: String) {
        self.state.lock().names.insert(process, name);
    }

    /// Something of the world itself.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let now = self.now_ms();
        self.state.lock().line(now, what);
    }

    /// What must never be.
    pub(crate) fn violated(&self, what: String) {
        let now = self.now_ms();
        self.state.lock().violated(now, what);
    }

    pub(crate) fn has_violations(&self) -> bool {
        !self.state.lock().violations.is_empty()
    }

    pub(crate) fn number(&self, job: JobId) -> usize {
        self.state.lock().number(job)
    }

    /// Every committed job, without those that have an outcome when `open` is set.
    pub(crate) fn jobs(&self, open: bool) -> Vec<JobId> {
        let state = self.state.lock();
        let committed = state.jobs.iter().filter(|(_, story)| story.is_committed);
        let wanted = committed.filter(|(_, story)| !open || story.outcome.is_none());
        wanted.map(|(id, _)| *id).collect()
    }

    /// When the last outcome was committed.
    pub(crate) fn last_outcome(&self) -> Option<Instant> {
        let state = self.state.lock();
        state.jobs.values().filter_map(|story| story.outcome.map(|(_, _, at)| at)).max()
    }

    pub(crate) fn is_acknowledged(&self, job: JobId) -> bool {
        self.state.lock().jobs.get(&job).is_some_and(|story| story.is_acknowledged)
    }

    /// The end of a run: what it came to, the hash over it, and what was violated, with the last lines.
    pub(crate) fn close(&self) -> (Figures, u64, Vec<String>, Vec<String>) {
        let mut state = self.state.lock();
        let acknowledged = state.jobs.values().filter(|story| story.is_acknowledged).count();
        let jobs = state.jobs.values().filter(|story| story.is_committed).count();
        let figures = Figures { jobs, acknowledged, ..state.figures };
        let (violations, lines) = (std::mem::take(&mut state.violations), std::mem::take(&mut state.lines));
        (figures, state.hasher.finish(), violations, lines.into())
    }

    fn now_ms(&self) -> u128 {
        self.began.elapsed().as_millis()
    }

    // What the ledger did.

    pub(crate) fn committed(&self, by: ProcessId, jobs: impl IntoIterator<Item = JobId>) {
        let now = self.now_ms();
        let mut state = self.state.lock();
        for job in jobs {
            if !std::mem::replace(&mut state.story(job).is_committed, true) {
                state.told(now, by, "accepts", job, format_args!(""));
            }
        }
    }

    pub(crate) fn acknowledged(&self, job: JobId) {
        if let Some(story) = self.state.lock().jobs.get_mut(&job) {
            story.is_acknowledged = true;
        }
    }

    pub(crate) fn loaded(&self, by: ProcessId, loaded: &[Loaded]) {
        let now = self.now_ms();
        let mut state = self.state.lock();
        for Loaded { job, failures, outcome, .. } in loaded {
            state.told(now, by, "loads", job.id, format_args!(" ({failures} failures, {outcome:?})"));
            state.story(job.id).read.insert(by, (outcome.is_some(), *failures));
        }
    }

    /// A record leaves its process: whoever was told that the lease is another's must not say that the attempt failed.
    pub(crate) fn sends(&self, by: ProcessId, records: &[Record]) {
        let now = self.now_ms();
        let mut state = self.state.lock();
        for record in records {
            let what = match record.entry {
                Entry::Succeeded(_) => "success",
                Entry::Dead(_) => "death",
                Entry::Failed(..) => "failure",
                Entry::Crashed(..) => "crash",
            };
            state.told(now, by, "sends", record.job, format_args!(" {what} of attempt {}", record.attempt));
            if matches!(record.entry, Entry::Succeeded(_)) {
                continue;
            }
            let story = state.story(record.job);
            let held_by_other = story.holder.is_some_and(|holder| holder.process != by);
            if held_by_other && !story.bereft.contains(&by) {
                let (who, number) = (state.who(by), state.number(record.job));
                let text = format!("{who} records a {what} of job {number} without its lease");
                state.violated(now, text);
            }
        }
    }

    pub(crate) fn recorded(&self, by: ProcessId, records: &[Record], answers: &[Recorded]) {
        let now = self.now_ms();
        let mut state = self.state.lock();
        for (record, answer) in records.iter().zip(answers) {
            state.told(now, by, "records", record.job, format_args!(" attempt {}: {answer:?}", record.attempt));
            match answer {
                Recorded::Stale => state.figures.stale += 1,
                Recorded::Committed if matches!(record.entry, Entry::Failed(..)) => state.figures.failures += 1,
                Recorded::Committed => {}
            }
        }
    }

    /// The truth about a job, after something may have changed it.
    pub(crate) fn look(&self, truth: &JobRecord) {
        let now = self.now_ms();
        let mut state = self.state.lock();
        let id = truth.job.id;
        let number = state.number(id);
        let attempts: Vec<u32> = truth.failures.iter().map(|failure| failure.attempt).collect();
        if attempts.iter().zip(1..).any(|(attempt, expected)| *attempt != expected) {
            state.violated(now, format!("job {number}: its failed attempts are numbered {attempts:?}"));
        }
        let seen = truth.outcome.as_ref().map(|outcome| (outcome.state, outcome.attempt));
        let story = state.story(id);
        let failures_before = std::mem::replace(&mut story.failures, attempts.len());
        let settled_before = story.outcome;
        match (settled_before, seen) {
            (None, Some((outcome, attempt))) => {
                story.outcome = Some((outcome, attempt, Instant::now()));
                match outcome {
                    FinalState::Cancelled => state.figures.cancelled += 1,
                    FinalState::Dead => state.figures.dead += 1,
                    FinalState::Succeeded => {}
                }
                state.line(now, format_args!("job {number} is {} by attempt {attempt}", outcome.as_str()));
                let failures = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
                let fits = match outcome {
                    FinalState::Succeeded => (1..=failures + 1).contains(&attempt),
                    FinalState::Dead | FinalState::Cancelled => attempt <= failures + 1,
                };
                if !fits {
                    let text = format!("job {number}: {outcome:?} by attempt {attempt} after {failures} failures");
                    state.violated(now, text);
                }
            }
            (Some((first, attempt, _)), now_seen) if now_seen != Some((first, attempt)) => {
                let text = format!("job {number}: its outcome was {first:?} by attempt {attempt}, and is {now_seen:?}");
                state.violated(now, text);
            }
            (Some(_), _) if failures_before != attempts.len() => {
                state.violated(now, format!("job {number}: a failure was recorded after its outcome"));
            }
            _ => {}
        }
    }

    // What the dispatch did.

    pub(crate) fn claimed(&self, by: ProcessId, token: LeaseToken, tickets: &[Claimed]) {
        let now = self.now_ms();
        let mut state = self.state.lock();
        for ticket in tickets {
            let suspect = if ticket.suspect { " (a suspect)" } else { "" };
            state.told(now, by, "claims", ticket.id, format_args!("{suspect}"));
            let story = state.story(ticket.id);
            let before = story.holder.replace(Holder { process: by, token });
            story.bereft.remove(&by);
            state.figures.taken_over += usize::from(before.is_some_and(|before| before.process != by));
        }
    }

    pub(crate) fn extended(&self, by: ProcessId, job: JobId, token: LeaseToken, is_held: bool) {
        let now = self.now_ms();
        let mut state = self.state.lock();
        if is_held {
            let story = state.story(job);
            story.holder = Some(Holder { process: by, token });
            story.bereft.remove(&by);
        } else {
            state.told(now, by, "has lost", job, format_args!(""));
        }
    }

    pub(crate) fn settled(&self, by: ProcessId, Settlement { lease, next }: &Settlement) {
        let now = self.now_ms();
        let mut state = self.state.lock();
        let next = match next {
            Next::Done => "",
            Next::Park(_) => " until later",
            Next::Release => " unstarted",
        };
        state.told(now, by, "settles", lease.id, format_args!("{next}"));
        let story = state.story(lease.id);
        story.holder = story.holder.filter(|holder| holder.token != lease.token);
    }

    /// The dispatch lost its leases, or went back to older ones.
    pub(crate) fn bereaved(&self) {
        let mut state = self.state.lock();
        for story in state.jobs.values_mut() {
            story.bereft.extend(story.holder.take().map(|holder| holder.process));
        }
    }

    // What handlers did.

    /// An attempt starts: what its process last read of the job must allow it.
    pub(crate) fn starts(self: &Arc<Self>, by: ProcessId, job: JobId, attempt: u32) -> Running {
        let now = self.now_ms();
        let mut state = self.state.lock();
        state.figures.attempts += 1;
        state.told(now, by, "starts", job, format_args!(" attempt {attempt}"));
        let (who, number) = (state.who(by), state.number(job));
        let story = state.story(job);
        let read = story.read.get(&by).copied();
        let is_alone = story.running.insert(by);
        if read != Some((false, attempt - 1)) {
            let text = format!("{who} starts attempt {attempt} of job {number} after reading {read:?}");
            state.violated(now, text);
        }
        if !is_alone {
            state.violated(now, format!("{who} runs job {number} twice at a time"));
        }
        Running { history: self.clone(), process: by, job }
    }

    pub(crate) fn effect(&self, by: ProcessId, job: JobId) {
        let now = self.now_ms();
        let mut state = self.state.lock();
        state.figures.effects += 1;
        state.told(now, by, "does what it asks, job", job, format_args!(""));
    }

    /// How often the job was deferred before, this time not counted.
    pub(crate) fn defers(&self, job: JobId) -> u32 {
        let mut state = self.state.lock();
        let story = state.story(job);
        story.defers += 1;
        story.defers - 1
    }
}

impl State {
    fn story(&mut self, job: JobId) -> &mut Story {
        self.jobs.entry(job).or_default()
    }

    fn number(&mut self, job: JobId) -> usize {
        let next = self.numbers.len() + 1;
        *self.numbers.entry(job).or_insert(next)
    }

    fn who(&self, process: ProcessId) -> String {
        self.names.get(&process).cloned().unwrap_or_else(|| "somebody".to_owned())
    }

    fn told(&mut self, now_ms: u128, by: ProcessId, verb: &str, job: JobId, more: fmt::Arguments<'_>) {
        let (who, number) = (self.who(by), self.number(job));
        self.line(now_ms, format_args!("{who} {verb} {number}{more}"));
    }

    fn line(&mut self, now_ms: u128, what: fmt::Arguments<'_>) {
        let line = format!("{now_ms:>7} {what}");
        self.hasher.write(line.as_bytes());
        if self.lines.len() == LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn violated(&mut self, now_ms: u128, what: String) {
        self.line(now_ms, format_args!("VIOLATED: {what}"));
        self.violations.push(format!("after {:?}: {what}", Duration::from_millis(u64::try_from(now_ms).unwrap_or(0))));
    }
}

/// An attempt that runs; dropped, it runs no more.
pub(crate) struct Running {
    history: Arc<History>,
    process: ProcessId,
    job: JobId,
}

impl Drop for Running {
    fn drop(&mut self) {
        let now = self.history.now_ms();
        let mut state = self.history.state.lock();
        state.story(self.job).running.remove(&self.process);
        state.told(now, self.process, "ends", self.job, format_args!(""));
    }
}
