//! The reference of pace: the machine of each destination behind one lock, on a clock that a test moves.

use async_trait::async_trait;
use haul_core::{
    Pace,
    pace::{
        Destination, Enter, Entry, Left, Permit, Result, Rules, Sight, Verdict,
        machine::{Entered, State},
    },
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The reference of pace.
pub struct ReferencePace {
    time_us: Arc<AtomicU64>,
    states: Mutex<BTreeMap<Destination, State>>,
}

impl ReferencePace {
    /// Knows no destination yet.
    pub fn new(time_us: Arc<AtomicU64>) -> Self {
        Self { time_us, states: Mutex::default() }
    }

    /// Forgets everything, as a server does that was flushed.
    pub fn lose(&self) {
        self.states.lock().clear();
    }

    fn with<T>(&self, destination: &Destination, then: impl FnOnce(&mut State, u64) -> T) -> Option<T> {
        let now = self.now();
        self.states.lock().get_mut(destination).map(|state| then(state, now))
    }

    fn now(&self) -> u64 {
        self.time_us.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Pace for ReferencePace {
    async fn enter(&self, entry: &Entry<'_>) -> Result<Enter> {
        let (now, id) = (self.now(), entry.permit);
        let mut states = self.states.lock();
        let state = states.entry(entry.destination.clone()).or_insert_with(|| State::new(now));
        Ok(match state.enter(now, entry.job, id, entry.rules) {
            Entered::Go(epoch, is_probe) => {
                let destination = entry.destination.clone();
                Enter::Go(Permit { destination, id, epoch, since_us: now, is_probe })
            }
            Entered::Wait(wait_us, why) => Enter::Wait(Duration::from_micros(wait_us), why),
        })
    }
    async fn extend(&self, permit: &Permit, rules: &Rules) -> Result<bool> {
        Ok(self.with(&permit.destination, |state, now| state.extend(now, permit.id, rules)).unwrap_or(false))
    }
    async fn leave(&self, permit: &Permit, verdict: Verdict, rules: &Rules) -> Result<Left> {
        let left = self.with(&permit.destination, |state, now| state.leave(now, permit, verdict, rules));
        Ok(left.unwrap_or(Left::NotHeld))
    }
    async fn list(&self, limit: usize) -> Result<Vec<Sight>> {
        let now = self.now();
        let states = self.states.lock();
        Ok(states.iter().take(limit).map(|(name, state)| state.sight(now, name.clone())).collect())
    }
    async fn page(&self, after: Option<&Destination>, limit: usize) -> Result<Vec<Sight>> {
        let now = self.now();
        let states = self.states.lock();
        let behind = states.iter().filter(|(name, _)| after.is_none_or(|after| *name > after));
        Ok(behind.take(limit).map(|(name, state)| state.sight(now, name.clone())).collect())
    }
    async fn look(&self, destination: &Destination) -> Result<Option<Sight>> {
        Ok(self.with(destination, |state, now| state.sight(now, destination.clone())))
    }
    async fn reset(&self, destination: &Destination) -> Result<bool> {
        Ok(self.with(destination, State::reset).is_some())
    }
}
