//! The exclusive lock.

use crate::world::{World, connect};
use haul_postgres::LockError;
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn one_process_at_a_time_holds_it() {
    let world = World::new().await;
    let other = connect(&world.url).await;
    let lock = world.ledger.lock_exclusively().await.expect("nobody holds it");
    let refusal = other.lock_exclusively().await.expect_err("it is held");
    assert!(matches!(refusal, LockError::Held), "{refusal:?}");
    assert!(refusal.to_string().contains("REDIS_URL"), "{refusal}");
    assert!(timeout(Duration::from_millis(50), lock.lost()).await.is_err(), "it is not lost");
    drop(lock);
    let again = async || other.lock_exclusively().await.ok();
    haul_conformance::eventually("a dropped lock is given back", again).await;
}

#[tokio::test]
async fn its_loss_is_told_and_another_may_take_it() {
    let world = World::new().await;
    let lock = world.ledger.lock_exclusively().await.expect("nobody holds it");
    world
        .sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .await;
    timeout(Duration::from_secs(10), lock.lost()).await.expect("the loss is told");
    lock.lost().await;
    connect(&world.url).await.lock_exclusively().await.expect("it is free");
}
