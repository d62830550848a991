//! What every promise of the pace suite begins with: an empty store, a clock, and the means to call tersely.

use super::{PaceHarness, PaceWorld};
use haul_core::{
    JobId,
    pace::{Breaker, Destination, Enter, Entry, Left, Permit, Rules, Sight, Verdict, Why},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// When the clock begins: some time in 2026.
const BEGIN_US: u64 = 1_790_000_000_000_000;
/// The chance of ids that the stage makes: right in the middle, so that nothing is spread.
const MIDDLE: u128 = 0x8000;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// An empty store and who asks it.
pub struct Stage {
    /// Makes further stores.
    pub harness: Arc<dyn PaceHarness>,
    /// The store's other side.
    pub world: Arc<dyn PaceWorld>,
    /// What the store's clock shows, in microseconds.
    pub time_us: Arc<AtomicU64>,
    /// What holds for the destination [`Stage::to`].
    pub rules: Rules,
    /// Whom everybody calls.
    pub to: Destination,
    ids: AtomicU64,
}

impl Stage {
    /// Sets the stage with a fresh store.
    pub async fn new(harness: Arc<dyn PaceHarness>) -> Self {
        let time_us = Arc::new(AtomicU64::new(BEGIN_US));
        let world = harness.fresh(time_us.clone()).await;
        let rules = Rules {
            failures: 3,
            window: SECOND * 10,
            window_calls: 10,
            window_percent: 50,
            open_base: SECOND,
            open_cap: SECOND * 60,
            probes: 1,
            rate: 0,
            burst: 1,
            in_flight: 4,
            returns: 100,
            permit: SECOND * 15,
        };
        Self { harness, world, time_us, rules, to: destination("https://a.example:443"), ids: AtomicU64::new(1) }
    }

    pub(crate) fn pass(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).expect("tests are short");
        self.time_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(crate) fn job(&self) -> JobId {
        JobId(Uuid::from_u128(self.ids.fetch_add(1, Ordering::Relaxed).into()))
    }

    pub(crate) fn id(&self, chance: u128) -> Uuid {
        Uuid::from_u128(chance << 112 | u128::from(self.ids.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) async fn enter_as(&self, job: JobId) -> Enter {
        let entry = Entry { destination: &self.to, job, permit: self.id(MIDDLE), rules: &self.rules };
        self.world.pace().enter(&entry).await.expect("an entry is answered")
    }

    /// A new job's entry.
    pub(crate) async fn enter(&self) -> Enter {
        self.enter_as(self.job()).await
    }

    /// A new job's permit, which there must be.
    pub(crate) async fn go(&self) -> Permit {
        go(self.enter().await)
    }

    /// How long, and why, a new job has to wait.
    pub(crate) async fn wait(&self) -> (Duration, Why) {
        wait(self.enter().await)
    }

    pub(crate) async fn leave(&self, permit: &Permit, verdict: Verdict) -> Left {
        self.world.pace().leave(permit, verdict, &self.rules).await.expect("leaving is answered")
    }

    /// A whole call.
    pub(crate) async fn call(&self, verdict: Verdict) -> Left {
        let permit = self.go().await;
        self.leave(&permit, verdict).await
    }

    /// Fails as often as it takes.
    pub(crate) async fn open(&self) {
        for _ in 1..self.rules.failures {
            assert_eq!(self.call(Verdict::AtFault(None)).await, Left::Done);
        }
        assert_eq!(self.call(Verdict::AtFault(None)).await, Left::Changed(Breaker::Open));
    }

    pub(crate) async fn sight(&self) -> Sight {
        let seen = self.world.pace().list(100).await.expect("destinations are listed");
        seen.into_iter().find(|sight| sight.destination == self.to).expect("it is known")
    }
}

pub(crate) fn destination(text: &str) -> Destination {
    Destination::new(text).expect("a destination")
}

pub(crate) fn go(entered: Enter) -> Permit {
    match entered {
        Enter::Go(permit) => permit,
        Enter::Wait(wait, why) => panic!("it has to wait for {wait:?}: {why:?}"),
    }
}

pub(crate) fn wait(entered: Enter) -> (Duration, Why) {
    match entered {
        Enter::Wait(wait, why) => (wait, why),
        Enter::Go(_) => panic!("it may go"),
    }
}
