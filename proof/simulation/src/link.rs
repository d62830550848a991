//! The way from one process to one store, and what may happen on it.
//!
//! A call that was sent arrives on its own: its effect does not wait for the sender, who may be stopped, killed, or have
//! dropped the call. What a call failed with says nothing about its effect.

use crate::dice::Dice;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How bad the ways are in one run: shares of calls.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    /// Fail before they take effect.
    pub(crate) fails: f64,
    /// Take effect, and their answer is lost.
    pub(crate) answer_lost: f64,
    /// Take long, on the way there or back.
    pub(crate) slow: f64,
    /// Take very long.
    pub(crate) hangs: f64,
}

/// Why a call got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unavailable;

/// The way from one process to one store.
pub(crate) struct Link {
    dice: Mutex<Dice>,
    weather: Weather,
    calm: CancellationToken,
    cut_until: Mutex<Option<Instant>>,
}

struct Fate {
    there: Duration,
    back: Duration,
    fails: bool,
    answer_lost: bool,
}

impl Link {
    /// A way whose faults end when `calm` comes.
    pub(crate) fn new(dice: Dice, weather: Weather, calm: CancellationToken) -> Arc<Self> {
        Arc::new(Self { dice: Mutex::new(dice), weather, calm, cut_until: Mutex::default() })
    }

    /// Nothing gets through for so long.
    pub(crate) fn cut(&self, length: Duration) {
        *self.cut_until.lock() = Some(Instant::now() + length);
    }

    pub(crate) fn is_cut(&self) -> bool {
        !self.calm.is_cancelled() && self.cut_until.lock().is_some_and(|until| Instant::now() < until)
    }

    /// Sends a call and waits for its answer.
    pub(crate) async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        effect: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let fate = self.fate();
        let link = self.clone();
        let there = fate.there;
        // Not the sender's task: what was sent is on its way, whatever becomes of the sender.
        let arrived = tokio::spawn(async move {
            link.pass(there).await;
            if fate.fails || link.is_cut() { Err(Unavailable) } else { Ok(effect.await) }
        });
        let answer = arrived.await.unwrap_or(Err(Unavailable))?;
        self.pass(fate.back).await;
        if fate.answer_lost || self.is_cut() { Err(Unavailable) } else { Ok(answer) }
    }

    /// Waits for something long that comes in its own time; its answer may be lost too.
    pub(crate) async fn wait<T: Default>(&self, at_most: Duration, answer: impl Future<Output = T>) -> T {
        if self.is_cut() {
            self.pass(at_most).await;
            return T::default();
        }
        let answer = answer.await;
        if self.fate().answer_lost || self.is_cut() { T::default() } else { answer }
    }

    async fn pass(&self, time: Duration) {
        if time.is_zero() {
            return;
        }
        tokio::select! {
            biased;
            () = sleep(time) => {}
            () = self.calm.cancelled(), if time > CALM_MAX => {}
        }
    }

    fn fate(&self) -> Fate {
        let mut dice = self.dice.lock();
        let mut fate = Fate { there: dice.ms(0..=2), back: Duration::ZERO, fails: false, answer_lost: false };
        if self.calm.is_cancelled() {
            return fate;
        }
        fate.fails = dice.chance(self.weather.fails);
        fate.answer_lost = dice.chance(self.weather.answer_lost);
        if dice.chance(self.weather.slow) {
            let long = dice.ms(10..=1_500);
            if dice.chance(0.5) { fate.there = long } else { fate.back = long }
        }
        if dice.chance(self.weather.hangs) {
            let very_long = dice.ms(2_000..=30_000);
            if dice.chance(0.5) { fate.there = very_long } else { fate.back = very_long }
        }
        fate
    }
}

/// What a call takes in fair weather.
const CALM_MAX: Duration = Duration::from_millis(2);
