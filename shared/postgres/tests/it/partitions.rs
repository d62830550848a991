//! Partitions: made ahead, made on demand, and only the needed ones read.

use crate::world::{World, id_ago, job, now_id, success};
use haul_core::{Job, JobId, Ledger, ProcessId, ledger::Cancelled};
use sqlx::{AssertSqlSafe, Connection};
use std::time::Duration;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[tokio::test]
async fn two_weeks_are_prepared_by_the_migration() {
    let world = World::new().await;
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'haul.job'::regclass";
    assert_eq!(world.number(partitions).await, 16);
    world.ledger.prepare_ahead().await.expect("nothing is left to do");
    assert_eq!(world.number(partitions).await, 16);
}

#[tokio::test]
async fn jobs_of_any_day_find_storage_when_they_come() {
    let world = World::new().await;
    let far = |days: u32| job(JobId::floor(now_id().created_at().plus(DAY * days)));
    let old = |days: u32| job(id_ago(DAY * days));
    let jobs = [old(700), far(40), old(3), job(now_id()), far(400)];
    world.accept(&jobs).await;
    let loaded = world.ledger.load(&jobs.each_ref().map(|job| job.id)).await.expect("jobs are loaded");
    assert_eq!(loaded.len(), jobs.len());
}

#[tokio::test]
async fn outcomes_and_follow_ups_find_storage_too() {
    let world = World::new().await;
    let (old, follow_up) = (job(id_ago(DAY * 50)), job(id_ago(DAY * 60)));
    world.accept(std::slice::from_ref(&old)).await;
    let drop_outcomes = "DO $$ BEGIN EXECUTE (SELECT 'DROP TABLE ' || string_agg(inhrelid::regclass::text, ', ')
        FROM pg_inherits WHERE inhparent = 'haul.outcome'::regclass); END $$";
    world.sql(drop_outcomes).await;
    let record = haul_core::ledger::Record { follow_ups: vec![follow_up.clone()], ..success(&old) };
    world.ledger.record(&[record], ProcessId::NOBODY).await.expect("the record is written");
    assert_eq!(world.ledger.settled(&[old.id]).await.expect("outcomes are read").len(), 1);
    assert_eq!(world.unsettled().await, [follow_up.id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_is_made_beside_open_transactions_without_a_stall() {
    let world = World::new().await;
    let mut connection = world.connection().await;
    let mut open = connection.begin().await.expect("a transaction begins");
    sqlx::raw_sql("SELECT haul.enqueue('work'); SELECT count(*) FROM haul.job")
        .execute(&mut *open)
        .await
        .expect("a job is enqueued");
    let old = [job(id_ago(DAY * 90))];
    let on_demand = tokio::time::timeout(Duration::from_secs(10), world.accept(&old));
    on_demand.await.expect("the open transaction stands in nobody's way");
    world.accepted().await;
    open.rollback().await.expect("it ends");
}

/// A hundred days with some thousands of jobs each, statistics of a busy day included.
async fn hundred_days() -> (World, Vec<JobId>) {
    let world = World::new().await;
    world.sql("SELECT count(haul.prepare_day(current_date - day)) FROM generate_series(0, 99) AS day").await;
    world
        .sql(
            "INSERT INTO haul.job (id, run_at, priority, tenant, queue, kind, payload)
             SELECT overlay(haul.id_floor(now() - day * interval '1 day' - n * interval '1 ms')::text
                 placing substr(gen_random_uuid()::text, 20) from 20)::uuid,
                 now(), 5, 'default', 'default', 'work', '{}'
             FROM generate_series(0, 98) AS day, generate_series(1, 500) AS n;
             INSERT INTO haul.outcome (id, finished_at, attempt, state, tenant)
             SELECT id, now(), 1, 1, 'default' FROM haul.job WHERE random() < 0.8;
             INSERT INTO haul.failure (job, attempt, at, retry_at, error)
             SELECT id, 1, now(), now(), 'no' FROM haul.job WHERE random() < 0.1;
             ANALYZE haul.job; ANALYZE haul.outcome; ANALYZE haul.failure",
        )
        .await;
    let newest = "SELECT array_agg(id) FROM (SELECT id FROM haul.job ORDER BY id DESC LIMIT 400) AS newest";
    let ids: Vec<Uuid> = sqlx::query_scalar(newest).fetch_one(&mut world.connection().await).await.expect("ids");
    (world, ids.into_iter().map(JobId).collect())
}

#[tokio::test]
async fn looking_ids_up_reads_by_index_and_only_their_own_days() {
    let (world, ids) = hundred_days().await;
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let (low, high) = (ids[ids.len() - 1], ids[0]);
    let array = format!("'{{{}}}'", ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(","));
    let mut connection = world.connection().await;
    sqlx::raw_sql("SET plan_cache_mode = force_custom_plan; SET enable_seqscan = off; SET jit = off")
        .execute(&mut connection)
        .await
        .expect("the settings of our sessions");
    let statements = [
        ("load", include_str!("../../sql/load.sql")),
        ("settled", include_str!("../../sql/settled.sql")),
        ("waiting", include_str!("../../sql/waiting.sql")),
        ("waiting_ids", include_str!("../../sql/waiting_ids.sql")),
    ];
    for (name, statement) in statements {
        let prepare = format!("PREPARE {name} (uuid[], uuid, uuid) AS {statement}");
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut connection).await.expect("the statement is prepared");
        let explain = format!("EXPLAIN EXECUTE {name} ({array}, '{low}', '{high}')");
        let plan: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(explain)).fetch_all(&mut connection).await.expect("a plan");
        let scans = |line: &&String| {
            line.contains(" on job_") || line.contains(" on outcome_") || line.contains(" on failure_")
        };
        let scans: Vec<&String> = plan.iter().filter(scans).collect();
        assert!(!scans.is_empty() && scans.iter().all(|line| line.contains("Index")), "{name}: {plan:#?}");
        assert!(scans.len() <= 6, "{name} looks at other days: {plan:#?}");
    }
}

#[tokio::test]
async fn everything_works_across_a_hundred_days() {
    let (world, newest) = hundred_days().await;
    let spread = "SELECT array_agg(id) FROM (SELECT id FROM haul.job ORDER BY md5(id::text) LIMIT 500) AS some_jobs";
    let spread: Vec<Uuid> = sqlx::query_scalar(spread).fetch_one(&mut world.connection().await).await.expect("ids");
    let spread: Vec<JobId> = spread.into_iter().map(JobId).collect();
    assert_eq!(world.ledger.load(&spread).await.expect("jobs are loaded").len(), 500);
    assert_eq!(world.ledger.load(&newest).await.expect("jobs are loaded").len(), newest.len());
    let unsettled = "SELECT count(*) FROM haul.job WHERE id NOT IN (SELECT id FROM haul.outcome)";
    let unsettled = world.number(unsettled).await;
    assert_eq!(world.unsettled().await.len() as i64, unsettled);
    while world.ledger.close_minutes().await.expect("minutes are closed") > 0 {}
    assert_eq!(world.unsettled().await.len() as i64, unsettled);
    let cancelled = world.ledger.cancel(&Default::default(), &spread, newest[0].created_at()).await;
    let now = cancelled.expect("jobs are cancelled").iter().filter(|answer| **answer == Cancelled::Now).count();
    assert_eq!(world.unsettled().await.len() as i64, unsettled - now as i64);
}

#[tokio::test]
async fn a_batch_over_midnight_goes_to_both_days() {
    let world = World::new().await;
    let midnight = now_id().created_at().as_ms().div_euclid(86_400_000) * 86_400_000;
    let at = |ms: i64| job(JobId::floor(haul_core::Timestamp::from_ms(midnight + ms)));
    let jobs: [Job; 2] = [at(-1), at(0)];
    world.accept(&jobs).await;
    let days = "SELECT count(DISTINCT tableoid) FROM haul.job";
    assert_eq!(world.number(days).await, 2);
}
