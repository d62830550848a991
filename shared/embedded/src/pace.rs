//! Pace in memory: the rules of [`haul_core::pace::machine`], run as they are.
//!
//! Time is the process's own and only goes forward. A restart forgets all counts.

use async_trait::async_trait;
use haul_core::{
    Pace,
    limits::DESTINATIONS_MAX,
    pace::{
        Destination, Enter, Entry, Left, Permit, Result, Rules, Sight, Verdict,
        machine::{Entered, State},
    },
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// So that nothing lies before the clock's begin.
const BEGIN_US: u64 = 3_600_000_000;

/// What has not been touched for so long is forgotten when there is no room: longer than any breaker is open.
const KEPT_US: u64 = 48 * 3_600 * 1_000_000;
/// How often those that can be forgotten are looked for, when there is no room.
const SWEEP_US: u64 = 1_000_000;

/// Pace of one process.
pub struct MemoryPace {
    clock: Clock,
    swept_us: AtomicU64,
    destinations: Mutex<HashMap<Destination, Known>>,
}

enum Clock {
    Own(Instant),
    /// Microseconds, moved by a test.
    Test(Arc<AtomicU64>),
}

struct Known {
    state: State,
    touched_us: u64,
}

impl Default for MemoryPace {
    fn default() -> Self {
        Self::with(Clock::Own(Instant::now()))
    }
}

impl fmt::Debug for MemoryPace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPace").field("destinations", &self.destinations.lock().len()).finish_non_exhaustive()
    }
}

impl MemoryPace {
    /// The same on a clock of microseconds that a test moves.
    pub fn on_clock(time_us: Arc<AtomicU64>) -> Self {
        Self::with(Clock::Test(time_us))
    }

    fn with(clock: Clock) -> Self {
        Self { clock, swept_us: AtomicU64::new(0), destinations: Mutex::default() }
    }

    fn now_us(&self) -> u64 {
        match &self.clock {
            Clock::Own(begun) => BEGIN_US + u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX / 2),
            Clock::Test(time_us) => time_us.load(Ordering::Relaxed),
        }
    }

    /// What is known of a destination; `None` when there is no room to remember it.
    fn with_new<T>(&self, destination: &Destination, then: impl FnOnce(&mut State, u64) -> T) -> Option<T> {
        let mut destinations = self.destinations.lock();
        let now = self.now_us();
        if !destinations.contains_key(destination) {
            let swept_us = self.swept_us.load(Ordering::Relaxed);
            if destinations.len() >= DESTINATIONS_MAX && swept_us + SWEEP_US <= now {
                self.swept_us.store(now, Ordering::Relaxed);
                let is_old = |known: &Known| known.touched_us + KEPT_US <= now;
                destinations.retain(|_, known| !known.state.is_idle(now) && !is_old(known));
            }
            if destinations.len() >= DESTINATIONS_MAX {
                return None;
            }
        }
        let known = destinations
            .entry(destination.clone())
            .or_insert_with(|| Known { state: State::new(now), touched_us: now });
        known.touched_us = now;
        Some(then(&mut known.state, now))
    }

    /// The same for one that is known already.
    fn with_known<T>(&self, destination: &Destination, then: impl FnOnce(&mut State, u64) -> T) -> Option<T> {
        let mut destinations = self.destinations.lock();
        let now = self.now_us();
        destinations.get_mut(destination).map(|known| then(&mut known.state, now))
    }
}

#[async_trait]
impl Pace for MemoryPace {
    async fn enter(&self, entry: &Entry<'_>) -> Result<Enter> {
        let Entry { destination, job, permit: id, rules } = *entry;
        let entered = self.with_new(destination, |state, now| (state.enter(now, job, id, rules), now));
        let (entered, since_us) = entered.unwrap_or((Entered::Go(0, false), 0));
        Ok(match entered {
            Entered::Go(epoch, is_probe) => {
                Enter::Go(Permit { destination: destination.clone(), id, epoch, since_us, is_probe })
            }
            Entered::Wait(wait_us, why) => Enter::Wait(Duration::from_micros(wait_us), why),
        })
    }

    async fn extend(&self, permit: &Permit, rules: &Rules) -> Result<bool> {
        let extended = self.with_known(&permit.destination, |state, now| state.extend(now, permit.id, rules));
        Ok(extended.unwrap_or(false))
    }

    async fn leave(&self, permit: &Permit, verdict: Verdict, rules: &Rules) -> Result<Left> {
        let left = self.with_known(&permit.destination, |state, now| state.leave(now, permit, verdict, rules));
        Ok(left.unwrap_or(Left::NotHeld))
    }

    async fn list(&self, limit: usize) -> Result<Vec<Sight>> {
        let destinations = self.destinations.lock();
        let now = self.now_us();
        let mut known: Vec<_> = destinations.iter().collect();
        known.sort_by_key(|(destination, known)| (std::cmp::Reverse(known.touched_us), (*destination).clone()));
        Ok(known.into_iter().take(limit).map(|(name, known)| known.state.sight(now, name.clone())).collect())
    }

    async fn page(&self, after: Option<&Destination>, limit: usize) -> Result<Vec<Sight>> {
        let destinations = self.destinations.lock();
        let now = self.now_us();
        let mut known: Vec<_> =
            destinations.iter().filter(|(name, _)| after.is_none_or(|after| *name > after)).collect();
        known.sort_by_key(|(name, _)| *name);
        Ok(known.into_iter().take(limit).map(|(name, known)| known.state.sight(now, name.clone())).collect())
    }

    async fn look(&self, destination: &Destination) -> Result<Option<Sight>> {
        Ok(self.with_known(destination, |state, now| state.sight(now, destination.clone())))
    }

    async fn reset(&self, destination: &Destination) -> Result<bool> {
        Ok(self.with_known(destination, State::reset).is_some())
    }
}
