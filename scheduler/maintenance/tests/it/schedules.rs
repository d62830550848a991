//! The schedules that come along, and whose they are then.

use crate::world::World;
use haul_core::{Schedules, Tenant, schedules::Schedule};
use haul_maintenance::bring;

async fn all(world: &World) -> Vec<Schedule> {
    world.ledger.list(&Tenant::default(), None, 100).await.expect("a list")
}

#[tokio::test]
async fn each_comes_along_once_whoever_brings_it() {
    let world = World::new().await;
    let (one, other) = tokio::join!(bring(&*world.ledger, &world.tools), bring(&*world.ledger, &world.tools));
    assert_eq!(one.expect("it works") + other.expect("it works"), 6);
    let names: Vec<String> = all(&world).await.iter().map(|schedule| schedule.key.name.to_string()).collect();
    let kinds = ["analyze", "audit", "keys", "partitions", "retention", "statistics"];
    assert_eq!(names, kinds.map(|kind| format!("maintenance.{kind}")));
}

#[tokio::test]
async fn what_its_operator_did_survives_a_restart() {
    let world = World::new().await;
    bring(&*world.ledger, &world.tools).await.expect("it works");
    let before = all(&world).await;
    world.ledger.delete(&before[0].key, None).await.expect("it is deleted");
    world.ledger.set_paused(&before[1].key, None, true).await.expect("it is paused");
    let before = all(&world).await;
    assert_eq!(bring(&*world.ledger, &world.tools).await.expect("it works"), 0);
    assert_eq!(all(&world).await, before);
}

#[tokio::test]
async fn a_later_version_or_setting_adds_what_is_new() {
    let world = World::new().await;
    bring(&*world.ledger, &world.tools).await.expect("it works");
    let mut tools = world.tools.clone();
    tools.config.payload_days = 7;
    assert_eq!(bring(&*world.ledger, &tools).await.expect("it works"), 1);
    tools.reconciles = true;
    assert_eq!(bring(&*world.ledger, &tools).await.expect("it works"), 1);
    let names: Vec<String> = all(&world).await.iter().map(|schedule| schedule.key.name.to_string()).collect();
    for new in ["maintenance.payloads", "maintenance.reconcile_payments"] {
        assert!(names.iter().any(|name| name == new), "{names:?}");
    }
}
