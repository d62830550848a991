//! Schedules that cannot fire: visible, and in nobody's way.

use crate::world::{World, new_schedule};
use haul_core::{
    JobTemplate, Kind, Ledger, ProcessId,
    ledger::NewJob,
    limits::KINDS_PER_QUEUE_MAX,
    schedules::{Definition, NewSchedule, Position},
};
use haul_schedule::ScheduleSpec;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_schedule_that_cannot_be_read_says_so_and_holds_nobody_up() {
    let world = World::at("2026-11-20T00:00:10Z");
    let good = crate::world::definition(&ScheduleSpec::cron("* * * * *", "UTC"));
    let odd = |spec: &str| Definition { spec: spec.to_owned(), ..good.clone() };
    world.create_raw(new_schedule("no-json", odd("every minute"))).await;
    world.create_raw(new_schedule("no-zone", odd("{\"cron\":\"* * * * *\",\"timezone\":\"Mars/Olympus\"}"))).await;
    world.create_raw(new_schedule("of-tomorrow", odd("{\"cron\":\"* * * * *\",\"moon\":\"full\"}"))).await;
    let no_job = Definition { template: "{\"kind\":\"a b\"}".to_owned(), ..good.clone() };
    world.create_raw(new_schedule("no-job", no_job)).await;
    let no_place = Position { fired_through: "yesterday".to_owned(), ..new_schedule("x", good.clone()).position };
    world.create_raw(NewSchedule { position: no_place, ..new_schedule("no-place", good) }).await;
    world.create("good", &ScheduleSpec::cron("* * * * *", "UTC")).await;
    let scheduler = world.scheduler().await;
    for _ in 0..3 {
        world.forward(MINUTE);
        assert_eq!(world.fire_all(&scheduler).await, 1, "the good one fires");
    }
    for (name, words) in [
        ("no-json", "cannot be read"),
        ("no-zone", "timezone"),
        ("of-tomorrow", "moon"),
        ("no-job", "letters, digits"),
        ("no-place", "how far it has come"),
    ] {
        let problem = world.read(name).await.problem.unwrap_or_default();
        assert!(problem.contains(words), "{name}: {problem}");
    }
    world.edit("no-zone", &ScheduleSpec::cron("* * * * *", "UTC")).await;
    world.forward(MINUTE);
    assert_eq!(world.fire_all(&scheduler).await, 2, "a mended one fires");
    assert_eq!(world.read("no-zone").await.problem, None);
}

#[tokio::test]
async fn a_schedule_whose_jobs_are_refused_is_put_off_alone() {
    let world = World::at("2026-11-20T00:00:10Z");
    let full = haul_core::Queue::new("full").unwrap();
    let mint = haul_core::IdMint::new(world.clock.clone());
    let fill = (0..KINDS_PER_QUEUE_MAX).map(|n| {
        let kind = Kind::new(format!("k{n}")).unwrap();
        let template = JobTemplate { kind, queue: full.clone(), ..crate::world::template() };
        let job = template.job(mint.next(), &haul_core::Tenant::default(), "none", "none", world.clock.now());
        NewJob { job, idempotency: None }
    });
    world.ledger.accept(&fill.collect::<Vec<_>>(), ProcessId::NOBODY, &[]).await.unwrap();
    let spec = ScheduleSpec::cron("* * * * *", "UTC");
    for n in 0..9 {
        world.create(&format!("s{n}"), &spec).await;
    }
    let template = JobTemplate { queue: full, ..crate::world::template() }.encode().unwrap();
    let definition = Definition { template, ..crate::world::definition(&spec) };
    let position = spec.validate().unwrap().begin(world.clock.now());
    world.create_raw(NewSchedule { position, ..new_schedule("refused", definition) }).await;
    world.forward(MINUTE);
    let scheduler = world.scheduler().await;
    assert_eq!(world.fire_all(&scheduler).await, 9);
    let refused = world.read("refused").await;
    assert!(refused.problem.unwrap().contains("kinds"), "it says which limit was reached");
    assert_eq!(refused.runs, 0);
}
