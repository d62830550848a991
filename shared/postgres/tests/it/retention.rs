//! Retention in Postgres: what partitions add to the promises of every ledger.

use crate::world::{World, id_ago, job, now_id, success};
use haul_core::{
    Job, Ledger, Maintenance, ProcessId, Tenant,
    ledger::{Cancelled, NewJob, Recorded},
    maintenance::{Retained, Retention},
};
use sqlx::{Executor, PgConnection};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How many tables of days before today there are.
const OLD_TABLES: &str = "SELECT count(*) FROM pg_class WHERE relnamespace = 'haul'::regnamespace AND relkind = 'r'
    AND relname ~ '^(job|outcome|failure)_[0-9]{8}$' AND right(relname, 8)::date < current_date - 1";

async fn step(world: &World, keep_days: u32) -> Retained {
    world.ledger.retain(&Retention::days(keep_days)).await.expect("a step of retention is taken")
}

async fn retain(world: &World, keep_days: u32) -> Retained {
    let mut retained = Retained::default();
    for _ in 0..1_000 {
        retained.add(&step(world, keep_days).await);
        if !retained.more {
            return retained;
        }
    }
    panic!("retention does not end");
}

/// Fills in ended jobs of so many days ago, and some that have not ended.
async fn fill(world: &World, days_ago: u32, ended: u32, unfinished: u32) {
    world
        .sql(&format!(
            "SELECT haul.prepare_day(current_date - {days_ago});
             CREATE TEMPORARY TABLE filled AS
             SELECT overlay(haul.id_floor((current_date - {days_ago})::timestamptz + n * interval '50 us')::text
                 placing substr(gen_random_uuid()::text, 20) from 20)::uuid AS id, n
             FROM generate_series(1, {ended} + {unfinished}) AS n;
             INSERT INTO haul.job (id, run_at, priority, tenant, queue, kind, payload)
             SELECT id, now(), 5, 'default', 'default', 'work', '{{\"a\":1}}' FROM filled;
             INSERT INTO haul.outcome (id, finished_at, attempt, state, tenant)
             SELECT id, (current_date - {days_ago})::timestamptz + interval '1 hour', 1, 1, 'default'
             FROM filled WHERE n > {unfinished};
             ANALYZE haul.job; ANALYZE haul.outcome; DROP TABLE filled"
        ))
        .await;
}

/// Accepts a job at a time until told to stop; gives how long each took.
async fn submit(ledger: Arc<haul_postgres::PostgresLedger>, is_over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut took = Vec::new();
    while !is_over.load(Ordering::Acquire) {
        let new = NewJob { job: job(now_id()), idempotency: None };
        let begun = Instant::now();
        ledger.accept(&[new], ProcessId::NOBODY, &[]).await.expect("a job is accepted");
        took.push(begun.elapsed());
    }
    took
}

async fn drops_a_day(ended: u32) {
    let world = World::new().await;
    fill(&world, 10, ended, 100).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let quiet = tokio::spawn(submit(world.ledger.clone(), is_over.clone()));
    tokio::time::sleep(Duration::from_secs(2)).await;
    is_over.store(true, Ordering::Release);
    let quiet = quiet.await.expect("submits go on");
    is_over.store(false, Ordering::Release);
    let beside = tokio::spawn(submit(world.ledger.clone(), is_over.clone()));
    let (begun, mut closing, mut dropping) = (Instant::now(), Duration::ZERO, Duration::ZERO);
    let mut retained = Retained::default();
    loop {
        let step_begun = Instant::now();
        let step = step(&world, 3).await;
        if step.days_closed == 1 {
            closing = step_begun.elapsed();
        }
        if step.days_dropped == 1 {
            dropping = step_begun.elapsed();
        }
        retained.add(&step);
        if !step.more {
            break;
        }
    }
    let all = begun.elapsed();
    is_over.store(true, Ordering::Release);
    let beside = beside.await.expect("submits go on");
    let longest = |took: &[Duration]| took.iter().max().copied().unwrap_or_default();
    println!(
        "{ended} jobs: all {all:?}, of which closing {closing:?}, dropping {dropping:?}; longest submit {:?} before ({}), \
         {:?} beside ({})",
        longest(&quiet),
        quiet.len(),
        longest(&beside),
        beside.len()
    );
    assert_eq!((retained.days_closed, retained.days_dropped, retained.jobs_moved), (1, 1, 100));
    assert_eq!(world.number(OLD_TABLES).await, 0);
    assert_eq!(world.number("SELECT count(*) FROM haul.kept_job").await, 100);
    assert_eq!(world.unsettled().await.len(), 100 + quiet.len() + beside.len());
    assert!(dropping < Duration::from_secs(1), "dropping took {dropping:?}");
    assert!(longest(&beside) < longest(&quiet) + Duration::from_millis(500), "a submit stood still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_is_dropped_at_once_beside_submits_and_without_what_is_unfinished() {
    drops_a_day(20_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; run it alone"]
async fn a_day_of_a_million_jobs_is_dropped_within_a_second() {
    drops_a_day(1_000_000).await;
}

/// A transaction that has written into the day of the job.
async fn open_writer(connection: &mut PgConnection, old: &Job) {
    connection.execute("BEGIN").await.expect("a transaction begins");
    let insert = "INSERT INTO haul.failure (job, attempt, at, retry_at, error) VALUES ($1, 7, now(), now(), 'open')";
    sqlx::query(insert).bind(old.id.0).execute(connection).await.expect("a row is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_with_an_open_writer_is_closed_when_that_has_ended() {
    let world = World::new().await;
    let (old, other) = (job(id_ago(DAY * 10)), job(id_ago(DAY * 20)));
    world.accept(&[old.clone(), other]).await;
    let mut connection = world.connection().await;
    open_writer(&mut connection, &old).await;
    let begun = Instant::now();
    let retained = retain(&world, 3).await;
    assert_eq!((retained.days_closed, retained.days_dropped), (1, 1), "the other day: {retained:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "it waits for a moment only");
    world.accepted().await;
    connection.execute("COMMIT").await.expect("it ends");
    assert_eq!(retain(&world, 3).await.days_closed, 1);
    let record = world.ledger.job(&old.tenant, old.id).await.expect("a job is looked up").expect("it is there");
    assert_eq!(record.failures.len(), 1, "what the open transaction wrote came along");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_waits_for_the_move_of_its_job_is_written_once_where_it_is_then() {
    let world = World::new().await;
    let old = job(id_ago(DAY * 10));
    world.accept(std::slice::from_ref(&old)).await;
    assert_eq!(step(&world, 300).await, Retained { more: true, ..Retained::default() }, "the survey");
    // The move is held right before its commit, by hand.
    let mut mover = world.connection().await;
    mover.execute("SET statement_timeout = '20s'; BEGIN").await.expect("a transaction begins");
    let day = old.id.created_at().to_chrono().date_naive();
    let closed = sqlx::query_scalar::<_, i32>("SELECT haul.close_day($1, 100)").bind(day).fetch_one(&mut mover).await;
    let closed = match closed {
        Ok(closed) => closed,
        Err(error) => panic!("the day is closed: {error}"),
    };
    assert_eq!(closed, 1);
    let (ledger, record) = (world.ledger.clone(), success(&old));
    let waiting = tokio::spawn(async move { ledger.record(&[record], ProcessId::NOBODY).await });
    world.wait_for("SELECT count(*) FROM pg_locks WHERE NOT granted").await;
    mover.execute("COMMIT").await.expect("the move ends");
    let recorded = waiting.await.expect("no panic").expect("the record is answered").records;
    assert_eq!(recorded, [Recorded::Committed]);
    let again = world.ledger.record(&[success(&old)], ProcessId::NOBODY).await.expect("a record is answered");
    assert_eq!(again.records, [Recorded::Stale]);
    assert_eq!(world.number("SELECT count(*) FROM haul.every_outcome").await, 1);
    assert_eq!(world.number("SELECT count(*) FROM haul.kept_outcome").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drop_that_a_long_transaction_stops_half_way_is_finished_later() {
    let world = World::new().await;
    fill(&world, 10, 50, 0).await;
    retain(&world, 300).await;
    let mut connection = world.connection().await;
    connection.execute("BEGIN; SELECT count(*) FROM haul.job").await.expect("a transaction reads");
    let stopped = retain(&world, 3).await;
    assert_eq!(stopped.days_dropped, 0);
    let pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";
    assert_eq!(world.number(pending).await, 1, "one is half detached");
    // Nobody is kept waiting, and the day is gone for whoever looks from now on.
    world.accepted().await;
    assert_eq!(world.number("SELECT count(*) FROM haul.job").await, 1);
    // Whatever is to be kept now, what was begun is ended.
    connection.execute("COMMIT").await.expect("it ends");
    assert_eq!(retain(&world, 300).await.days_dropped, 1);
    assert_eq!((world.number(pending).await, world.number(OLD_TABLES).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retention_that_dies_between_its_steps_is_gone_on_with() {
    let world = World::new().await;
    for tables_gone in ["job", "job, failure", "job, failure, outcome"] {
        fill(&world, 10, 50, 1).await;
        let kept = retain(&world, 300).await;
        assert_eq!((kept.days_closed, kept.jobs_moved), (1, 1));
        world.sql("UPDATE haul.day SET is_dropping = true").await;
        for table in tables_gone.split(", ") {
            let name = "haul.{table}_' || to_char(current_date - 10, 'YYYYMMDD')".replace("{table}", table);
            world
                .sql(&format!(
                    "DO $$ BEGIN EXECUTE 'ALTER TABLE haul.{table} DETACH PARTITION ' || '{name};
                     EXECUTE 'DROP TABLE ' || '{name}; END $$"
                ))
                .await;
        }
        assert_eq!(retain(&world, 3).await.days_dropped, 1, "{tables_gone}");
        assert_eq!(world.number(OLD_TABLES).await, 0);
        // For the next turn: a day that was dropped is never made again by anyone.
        world.sql("UPDATE haul.retention SET closed_before = '00000000-0000-0000-0000-000000000000'").await;
    }
    assert_eq!(world.unsettled().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_very_many_unfinished_jobs_stays_open() {
    let world = World::new().await;
    fill(&world, 10, 10, 20_001).await;
    fill(&world, 11, 10, 0).await;
    let retained = retain(&world, 3).await;
    assert_eq!((retained.days_closed, retained.days_held, retained.days_dropped), (1, 1, 1));
    let late = job(id_ago(DAY * 10));
    world.accept(std::slice::from_ref(&late)).await;
    world.sql("UPDATE haul.day SET held_at = now() - interval '2 hours'").await;
    world.sql("DELETE FROM haul.job WHERE id IN (SELECT id FROM haul.job ORDER BY id LIMIT 1000 OFFSET 100)").await;
    let retained = retain(&world, 3).await;
    assert_eq!((retained.days_closed, retained.days_held, retained.days_dropped), (1, 0, 1));
    assert!(retained.jobs_moved > 19_000);
    assert!(world.ledger.job(&late.tenant, late.id).await.expect("a job is looked up").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_lists_of_closing_do_not_know_is_found_all_the_same() {
    let world = World::new().await;
    fill(&world, 10, 200, 5).await;
    // History is closed before the jobs are there: no list names them.
    world.sql("UPDATE haul.closing SET closed_through = haul.id_floor(now()); DELETE FROM haul.straggler").await;
    assert_eq!(world.unsettled().await.len(), 0);
    assert_eq!(retain(&world, 3).await.jobs_moved, 5);
    assert_eq!(world.unsettled().await.len(), 5, "and is looked for from now on");
    while world.ledger.close_minutes().await.expect("minutes are closed") > 0 {}
    assert_eq!(world.unsettled().await.len(), 5, "sweeping leaves it alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_outlives_its_day_and_sends_for_a_payment_cannot_be_cancelled() {
    let world = World::new().await;
    fill(&world, 10, 1, 2).await;
    retain(&world, 3).await;
    let kept = world.unsettled().await;
    let sends = kept[0];
    world
        .sql(&format!(
            "INSERT INTO haul.payment (id, tenant, state, unfinished, amount, currency, body)
             VALUES ('{sends}', 'default', 'pending', true, 1, 'EUR', '{{}}');
             INSERT INTO haul.payment_job (job, payment, operation, has_sent) VALUES ('{sends}', '{sends}', 1, true)"
        ))
        .await;
    let now = world.ledger.now().await.expect("it tells the time");
    let cancelled = world.ledger.cancel(&Tenant::default(), &kept, now).await.expect("a cancel is answered");
    assert_eq!(cancelled, [Cancelled::TooLate, Cancelled::Now]);
    assert_eq!(world.unsettled().await, [sends]);
}
