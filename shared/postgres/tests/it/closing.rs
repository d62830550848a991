//! Closed history: nothing that is committed late is lost behind it, and it is never read.

use crate::world::{World, id_ago, job, success};
use haul_core::{Job, Ledger, ProcessId};
use sqlx::Connection;
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3_600);

impl World {
    async fn close(&self) {
        self.ledger.close_minutes().await.expect("minutes are closed");
    }

    async fn closed_ms_ago(&self) -> i64 {
        self.number(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
                 - ('x' || substr(replace(closed_through::text, '-', ''), 1, 12))::bit(48)::bigint FROM haul.closing",
        )
        .await
    }

    async fn succeed(&self, jobs: &[Job]) {
        let records: Vec<_> = jobs.iter().map(success).collect();
        self.ledger.record(&records, ProcessId::NOBODY).await.expect("the records are written");
    }
}

#[tokio::test]
async fn history_is_closed_up_to_two_minutes_ago() {
    let world = World::new().await;
    let jobs: Vec<Job> = (0..10).map(|hours| job(id_ago(HOUR * hours))).collect();
    world.accept(&jobs).await;
    world.close().await;
    let ago = world.closed_ms_ago().await;
    assert!((120_000..240_000).contains(&ago), "closed through {ago} ms ago");
    assert_eq!(world.unsettled().await.len(), 10);
    world.succeed(&jobs).await;
    world.close().await;
    assert_eq!(world.unsettled().await, []);
    assert_eq!(world.number("SELECT count(*) FROM haul.straggler").await, 0, "what has ended is off the list");
}

#[tokio::test]
async fn closing_waits_for_transactions_that_may_still_commit_jobs() {
    let world = World::new().await;
    let mut connection = world.connection().await;
    let mut open = connection.begin().await.expect("a transaction begins");
    // As if it had been enqueued three minutes ago and were still open.
    let early = id_ago(Duration::from_secs(180));
    sqlx::query("INSERT INTO haul.job VALUES ($1, now(), 5, 'default', 'default', 'work', '{}')")
        .bind(early.0)
        .execute(&mut *open)
        .await
        .expect("a row");
    for _ in 0..3 {
        world.close().await;
        assert!(world.closed_ms_ago().await > 1_000_000_000, "it does not pass an open transaction");
    }
    open.commit().await.expect("it commits");
    world.close().await;
    assert!(world.closed_ms_ago().await < 240_000);
    assert_eq!(world.unsettled().await, [early], "what was committed late is not behind it");
}

#[tokio::test]
async fn a_busy_table_does_not_keep_history_open() {
    let world = World::new().await;
    let mut first = world.connection().await;
    let mut second = world.connection().await;
    let enqueue = "SELECT haul.enqueue('work')";
    let mut earlier = first.begin().await.expect("a transaction begins");
    sqlx::raw_sql(enqueue).execute(&mut *earlier).await.expect("a job");
    world.close().await;
    let mut later = second.begin().await.expect("a transaction begins");
    sqlx::raw_sql(enqueue).execute(&mut *later).await.expect("a job");
    earlier.commit().await.expect("it commits");
    world.close().await;
    assert!(world.closed_ms_ago().await < 240_000, "only those that were open before are waited for");
    later.commit().await.expect("it commits");
    assert_eq!(world.unsettled().await.len(), 2);
}

#[tokio::test]
async fn an_unrelated_long_transaction_does_not_keep_history_open() {
    let world = World::new().await;
    world.sql("CREATE TABLE elsewhere (n int)").await;
    let mut connection = world.connection().await;
    let mut open = connection.begin().await.expect("a transaction begins");
    sqlx::raw_sql("INSERT INTO elsewhere VALUES (1); SELECT count(*) FROM haul.job")
        .execute(&mut *open)
        .await
        .expect("a row");
    world.close().await;
    assert!(world.closed_ms_ago().await < 240_000);
    open.rollback().await.expect("it ends");
}

#[tokio::test]
async fn a_job_that_comes_into_closed_history_is_found_without_its_receipt() {
    let world = World::new().await;
    world.close().await;
    // A batch that was sent again for an hour, or a follow-up whose id was made when its handler began.
    let late = job(id_ago(HOUR));
    world.accept(std::slice::from_ref(&late)).await;
    assert_eq!(world.unsettled().await, [late.id]);
    let follow_up = job(id_ago(HOUR * 2));
    let record = haul_core::ledger::Record { follow_ups: vec![follow_up.clone()], ..success(&late) };
    world.ledger.record(&[record], ProcessId::NOBODY).await.expect("the record is written");
    assert_eq!(world.unsettled().await, [follow_up.id]);
}

#[tokio::test]
async fn a_dense_stretch_stays_open_and_is_closed_when_it_has_thinned_out() {
    let world = World::new().await;
    // Rows as another process committed them in time: not late, and so not on any list.
    world
        .sql(
            "INSERT INTO haul.job (id, run_at, priority, tenant, queue, kind, payload)
             SELECT overlay(haul.id_floor(now() - interval '10 minutes' + n * interval '1 ms')::text
                 placing substr(gen_random_uuid()::text, 20) from 20)::uuid,
                 now(), 5, 'default', 'default', 'work', '{}'
             FROM generate_series(1, 45000) AS n",
        )
        .await;
    while world.closed_ms_ago().await > 240_000 {
        world.close().await;
    }
    assert_eq!(world.number("SELECT count(*) FROM haul.straggler").await, 0);
    assert_eq!(world.number("SELECT count(*) FROM haul.open_range").await, 3);
    assert_eq!(world.unsettled().await.len(), 45_000);
    let end_most = "INSERT INTO haul.outcome (id, finished_at, attempt, state, tenant)
        SELECT id, now(), 1, 1, 'default' FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM haul.job) AS job
        WHERE n % 100 <> 0";
    world.sql(end_most).await;
    world.sql("UPDATE haul.open_range SET looked_at = looked_at - interval '1 minute'").await;
    while world.number("SELECT count(*) FROM haul.open_range").await > 0 {
        world.close().await;
    }
    assert_eq!(world.number("SELECT count(*) FROM haul.straggler").await, 450);
    assert_eq!(world.unsettled().await.len(), 450);
}

#[tokio::test]
async fn unsettled_jobs_beside_much_history_are_found_in_no_time() {
    let world = World::new().await;
    world
        .sql(
            "INSERT INTO haul.job (id, run_at, priority, tenant, queue, kind, payload)
             SELECT overlay(haul.id_floor(now() - interval '20 hours' + n * interval '200 ms')::text
                 placing substr(gen_random_uuid()::text, 20) from 20)::uuid,
                 now(), 5, 'default', 'default', 'work', '{}'
             FROM generate_series(1, 300000) AS n;
             INSERT INTO haul.outcome (id, finished_at, attempt, state, tenant)
             SELECT id, now(), 1, 1, 'default' FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM haul.job) AS job
             WHERE n % 1000 <> 0",
        )
        .await;
    while world.closed_ms_ago().await > 240_000 {
        world.close().await;
    }
    let begun = Instant::now();
    assert_eq!(world.unsettled().await.len(), 300);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
