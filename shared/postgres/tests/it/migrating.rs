//! Migrations.

use crate::world::{connect, database, secret};
use haul_core::Ledger;
use haul_postgres::{ConnectError, PostgresLedger, PostgresOptions, migrate};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

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
}
