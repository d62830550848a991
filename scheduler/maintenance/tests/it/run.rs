//! Each kind does what it says, and its result says what it did.

use crate::world::World;
use haul_core::{
    Ledger, ProcessId,
    ledger::{Entry, Record},
};
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A job of days ago, and when it ended.
async fn finished(world: &World, days: u32) -> haul_core::Job {
    let job = world.job("old", "work", "{\"a\":1}", DAY * days).await;
    let at = job.run_at.plus(Duration::from_secs(5));
    let (id, tenant) = (job.id, job.tenant.clone());
    let entry = Entry::Succeeded(None);
    let record = Record { job: id, tenant, attempt: 1, at, entry, follow_ups: Vec::new() };
    world.ledger.record(&[record], ProcessId::NOBODY).await.expect("it is recorded");
    job
}

#[tokio::test]
async fn retention_drops_what_is_older_than_its_payload_or_else_the_settings_say() {
    let world = World::new().await;
    let (old, older) = (finished(&world, 10).await, finished(&world, 60).await);
    let is_there = async |job: &haul_core::Job| world.ledger.job(&job.tenant, job.id).await.expect("a look").is_some();
    let result = world.result("maintenance.retention", "{}").await;
    assert_eq!((&result["keep_days"], &result["complete"]), (&json!(30), &json!(true)), "{result}");
    assert!(is_there(&old).await && !is_there(&older).await);
    let result = world.result("maintenance.retention", r#"{"keep_days": 0}"#).await;
    assert_eq!(result["days_closed"], 0, "{result}");
    assert!(is_there(&old).await, "0 is for ever");
    world.result("maintenance.retention", r#"{"keep_days": 3}"#).await;
    assert!(!is_there(&old).await);
}

#[tokio::test]
async fn payloads_are_erased_only_when_asked_for() {
    let world = World::new().await;
    let old = finished(&world, 10).await;
    let is_erased = async || {
        let record = world.ledger.job(&old.tenant, old.id).await.expect("a look").expect("the job");
        record.is_erased()
    };
    world.result("maintenance.retention", "{}").await;
    assert_eq!(world.result("maintenance.payloads", "{}").await["jobs_erased"], 0);
    assert!(!is_erased().await);
    assert_eq!(world.result("maintenance.payloads", r#"{"payload_days": 3}"#).await["jobs_erased"], 1);
    assert!(is_erased().await);
}

#[tokio::test]
async fn statistics_count_the_hours_that_have_ended() {
    let world = World::new().await;
    finished(&world, 10).await;
    let result = world.result("maintenance.statistics", "{}").await;
    // Once in each of the three rounds.
    assert_eq!((&result["rows_counted"], &result["complete"]), (&json!(3), &json!(true)), "{result}");
    let result = world.result("maintenance.statistics", r#"{"statistics_days": 3}"#).await;
    assert_eq!((&result["rows_counted"], &result["rows_expired"]), (&json!(0), &json!(1)), "{result}");
}

#[tokio::test]
async fn the_other_kinds_say_that_they_are_done() {
    let world = World::new().await;
    for kind in ["maintenance.keys", "maintenance.analyze"] {
        assert_eq!(world.result(kind, "{}").await["complete"], true, "{kind}");
    }
    assert!(world.result("maintenance.partitions", "{}").await["took_ms"].is_u64());
    let result = world.result("maintenance.audit", "{}").await;
    assert_eq!((&result["unreachable"], &result["complete"]), (&json!(0), &json!(true)), "{result}");
}
