//! A model of claim, lease, record, settle and repair, checked in every order of events.
//!
//! Two workers, two accepted jobs, and a few misfortunes: a worker is killed, a lease runs out under a living one, the dispatch
//! loses everything, an enqueue never arrives, a job is cancelled; handlers may fail; one of the jobs may be poison, which kills
//! whatever process runs it. There is no clock: whoever takes no step is paused, for as long as the others like. That is
//! more than the product meets, except that a record is written in one step with the look at its lease.
//!
//! What is checked is in `properties.rs`; `checked.rs` runs it, over the sound rules and over broken ones.

mod checked;
mod properties;
mod rules;

use stateright::{Model, Property};

pub(super) const WORKERS: usize = 2;
pub(super) const JOBS: usize = 2;
/// Attempts of a job in all.
pub(super) const ATTEMPTS_MAX: u8 = 2;
/// Crashes after which a job is dead.
pub(super) const CRASHES_MAX: u8 = 2;

/// The rules of the platform, or some that break one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    Sound,
    /// A later outcome takes the place of the first.
    OutcomeOverwrites,
    /// A failure is recorded without a look at the lease.
    FailureWithoutLease,
    /// A claim takes the ticket away, and there is no repair.
    DestructivePop,
    /// A lease that runs out counts as a crash of its job.
    ExpiryIsACrash,
}

/// How many of each misfortune may come to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Luck {
    pub(super) kills: u8,
    pub(super) expiries: u8,
    pub(super) losses: u8,
    pub(super) lost_enqueues: u8,
    pub(super) cancels: u8,
}

/// A platform to be checked.
#[derive(Debug, Clone)]
pub(super) struct Platform {
    pub(super) rules: Rules,
    pub(super) luck: Luck,
    /// Whether the handler of the first job may fail.
    pub(super) may_fail: bool,
    /// Whether the last job kills whatever runs it.
    pub(super) has_poison: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Succeeded,
    Dead,
    Cancelled,
}

/// What the ledger and the accepting process know of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Job {
    /// Its ticket is on its way to the dispatch.
    pub(super) is_on_its_way: bool,
    pub(super) has_receipt: bool,
    pub(super) failures: u8,
    pub(super) crashes: u8,
    pub(super) outcome: Option<Outcome>,
    /// The outcome that was committed first: only the checks look at it.
    pub(super) first_outcome: Option<Outcome>,
    /// A failure was recorded while another worker held the lease: only the checks look at it.
    pub(super) failed_unleased: bool,
    pub(super) ticket: Ticket,
    /// Made anew by each claim.
    pub(super) token: u8,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum Ticket {
    #[default]
    None,
    Ready {
        is_suspect: bool,
    },
    Leased {
        token: u8,
    },
}

/// What a worker has of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Run {
    pub(super) token: u8,
    /// In a process of its own.
    pub(super) is_alone: bool,
    pub(super) stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Stage {
    Claimed,
    Running { attempt: u8 },
    Ended { attempt: u8, end: End },
    Recorded { is_settled: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum End {
    Success,
    Failure,
    Crash,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) jobs: [Job; JOBS],
    pub(super) runs: [[Option<Run>; JOBS]; WORKERS],
    pub(super) is_lost: bool,
    pub(super) luck: Luck,
}

/// A step of somebody: the first number is the worker, the last the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Enqueue(usize),
    LoseEnqueue(usize),
    SweepReceipt(usize),
    Claim(usize, usize),
    Load(usize, usize),
    End(usize, usize, End),
    /// A poison job takes its worker with it.
    Poison(usize, usize),
    Record(usize, usize),
    Settle(usize, usize),
    /// The worker learns that its lease is another's, or that the job has an outcome, and lets it go.
    LetGo(usize, usize),
    Kill(usize),
    Expire(usize),
    Lose,
    Reassert(usize, usize),
    Rebuild,
    Cancel(usize),
}

impl Model for Platform {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let accepted = Job { is_on_its_way: true, has_receipt: true, ..Job::default() };
        let jobs = std::array::from_fn(|_| accepted.clone());
        vec![State { jobs, runs: Default::default(), is_lost: false, luck: self.luck }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let candidates = rules::candidates();
        steps.extend(candidates.into_iter().filter(|step| rules::next(self, state, *step).is_some()));
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        rules::next(self, state, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
