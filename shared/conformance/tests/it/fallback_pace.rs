//! What workers do while the shared store of pace is away: they count for themselves, and come back to it.

use async_trait::async_trait;
use haul_conformance::reference::ReferencePace;
use haul_core::{
    JobId, Pace,
    pace::{Breaker, Destination, Enter, Entry, FallbackPace, Left, PaceError, Permit, Result, Rules, Sight, Verdict},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// Longer than a store that did not answer is left alone.
const RESTED: Duration = Duration::from_secs(2);

/// A store behind a link that can be cut.
struct Remote {
    store: ReferencePace,
    is_away: AtomicBool,
}

impl Remote {
    fn store(&self) -> Result<&ReferencePace> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(PaceError::Unavailable("the link is cut".into()));
        }
        Ok(&self.store)
    }

    fn cut(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }
}

#[async_trait]
impl Pace for Remote {
    async fn enter(&self, entry: &Entry<'_>) -> Result<Enter> {
        self.store()?.enter(entry).await
    }
    async fn extend(&self, permit: &Permit, rules: &Rules) -> Result<bool> {
        self.store()?.extend(permit, rules).await
    }
    async fn leave(&self, permit: &Permit, verdict: Verdict, rules: &Rules) -> Result<Left> {
        self.store()?.leave(permit, verdict, rules).await
    }
    async fn list(&self, limit: usize) -> Result<Vec<Sight>> {
        self.store()?.list(limit).await
    }
    async fn page(&self, after: Option<&Destination>, limit: usize) -> Result<Vec<Sight>> {
        self.store()?.page(after, limit).await
    }
    async fn look(&self, destination: &Destination) -> Result<Option<Sight>> {
        self.store()?.look(destination).await
    }
    async fn reset(&self, destination: &Destination) -> Result<bool> {
        self.store()?.reset(destination).await
    }
}

struct World {
    remote: Arc<Remote>,
    own: Arc<ReferencePace>,
    pace: FallbackPace,
    to: Destination,
    rules: Rules,
}

impl World {
    fn new() -> Self {
        let time_us = Arc::new(AtomicU64::new(1_790_000_000_000_000));
        let store = ReferencePace::new(time_us.clone());
        let remote = Arc::new(Remote { store, is_away: AtomicBool::new(false) });
        let own = Arc::new(ReferencePace::new(time_us));
        let pace = FallbackPace::new(remote.clone(), own.clone());
        let to = Destination::new("https://a.example:443").expect("it is answered");
        let rules = Rules { in_flight: 2, failures: 3, ..Rules::default() };
        Self { remote, own, pace, to, rules }
    }

    async fn enter(&self) -> Enter {
        let (job, permit) = (JobId(Uuid::new_v4()), Uuid::new_v4());
        let entry = Entry { destination: &self.to, job, permit, rules: &self.rules };
        self.pace.enter(&entry).await.expect("it is answered")
    }

    async fn go(&self) -> Permit {
        match self.enter().await {
            Enter::Go(permit) => permit,
            wait @ Enter::Wait(..) => panic!("{wait:?}"),
        }
    }

    async fn leave(&self, permit: &Permit, verdict: Verdict) -> Left {
        self.pace.leave(permit, verdict, &self.rules).await.expect("it is answered")
    }

    /// Calls in flight as the shared store and this process count them.
    async fn in_flight(&self) -> (u64, u64) {
        let count = |sight: Option<Sight>| sight.map_or(0, |sight| sight.in_flight);
        let shared = count(self.remote.store.look(&self.to).await.expect("it is answered"));
        (shared, count(self.own.look(&self.to).await.expect("it is answered")))
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_shared_store_a_process_holds_the_limits_alone() {
    let world = World::new();
    world.remote.cut(true);
    world.go().await;
    world.go().await;
    assert!(matches!(world.enter().await, Enter::Wait(..)), "its own limit holds");
    assert_eq!(world.in_flight().await, (0, 2));
}

#[tokio::test(start_paused = true)]
async fn its_own_breaker_opens_while_the_shared_store_is_away() {
    let world = World::new();
    world.remote.cut(true);
    for left in [Left::Done, Left::Done, Left::Changed(Breaker::Open)] {
        let permit = world.go().await;
        assert_eq!(world.leave(&permit, Verdict::AtFault(None)).await, left);
    }
    assert!(matches!(world.enter().await, Enter::Wait(..)));
}

#[tokio::test(start_paused = true)]
async fn each_permit_goes_back_to_the_store_that_gave_it() {
    let world = World::new();
    let shared = world.go().await;
    world.remote.cut(true);
    let own = world.go().await;
    assert_eq!(world.in_flight().await, (1, 1));
    world.remote.cut(false);
    tokio::time::advance(RESTED).await;
    assert_eq!(world.leave(&own, Verdict::Works).await, Left::Done);
    assert_eq!(world.leave(&shared, Verdict::Works).await, Left::Done);
    assert_eq!(world.in_flight().await, (0, 0));
    world.go().await;
    assert_eq!(world.in_flight().await, (1, 0), "it is asked again when it is back");
}

#[tokio::test(start_paused = true)]
async fn a_permit_of_a_store_that_is_away_counts_as_held_and_is_left_to_expire() {
    let world = World::new();
    let shared = world.go().await;
    world.remote.cut(true);
    assert!(world.pace.extend(&shared, &world.rules).await.unwrap(), "it may be held still");
    assert_eq!(world.leave(&shared, Verdict::Works).await, Left::NotHeld);
    assert_eq!(world.in_flight().await, (1, 0));
}

#[tokio::test(start_paused = true)]
async fn operators_are_told_that_the_shared_store_is_away() {
    let world = World::new();
    world.remote.cut(true);
    world.go().await;
    assert!(world.pace.page(None, 10).await.is_err(), "what one process counts is not the truth of all");
    assert!(world.pace.look(&world.to).await.is_err());
    assert!(world.pace.reset(&world.to).await.is_err());
}
