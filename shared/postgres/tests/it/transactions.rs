//! Transactional handlers.

use crate::world::{World, job, now_id, success};
use haul_core::{
    Ledger, ProcessId,
    ledger::{Entry, JobTransaction, LedgerError, Record, Recorded},
    outcome::JobError,
};
use haul_postgres::Transaction;
use sqlx::Connection;
use std::time::Duration;

const IDLE_MAX: Duration = Duration::from_secs(30);

async fn begin(world: &World, idle_max: Duration) -> Box<dyn JobTransaction> {
    let transactions = world.ledger.transactions().expect("Postgres has transactions");
    transactions.begin(idle_max).await.expect("a transaction begins")
}

async fn write(transaction: &mut Box<dyn JobTransaction>, value: i32) {
    let connection: &mut Transaction = transaction.as_any_mut().downcast_mut().expect("our own type");
    sqlx::query("INSERT INTO shipped VALUES ($1)").bind(value).execute(&mut **connection).await.expect("a row");
}

async fn world() -> World {
    let world = World::new().await;
    world.sql("CREATE TABLE shipped (n int)").await;
    world
}

#[tokio::test]
async fn writes_and_outcome_commit_together() {
    let world = world().await;
    let job = world.accepted().await;
    let mut transaction = begin(&world, IDLE_MAX).await;
    write(&mut transaction, 1).await;
    assert_eq!(world.number("SELECT count(*) FROM shipped").await, 0);
    let follow_up = crate::world::job(now_id());
    let record = Record { follow_ups: vec![follow_up.clone()], ..success(&job) };
    let answer = transaction.commit(&record, ProcessId::NOBODY).await.expect("it commits");
    assert_eq!(answer.records, [Recorded::Committed]);
    assert!(answer.receipt.is_some());
    assert_eq!(world.number("SELECT count(*) FROM shipped").await, 1);
    assert_eq!(world.unsettled().await, [follow_up.id]);
}

#[tokio::test]
async fn a_job_that_has_ended_takes_its_late_handlers_writes_down() {
    let world = world().await;
    let job = world.accepted().await;
    let mut late = begin(&world, IDLE_MAX).await;
    write(&mut late, 1).await;
    world.ledger.record(&[success(&job)], ProcessId::NOBODY).await.expect("another worker was first");
    let answer = late.commit(&success(&job), ProcessId::NOBODY).await.expect("it is answered");
    assert_eq!(answer.records, [Recorded::Stale]);
    assert_eq!(answer.receipt, None);
    assert_eq!(world.number("SELECT count(*) FROM shipped").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_handlers_of_one_job_one_commits() {
    let world = world().await;
    for n in 0..20 {
        let job = world.accepted().await;
        let (mut first, mut second) = (begin(&world, IDLE_MAX).await, begin(&world, IDLE_MAX).await);
        write(&mut first, n).await;
        write(&mut second, n).await;
        let record = success(&job);
        let (a, b) = tokio::join!(first.commit(&record, ProcessId::NOBODY), second.commit(&record, ProcessId::NOBODY));
        let committed = [a, b].map(|answer| answer.expect("it is answered").records[0]);
        assert_eq!(committed.iter().filter(|answer| **answer == Recorded::Committed).count(), 1);
    }
    assert_eq!(world.number("SELECT count(*) FROM shipped").await, 20);
}

#[tokio::test]
async fn dropped_or_idle_for_too_long_it_is_rolled_back() {
    let world = world().await;
    let job = world.accepted().await;
    let mut dropped = begin(&world, IDLE_MAX).await;
    write(&mut dropped, 1).await;
    drop(dropped);
    let mut idle = begin(&world, Duration::from_millis(50)).await;
    write(&mut idle, 2).await;
    let gone = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
    haul_conformance::eventually("the server ends it", async || (world.number(gone).await == 0).then_some(())).await;
    let failure = idle.commit(&success(&job), ProcessId::NOBODY).await.expect_err("it is gone");
    assert!(matches!(failure, LedgerError::Unavailable(_)), "{failure:?}");
    assert_eq!(world.number("SELECT count(*) FROM shipped").await, 0);
    assert_eq!(world.unsettled().await, [job.id]);
}

#[tokio::test]
async fn savepoints_are_the_handlers_own() {
    let world = world().await;
    let job = world.accepted().await;
    let mut transaction = begin(&world, IDLE_MAX).await;
    let connection: &mut Transaction = transaction.as_any_mut().downcast_mut().expect("our own type");
    let mut inner = connection.begin().await.expect("a savepoint");
    sqlx::raw_sql("INSERT INTO shipped VALUES (1)").execute(&mut *inner).await.expect("a row");
    inner.rollback().await.expect("back to the savepoint");
    let mut inner = connection.begin().await.expect("a savepoint");
    sqlx::raw_sql("INSERT INTO shipped VALUES (2)").execute(&mut *inner).await.expect("a row");
    inner.commit().await.expect("the savepoint goes");
    assert_eq!(world.number("SELECT count(*) FROM shipped").await, 0, "nothing is committed yet");
    transaction.commit(&success(&job), ProcessId::NOBODY).await.expect("it commits");
    assert_eq!(world.number("SELECT sum(n) FROM shipped").await, 2);
}

#[tokio::test]
async fn a_failure_can_be_its_record_and_a_refused_commit_records_nothing() {
    let world = world().await;
    world.sql("ALTER TABLE shipped ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED").await;
    let job = world.accepted().await;
    let mut transaction = begin(&world, IDLE_MAX).await;
    write(&mut transaction, 1).await;
    let entry = Entry::Failed(JobError::new("later"), job.created_at());
    let record = Record { entry, ..success(&job) };
    let answer = transaction.commit(&record, ProcessId::NOBODY).await.expect("it commits");
    assert_eq!(answer.records, [Recorded::Committed]);
    let mut transaction = begin(&world, IDLE_MAX).await;
    write(&mut transaction, 1).await;
    let refusal = transaction.commit(&success(&job), ProcessId::NOBODY).await.expect_err("1 is there already");
    assert!(matches!(refusal, LedgerError::Refused(_)), "{refusal:?}");
    assert_eq!(world.unsettled().await, [job.id]);
}

#[tokio::test]
async fn many_open_transactions_leave_the_ledger_its_connections() {
    let world = world().await;
    let mut open = Vec::new();
    for n in 0..20 {
        let mut transaction = begin(&world, IDLE_MAX).await;
        write(&mut transaction, n).await;
        open.push(transaction);
    }
    let job = job(now_id());
    world.accept(std::slice::from_ref(&job)).await;
    assert_eq!(world.unsettled().await, [job.id]);
}
