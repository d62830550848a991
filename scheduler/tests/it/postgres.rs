//! Ten thousand schedules (or fewer) due in the same minute, on a real ledger, with two schedulers.

use haul_conformance::reference::ReferenceDispatch;
use haul_core::{
    Clock, IdMint, Ledger, ProcessId, Schedules,
    schedules::{NewSchedule, Position},
};
use haul_postgres::{PostgresLedger, PostgresOptions, migrate};
use haul_schedule::{Place, ScheduleSpec};
use haul_scheduler::{Scheduler, SchedulerDeps};
use haul_testkit::postgres;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// How many; set `HAUL_SCHEDULES` to measure more.
fn count() -> usize {
    #[expect(clippy::disallowed_methods, reason = "a test's own knob")]
    let told = std::env::var("HAUL_SCHEDULES");
    told.ok().and_then(|told| told.parse().ok()).unwrap_or(1_000)
}

async fn scheduler(url: &str, clock: &Arc<Clock>) -> (Scheduler, Arc<PostgresLedger>) {
    let ledger = PostgresLedger::connect(PostgresOptions::new(url.to_owned().into())).await.unwrap();
    let ledger = Arc::new(ledger);
    let deps = SchedulerDeps {
        ledger: ledger.clone(),
        schedules: ledger.clone(),
        dispatch: Arc::new(ReferenceDispatch::new(clock.clone())),
        mint: Arc::new(IdMint::new(Arc::new(Clock::new()))),
        process: ProcessId::random(),
    };
    (Scheduler::new(deps), ledger)
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_that_are_due_in_the_same_minute_fire_within_seconds() {
    let url = tokio::task::spawn_blocking(|| postgres::shared().database()).await.unwrap();
    migrate(&url.clone().into()).await.unwrap();
    let clock = Arc::new(Clock::new());
    let (first, ledger) = scheduler(&url, &clock).await;
    let (second, _) = scheduler(&url, &clock).await;
    let now = ledger.now().await.unwrap();
    // Hourly, and the last hour is due: it fires whatever its age.
    let definition = crate::world::definition(&ScheduleSpec::cron("0 * * * *", "UTC"));
    let place = Place::at(now.minus(Duration::from_secs(3_600)));
    let position = Position { fired_through: place.to_string(), next_at: Some(now) };
    let count = count();
    let mut creating = tokio::task::JoinSet::new();
    for part in 0..8 {
        let (ledger, definition, position) = (ledger.clone(), definition.clone(), position.clone());
        creating.spawn(async move {
            for n in (part..count).step_by(8) {
                let new = crate::world::new_schedule(&format!("s{n}"), definition.clone());
                ledger.create(&NewSchedule { position: position.clone(), ..new }, usize::MAX).await.unwrap();
            }
        });
    }
    creating.join_all().await;
    let begun = Instant::now();
    let fire_all = |scheduler: Scheduler| async move {
        let mut fired = 0;
        loop {
            let turn = scheduler.turn().await.unwrap();
            fired += turn.fired;
            if turn.due == 0 {
                return fired;
            }
        }
    };
    let (a, b) = tokio::join!(tokio::spawn(fire_all(first)), tokio::spawn(fire_all(second)));
    let (a, b, took) = (a.unwrap(), b.unwrap(), begun.elapsed());
    println!("{count} schedules were fired in {took:?}: {a} by one scheduler, {b} by the other");
    assert_eq!(a + b, count);
    assert!(took < Duration::from_secs(60), "{took:?}");
    let (mut jobs, mut after) = (BTreeSet::new(), None);
    loop {
        let page = ledger.unsettled(after, None, 1_000).await.unwrap();
        jobs.extend(page.jobs.iter().map(|job| job.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(jobs.len(), count, "each has one job");
}
