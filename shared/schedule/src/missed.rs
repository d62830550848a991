//! Missed ticks: what fires now, and how far the schedule is then.
//!
//! A tick that is due for up to [`ON_TIME`] fires under every policy: a scheduler that was busy, restarted or failed over
//! has missed nothing. An older one was *missed* (every process down, the schedule paused), and the policy decides.
//! Either way the schedule moves past all of them at once, so that no tick is looked at twice.
//!
//! However long the silence, work and memory are bounded: what may fire is found from now backwards.

use crate::{
    jitter::jitter,
    schedule::Schedule,
    tick::{INSTANT_MS_MAX, Tick, TickName},
    words::words,
};
use haul_core::{Span, Timestamp};

/// How old a tick may be without having been missed.
pub const ON_TIME: Span = Span::from_secs(60);
/// The most missed ticks that may be caught up with.
pub const MISSED_MAX: u32 = 1_000;

/// Ticks of [`ON_TIME`], one a second, and one more for each end of a gap or fold.
const ON_TIME_TICKS: usize = 64;
/// As many due ticks are looked at one by one; with more of them the newest are searched for.
const SCAN: usize = MISSED_MAX as usize + ON_TIME_TICKS;

words! {
    /// Which missed ticks are caught up with.
    Missed {
        /// None.
        Skip = "skip",
        /// The last one, unless a tick that is on time fires anyway.
        Last = "last",
        /// All of them, oldest first; the newest where there are more than the cap.
        All = "all",
    }
}

/// A schedule's policy for missed ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchUp {
    /// Which are caught up with.
    pub policy: Missed,
    /// How many at most, with [`Missed::All`].
    pub max: u32,
    /// How old a missed tick may be; `None` for any age.
    pub max_age: Option<Span>,
}

impl Default for CatchUp {
    fn default() -> Self {
        Self { policy: Missed::Last, max: 100, max_age: None }
    }
}

/// How far a schedule is; its row in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Every tick up to this one is done with. Before the first: the moment of creation, as an instant.
    pub fired_through: TickName,
    /// How many ticks have fired.
    pub runs: u64,
}

impl Progress {
    /// Of a schedule that was made at `created_at`: its ticks after that are still to come.
    pub fn since(created_at: Timestamp) -> Self {
        Self { fired_through: TickName::of_instant(created_at), runs: 0 }
    }

    /// Of the same schedule under a new definition, which holds from `now` on: no tick of it before `now` fires. What is
    /// still due by the old definition is for that one's [`Schedule::due`] to say, first and in the same transaction.
    pub fn edited_at(&self, now: Timestamp) -> Self {
        let edited = TickName::of_instant(now);
        let later = edited.at() > self.fired_through.at();
        Self { fired_through: if later { edited } else { self.fired_through }, runs: self.runs }
    }
}

/// What is to be done at a moment: fire these, and move on to there, in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The ticks that fire, oldest first.
    pub firings: Vec<Firing>,
    /// How far the schedule is after them.
    pub progress: Progress,
    /// How many due ticks pass without firing. Counted up to about a thousand.
    pub skipped: usize,
    /// The tick to wake up for. `None`: the schedule has ended.
    pub next: Option<Tick>,
}

/// A tick that fires, and when its job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The tick.
    pub tick: Tick,
    /// Its time and its jitter.
    pub run_at: Timestamp,
}

impl Schedule {
    /// What is to be done at `now` (the ledger's clock) by the schedule with this `id`, which is at `progress`.
    pub fn due(&self, id: &str, progress: &Progress, now: Timestamp) -> Due {
        let left = self.max_runs.map_or(u64::MAX, |max| max.saturating_sub(progress.runs));
        if left == 0 {
            return Due { firings: Vec::new(), progress: progress.clone(), skipped: 0, next: None };
        }
        let now = now.min(Timestamp::from_ms(INSTANT_MS_MAX));
        let mut due = self.due_ticks(&progress.fired_through, now);
        let fired_through = due.last().map_or(progress.fired_through, |tick| tick.name);
        let found = due.len();
        self.drop_missed(&mut due, now);
        due.truncate(usize::try_from(left).unwrap_or(usize::MAX));

        let fire = |tick: Tick| {
            let spread = jitter(id, &tick.name, self.jitter);
            Firing { run_at: tick.at.plus(spread.as_duration()), tick }
        };
        let runs = progress.runs + due.len() as u64;
        let ended = self.max_runs.is_some_and(|max| runs >= max);
        Due {
            skipped: found - due.len(),
            firings: due.into_iter().map(fire).collect(),
            progress: Progress { fired_through, runs },
            next: if ended { None } else { self.next(&fired_through) },
        }
    }

    /// Leaves the ticks that fire.
    fn drop_missed(&self, due: &mut Vec<Tick>, now: Timestamp) {
        let older_than = |span: Span| move |tick: &Tick| now.since(tick.at) > span.as_duration();
        let missed = due.partition_point(older_than(ON_TIME));
        let on_time = due.len() - missed;
        let too_old = self.missed.max_age.map_or(0, |age| due.partition_point(older_than(age)).min(missed));
        let caught_up_with = match self.missed.policy {
            Missed::Skip => 0,
            Missed::Last => usize::from(on_time == 0),
            Missed::All => self.missed.max as usize,
        };
        due.drain(..missed - caught_up_with.min(missed - too_old));
    }

    /// The due ticks after `after`, oldest first: all of them, or the newest that can matter.
    fn due_ticks(&self, after: &TickName, now: Timestamp) -> Vec<Tick> {
        let due: Vec<Tick> = self.ticks(after).take_while(|tick| tick.at <= now).take(SCAN + 1).collect();
        if due.len() <= SCAN {
            return due;
        }
        // Some of what is found by going back lies in gaps: go further until there is enough, or all.
        let mut steps = SCAN;
        loop {
            let from = TickName::of_instant(self.back(now, steps));
            let all = from.at() <= after.at();
            let mut due: Vec<Tick> =
                self.ticks(if all { after } else { &from }).take_while(|tick| tick.at <= now).collect();
            if all || due.len() >= SCAN {
                due.drain(..due.len().saturating_sub(SCAN));
                return due;
            }
            steps *= 2;
        }
    }
}
