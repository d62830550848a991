//! What happens when something is wrong.

use crate::world::World;
use haul_core::{FinalState, Ledger, Tenant};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn what_a_payload_says_wrongly_is_refused_with_a_reason() {
    let world = World::new().await;
    for (kind, payload, reason) in [
        ("maintenance.retention", r#"{"keepdays": 3}"#, "unknown field `keepdays`"),
        ("maintenance.retention", r#"{"keep_days": -1}"#, "invalid value"),
        ("maintenance.retention", r#"{"keep_days": 36526}"#, "`keep_days` must be at most 36525"),
        ("maintenance.payloads", r#"{"payload_days": "3"}"#, "invalid type"),
        ("maintenance.keys", r#"{"for_at_most": "soon"}"#, "is not a duration"),
        ("maintenance.audit", "3", "invalid type"),
    ] {
        let error = world.death(kind, payload).await;
        assert!(error.contains(reason), "{kind} {payload}: {error}");
    }
}

#[tokio::test]
async fn a_ledger_that_is_away_is_asked_again_and_nothing_is_lost() {
    let world = World::new().await;
    world.away.store(true, Ordering::SeqCst);
    let id = world.submit("maintenance.keys", "{}").await;
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let record = world.ledger.job(&Tenant::default(), id).await.expect("a look").expect("the job");
        if record.failure_count > 0 {
            assert_eq!(record.failures[0].error.message, "the ledger is not reachable");
            break;
        }
        assert!(Instant::now() < end, "no attempt fails");
        sleep(Duration::from_millis(5)).await;
    }
    world.away.store(false, Ordering::SeqCst);
    assert_eq!(world.outcome(id).await.state, FinalState::Succeeded);
}

#[tokio::test]
async fn an_audit_that_finds_lost_jobs_is_dead_and_says_how_many() {
    let world = World::new().await;
    world.rebuild("work").await;
    // Old enough to be judged, and without a ticket.
    for _ in 0..3 {
        world.job("work", "work", "{}", Duration::from_secs(3_600)).await;
    }
    let outcome = world.outcome(world.submit("maintenance.audit", "{}").await).await;
    assert_eq!(outcome.state, FinalState::Dead);
    let error = outcome.error.expect("an error");
    assert_eq!(error.message, "3 jobs had no ticket and would never have started");
    let detail: serde_json::Value = serde_json::from_str(&error.detail.expect("detail")).expect("JSON");
    assert_eq!(detail["unreachable"], 3);
    assert_eq!(world.result("maintenance.audit", "{}").await["unreachable"], 0, "they have tickets now");
}
