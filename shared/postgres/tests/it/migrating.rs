//! Migrations.

use crate::world::{connect, database, secret};
use haul_core::{
    JobError, JobId, Ledger, ProcessId, QueueSettings, Tenant, Timestamp,
    ledger::{Entry, Record},
};
use haul_postgres::{ConnectError, PostgresLedger, PostgresOptions, migrate};
use sqlx::{AssertSqlSafe, Connection, PgConnection, migrate::Migrator, postgres::PgPoolOptions};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Ours, to stop at an older version.
static MIGRATOR: Migrator = sqlx::migrate!();

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_may_migrate_at_once_and_again() {
    let url = secret(&database().await);
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { migrate(&url).await })
        })
        .collect();
    for start in starts {
        start.await.expect("no panic").expect("each of them finds the schema made");
    }
    migrate(&url).await.expect("once more changes nothing");
}

#[tokio::test]
async fn a_database_without_the_schema_is_refused_with_the_command_that_makes_it() {
    let url = database().await;
    let refusal = PostgresLedger::connect(PostgresOptions::new(secret(&url))).await.expect_err("there is no schema");
    assert!(matches!(refusal, ConnectError::NotMigrated { missing } if missing > 0), "{refusal:?}");
    assert!(refusal.to_string().contains("`haul migrate`"), "{refusal}");
}

#[tokio::test]
async fn everything_lives_in_the_schema_haul() {
    let url = database().await;
    migrate(&secret(&url)).await.expect("the schema is made");
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    let elsewhere = "SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname NOT IN ('haul', 'pg_catalog', 'information_schema', 'pg_toast')";
    let elsewhere: i64 = sqlx::query_scalar(elsewhere).fetch_one(&mut connection).await.expect("a count");
    assert_eq!(elsewhere, 0);
}

#[tokio::test]
async fn an_older_program_works_with_a_newer_schema() {
    let url = database().await;
    migrate(&secret(&url)).await.expect("the schema is made");
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    let later = "INSERT INTO haul._sqlx_migrations VALUES (999999, 'later', now(), true, '\\x00', 1)";
    sqlx::raw_sql(AssertSqlSafe(later)).execute(&mut connection).await.expect("a row");
    connect(&url).await.now().await.expect("it tells the time");
    migrate(&secret(&url)).await.expect("it has nothing to do, and does not complain");
}

/// The schema as the first released version left it, with rows that it wrote, brought up to date.
#[tokio::test]
async fn what_an_older_version_wrote_is_read_after_the_migration() {
    let url = database().await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&url).await.expect("a connection");
    MIGRATOR.run_to(2, &pool).await.expect("the schema of before");
    let before = "SELECT haul.prepare_day(current_date + day) FROM generate_series(-1, 1) AS day;
        CREATE TABLE written AS SELECT haul.enqueue('work', queue => 'mail') AS id;
        INSERT INTO haul.queue (tenant, name, paused) VALUES ('default', 'mail', true);
        INSERT INTO haul.queue_kind (tenant, queue, kind) VALUES ('default', 'mail', 'work');
        INSERT INTO haul.failure (job, attempt, at, retry_at, error) SELECT id, 1, now(), now(), 'no' FROM written;
        UPDATE haul.receipt SET taken_at = now() - interval '20 seconds'";
    sqlx::raw_sql(before).execute(&pool).await.expect("rows of before");
    migrate(&secret(&url)).await.expect("it is brought up to date");

    let ledger = connect(&url).await;
    let id: Uuid = sqlx::query_scalar("SELECT id FROM written").fetch_one(&pool).await.expect("its id");
    let loaded = ledger.load(&[JobId(id)]).await.expect("it is loaded");
    assert_eq!((loaded[0].failures, loaded[0].crashes), (1, 0), "what was written before was no crash");
    let record = ledger.job(&Tenant::default(), JobId(id)).await.expect("it is read").expect("it is there");
    assert!(!record.failures[0].crashed);
    let queues = ledger.queues().await.expect("queues are listed");
    assert_eq!(queues[0].settings, QueueSettings { paused: true, slots: 1 });
    let taken = ledger.take_receipts(ProcessId::random(), 10).await.expect("receipts are taken");
    assert_eq!(taken.len(), 1, "whoever took it then may be gone");
    // A process of before goes on for a while, and does not name the new column.
    let of_before = "INSERT INTO haul.failure (job, attempt, at, retry_at, error)
        SELECT id, 2, now(), now(), 'no' FROM written";
    sqlx::raw_sql(of_before).execute(&pool).await.expect("an older version's failure");
    let crash = Entry::Crashed(JobError::new("killed"), Timestamp::default());
    let (job, tenant, at) = (JobId(id), Tenant::default(), Timestamp::default());
    let record = Record { job, tenant, attempt: 3, at, entry: crash, follow_ups: Vec::new() };
    ledger.record(&[record], ProcessId::NOBODY).await.expect("a crash is recorded");
    let loaded = ledger.load(&[JobId(id)]).await.expect("it is loaded");
    assert_eq!((loaded[0].failures, loaded[0].crashes), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_waits_for_a_reader_keeps_nobody_waiting_behind_it() {
    let url = database().await;
    let pool = PgPoolOptions::new().max_connections(3).connect(&url).await.expect("a connection");
    MIGRATOR.run_to(2, &pool).await.expect("the schema of before");
    let mut backup = pool.begin().await.expect("a transaction");
    sqlx::raw_sql("LOCK TABLE haul.failure IN ACCESS SHARE MODE").execute(&mut *backup).await.expect("a lock");
    let url = secret(&url);
    let migrating = tokio::spawn(async move { migrate(&url).await });
    let begun = Instant::now();
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted)";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&pool).await.expect("an answer") {
        assert!(!migrating.is_finished(), "it waits for the backup");
        assert!(begun.elapsed() < Duration::from_secs(60), "it never asks for the lock");
    }
    let begun = Instant::now();
    sqlx::raw_sql("SELECT count(*) FROM haul.failure").execute(&pool).await.expect("others are let through");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(!migrating.is_finished(), "the backup goes on");
    backup.commit().await.expect("the backup ends");
    migrating.await.expect("no panic").expect("now it is brought up to date");
}
