//! Connecting, and what a server that is unfit or gone is answered with.

use crate::world::{World, job, now_id, secret, success};
use haul_core::{
    Ledger, ProcessId,
    ledger::{LedgerError, NewJob},
};
use haul_postgres::{ConnectError, MigrateError, PostgresLedger, PostgresOptions, migrate};
use haul_testkit::postgres::Server;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

async fn own_server() -> Server {
    tokio::task::spawn_blocking(Server::start).await.expect("no panic").expect("a server starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_may_lose_commits_is_refused() {
    let mut server = own_server().await;
    let url = server.url("postgres");
    migrate(&secret(&url)).await.expect("the schema is made");
    server.psql("postgres", "ALTER SYSTEM SET fsync = off").expect("the setting is written");
    server.stop().expect("it stops");
    server.restart().expect("it starts again");
    let refusal = PostgresLedger::connect(PostgresOptions::new(secret(&url))).await.expect_err("fsync is off");
    assert!(matches!(refusal, ConnectError::NotDurable { setting: "fsync" }), "{refusal:?}");
    assert!(refusal.to_string().contains("fsync = on"), "{refusal}");
    assert!(!refusal.is_transient());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_at_once() {
    let options = PostgresOptions::new(secret("postgres://postgres@127.0.0.1:1/none"));
    let connect = timeout(Duration::from_secs(5), PostgresLedger::connect(options));
    let refusal = connect.await.expect("it does not wait").expect_err("nobody listens on port 1");
    assert!(refusal.is_transient(), "{refusal:?}");
}

#[tokio::test]
async fn a_wrong_url_is_not_worth_another_try() {
    let world = World::new().await;
    let nowhere = world.url.replace("copy_", "no_such_");
    for url in ["not a url", &nowhere] {
        let refusal = PostgresLedger::connect(PostgresOptions::new(secret(url))).await.expect_err("there is none");
        assert!(matches!(refusal, ConnectError::Refused(_)), "{url}: {refusal:?}");
        let refusal = migrate(&secret(url)).await.expect_err("there is none");
        assert!(matches!(refusal, MigrateError::Refused(_)), "{url}: {refusal:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_server_is_survived() {
    let mut server = own_server().await;
    let url = server.url("postgres");
    migrate(&secret(&url)).await.expect("the schema is made");
    let options = PostgresOptions { acquire_timeout: Duration::from_secs(2), ..PostgresOptions::new(secret(&url)) };
    let ledger = PostgresLedger::connect(options).await.expect("it is fit for use");
    let before = ledger.now().await.expect("it tells the time");
    server.stop().expect("it stops");
    let failure = ledger.now().await.expect_err("it is gone");
    assert!(matches!(failure, LedgerError::Unavailable(_)), "{failure:?}");
    server.restart().expect("it starts again");
    let ends_at = Instant::now() + Duration::from_secs(20);
    loop {
        match ledger.now().await {
            Ok(after) => break assert!(after >= before),
            Err(error) => assert!(error.is_transient() && Instant::now() < ends_at, "{error:?}"),
        }
    }
}

#[tokio::test]
async fn our_sessions_commit_to_disk_and_plan_for_the_ids_at_hand() {
    let world = World::new().await;
    // A role's own defaults must not weaken the promise.
    world
        .sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$")
        .await;
    world.accepted().await;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'haul'
        AND datname = current_database() AND backend_type = 'client backend'";
    assert!(world.number(sessions).await >= 1, "our sessions say who they are");
    let transactions = world.ledger.transactions().expect("Postgres has transactions");
    let mut transaction = transactions.begin(Duration::from_secs(5)).await.expect("a transaction begins");
    let transaction: &mut haul_postgres::Transaction = transaction.as_any_mut().downcast_mut().expect("our type");
    let setting: String =
        sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut **transaction).await.expect("a setting is shown");
    assert_eq!(setting, "on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_whose_answer_was_lost_are_sent_again_and_accepted_once() {
    let world = Arc::new(World::new().await);
    let killer = {
        let world = world.clone();
        tokio::spawn(async move {
            loop {
                world
                    .sql(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE application_name = 'haul' AND datname = current_database()",
                    )
                    .await;
            }
        })
    };
    let (mut accepted, mut lost) = (0, 0);
    while lost < 20 {
        let jobs: Vec<NewJob> = (0..50).map(|_| NewJob { job: job(now_id()), idempotency: None }).collect();
        loop {
            match world.ledger.accept(&jobs, ProcessId::NOBODY, &[]).await {
                Ok(_) => break accepted += jobs.len(),
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
            lost += 1;
        }
        let records: Vec<_> = jobs.iter().map(|new| success(&new.job)).collect();
        while let Err(error) = world.ledger.record(&records, ProcessId::NOBODY).await {
            assert!(error.is_transient(), "{error:?}");
            lost += 1;
        }
    }
    killer.abort();
    assert_eq!(world.number("SELECT count(*) FROM haul.job").await, accepted as i64);
    assert_eq!(world.number("SELECT count(*) FROM haul.outcome").await, accepted as i64);
    assert_eq!(world.number("SELECT count(*) FROM haul.receipt").await, (accepted / 50) as i64);
}
