//! Pace in memory: the suite, and what happens when there is no room for another destination.

use async_trait::async_trait;
use haul_conformance::pace::{PaceHarness, PaceWorld};
use haul_core::{
    JobId, Pace,
    limits::DESTINATIONS_MAX,
    pace::{Destination, Enter, Entry, Left, Rules, Verdict},
};
use haul_embedded::MemoryPace;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

struct Memory;

struct World {
    time_us: Arc<AtomicU64>,
    pace: Mutex<Arc<MemoryPace>>,
}

#[async_trait]
impl PaceHarness for Memory {
    async fn fresh(&self, time_us: Arc<AtomicU64>) -> Arc<dyn PaceWorld> {
        let pace = Mutex::new(Arc::new(MemoryPace::on_clock(time_us.clone())));
        Arc::new(World { time_us, pace })
    }
}

#[async_trait]
impl PaceWorld for World {
    fn pace(&self) -> Arc<dyn Pace> {
        self.pace.lock().clone()
    }
    async fn lose(&self) {
        *self.pace.lock() = Arc::new(MemoryPace::on_clock(self.time_us.clone()));
    }
}

haul_conformance::pace_tests!(Memory);

#[tokio::test]
async fn beyond_ten_thousand_destinations_calls_are_not_paced_until_some_are_idle() {
    let time_us = Arc::new(AtomicU64::new(1_000_000_000));
    let pace = MemoryPace::on_clock(time_us.clone());
    let rules = Rules { failures: 1, ..Rules::default() };
    let call = async |n: usize, verdict| {
        let destination = Destination::new(format!("http://host-{n}:80")).unwrap();
        let entry = Entry { destination: &destination, job: JobId(Uuid::nil()), permit: Uuid::new_v4(), rules: &rules };
        let Enter::Go(permit) = pace.enter(&entry).await.unwrap() else { return None };
        Some(pace.leave(&permit, verdict, &rules).await.unwrap())
    };
    for n in 0..DESTINATIONS_MAX {
        assert_ne!(call(n, Verdict::Works).await, Some(Left::NotHeld));
    }
    time_us.fetch_add(10, Ordering::Relaxed);
    let fault = Verdict::AtFault(None);
    // Those who are idle make room.
    assert!(matches!(call(DESTINATIONS_MAX, fault).await, Some(Left::Changed(_))));
    for n in 0..DESTINATIONS_MAX {
        call(n, fault).await;
    }
    assert_eq!(call(DESTINATIONS_MAX + 1, fault).await, Some(Left::NotHeld), "nothing is kept of it");
    assert_eq!(call(DESTINATIONS_MAX + 1, fault).await, Some(Left::NotHeld), "and it is called all the same");
    time_us.fetch_add(u64::try_from(Duration::from_secs(60 * 3_600).as_micros()).unwrap(), Ordering::Relaxed);
    assert!(matches!(call(DESTINATIONS_MAX + 1, fault).await, Some(Left::Changed(_))));
}
