//! `haul.enqueue` and its sibling in Rust: a job in a transaction of the user's own.

use crate::world::{World, id_ago, job, now_id};
use futures::StreamExt;
use haul_core::{
    JobId, Ledger, Tenant,
    ledger::{ReceiptId, UnsettledPage},
};
use haul_postgres::{Enqueue, enqueue};
use sqlx::{Connection, Row};
use std::time::{Duration, Instant};
use tokio::time::timeout;

async fn enqueue_sql(world: &World, arguments: &str) -> Result<JobId, String> {
    let statement = format!("SELECT haul.enqueue({arguments})");
    let row = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_one(&mut world.connection().await).await;
    row.map(|row| JobId(row.get(0))).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_job_exists_if_and_only_if_its_transaction_commits() {
    let world = World::new().await;
    let mut connection = world.connection().await;
    let mut transaction = connection.begin().await.expect("a transaction begins");
    sqlx::raw_sql("SELECT haul.enqueue('work')").execute(&mut *transaction).await.expect("a job is enqueued");
    assert_eq!(world.unsettled().await, []);
    transaction.rollback().await.expect("it is rolled back");
    assert_eq!(world.unsettled().await, []);
    assert_eq!(world.ledger.take_receipts(haul_core::ProcessId::random(), 10).await.expect("receipts are taken"), []);

    let id = enqueue_sql(
        &world,
        "'work', '{\"a\": 1}', 'mail', priority => 2, max_attempts => 3, timeout => '90 s', \
        deadline => '2031-01-02 03:04:05.678+01', tags => '{\"order\": \"7\"}', tenant => 'acme'",
    )
    .await
    .expect("a job is enqueued");
    let acme = Tenant::new("acme").expect("a tenant");
    let record = world.ledger.job(&acme, id).await.expect("a job is read").expect("it is there");
    assert_eq!((record.job.queue.as_str(), record.job.kind.as_str(), record.job.priority.get()), ("mail", "work", 2));
    assert_eq!(&record.job.payload[..], b"{\"a\": 1}");
    assert_eq!((record.job.options.retry.max_attempts, record.job.options.timeout.as_ms()), (3, 90_000));
    assert_eq!(record.job.options.deadline.map(|time| time.to_string()).as_deref(), Some("2031-01-02T02:04:05.678Z"));
    assert_eq!(record.job.options.tags.get("order").map(String::as_str), Some("7"));
    assert!(record.job.run_at <= record.job.created_at(), "it is due at once");
}

#[tokio::test]
async fn its_receipt_is_taken_at_once_and_leads_to_the_job() {
    let world = World::new().await;
    let id = enqueue_sql(&world, "'work', queue => 'unheard-of'").await.expect("a job is enqueued");
    let receipts = world.ledger.take_receipts(haul_core::ProcessId::random(), 10).await.expect("receipts are taken");
    assert_eq!(receipts.iter().map(|receipt| receipt.id).collect::<Vec<_>>(), [ReceiptId(id)]);
    world.ledger.reopen(receipts[0].first, receipts[0].last).await.expect("its minute is open");
    assert!(world.ledger.queues().await.expect("queues are listed").is_empty());
    let UnsettledPage { jobs, .. } = world.ledger.unsettled(None, None, 10).await.expect("unsettled jobs are read");
    assert_eq!(jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
    let queues = world.ledger.queues().await.expect("queues are listed");
    assert_eq!(queues[0].queue.queue.as_str(), "unheard-of", "its queue became known when it was found");
}

#[tokio::test]
async fn a_commit_is_heard_within_milliseconds() {
    let world = World::new().await;
    let mut events = world.ledger.events();
    // The first event says that the stream listens.
    timeout(Duration::from_secs(10), events.next()).await.expect("it listens");
    let mut connection = world.connection().await;
    let mut transaction = connection.begin().await.expect("a transaction begins");
    for _ in 0..20 {
        sqlx::raw_sql("SELECT haul.enqueue('work')").execute(&mut *transaction).await.expect("a job is enqueued");
    }
    let early = timeout(Duration::from_millis(200), events.next()).await;
    assert!(early.is_err(), "nothing is heard before the commit");
    transaction.commit().await.expect("it commits");
    let committed = Instant::now();
    timeout(Duration::from_secs(5), events.next()).await.expect("the commit is heard");
    assert!(committed.elapsed() < Duration::from_millis(500), "{:?}", committed.elapsed());
    let more = timeout(Duration::from_millis(200), events.next()).await;
    assert!(more.is_err(), "twenty jobs of one transaction are one event");
}

#[tokio::test]
async fn events_survive_a_lost_connection_and_speak_once_more() {
    let world = World::new().await;
    let mut events = world.ledger.events();
    timeout(Duration::from_secs(10), events.next()).await.expect("it listens");
    world
        .sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        .await;
    timeout(Duration::from_secs(10), events.next()).await.expect("it says that something may have been missed");
    enqueue_sql(&world, "'work'").await.expect("a job is enqueued");
    timeout(Duration::from_secs(5), events.next()).await.expect("it listens again");
}

#[tokio::test]
async fn bad_arguments_are_refused_with_the_argument_and_what_is_accepted() {
    let world = World::new().await;
    let bad = [
        ("''", "kind must have 1 to 100 letters"),
        ("'a:b'", "kind must have"),
        ("repeat('x', 101)", "kind must have"),
        ("NULL", "kind must have"),
        ("'é'", "kind must have"),
        ("'work', queue => '../etc'", "queue must have"),
        ("'work', tenant => ''", "tenant must have"),
        ("'work', priority => 10", "priority must be 0"),
        ("'work', priority => -1", "priority must be 0"),
        ("'work', NULL", "payload must be JSON"),
        ("'work', to_jsonb(repeat('x', 300000))", "payload must be JSON of at most"),
        ("'work', run_at => now(), delay => '1 s'", "run_at and delay exclude each other"),
        ("'work', run_at => 'infinity'", "run_at must lie within ten years"),
        ("'work', delay => '11 years'", "delay must lie within ten years"),
        ("'work', delay => '-1 s'", "delay must not be negative"),
        ("'work', max_attempts => 0", "max_attempts must be 1 to 1000"),
        ("'work', timeout => '0'", "timeout must be"),
        ("'work', timeout => '2 days'", "timeout must be"),
        ("'work', deadline => 'infinity'", "deadline must be"),
        ("'work', tags => '[1]'", "tags must be an object"),
        ("'work', tags => '{\"a\": 1}'", "tags must be at most 16"),
    ];
    for (arguments, expected) in bad {
        let refusal = enqueue_sql(&world, arguments).await.expect_err(arguments);
        assert!(refusal.contains(expected), "{arguments}: {refusal}");
    }
    assert_eq!(world.unsettled().await, []);
}

#[tokio::test]
async fn an_application_needs_only_usage_of_the_schema() {
    let world = World::new().await;
    let role = format!("app_{}", now_id().0.simple());
    world.sql(&format!("CREATE ROLE {role}; GRANT USAGE ON SCHEMA haul TO {role}")).await;
    world.sql(&format!("SET ROLE {role}; SELECT haul.enqueue('work')")).await;
    assert_eq!(world.unsettled().await.len(), 1);
    let mut connection = world.connection().await;
    let steal = format!("SET ROLE {role}; SELECT * FROM haul.job");
    assert!(sqlx::raw_sql(sqlx::AssertSqlSafe(steal)).execute(&mut connection).await.is_err());
}

#[tokio::test]
async fn an_open_transaction_keeps_nobody_waiting() {
    let world = World::new().await;
    let mut connection = world.connection().await;
    let mut open = connection.begin().await.expect("a transaction begins");
    sqlx::raw_sql("SELECT haul.enqueue('new-kind', queue => 'new-queue')")
        .execute(&mut *open)
        .await
        .expect("a job is enqueued");
    let beside = async {
        enqueue_sql(&world, "'new-kind', queue => 'new-queue'").await.expect("another transaction enqueues the same");
        let mut same = job(now_id());
        same.queue = haul_core::Queue::new("new-queue").expect("a queue");
        world.accept(&[same]).await;
        world.ledger.prepare_ahead().await.expect("storage is prepared");
        world.accept(&[job(id_ago(Duration::from_secs(40 * 24 * 3_600)))]).await;
    };
    timeout(Duration::from_secs(10), beside).await.expect("nothing waits for the open transaction");
    open.commit().await.expect("it commits");
    assert_eq!(world.unsettled().await.len(), 4);
}

#[tokio::test]
async fn a_day_without_storage_is_told_with_what_to_do() {
    let world = World::new().await;
    let drop_today = "DO $$ BEGIN EXECUTE format('DROP TABLE haul.job%s', to_char(clock_timestamp() AT TIME ZONE 'UTC', \
        '\"_\"YYYYMMDD')); END $$";
    world.sql(drop_today).await;
    let refusal = enqueue_sql(&world, "'work'").await.expect_err("there is no partition");
    assert!(refusal.contains("there is no storage for today's jobs"), "{refusal}");
}

#[tokio::test]
async fn services_in_rust_enqueue_in_their_own_transaction() {
    let world = World::new().await;
    let mut connection = world.connection().await;
    let mut transaction = connection.begin().await.expect("a transaction begins");
    let payload = serde_json::json!({"order": 7, "note": "nul \u{0}"});
    let order = || Enqueue::new("order.ship", &payload).expect("it is JSON").queue("orders");
    let kept = order().delay(Duration::from_secs(60)).tag("order", "7").priority(1).timeout(Duration::from_secs(9));
    let id = enqueue(&mut transaction, kept).await.expect("a job is enqueued");
    transaction.commit().await.expect("it commits");
    let record = world.ledger.job(&Tenant::default(), id).await.expect("a job is read").expect("it is there");
    assert_eq!(&record.job.payload[..], b"{\"note\":\"nul \\u0000\",\"order\":7}", "byte for byte, unlike jsonb");
    let wait = record.job.run_at.since(record.job.created_at());
    assert!(wait > Duration::from_secs(55) && wait < Duration::from_secs(65), "{wait:?}");
    assert_eq!((record.job.priority.get(), record.job.options.tags.len()), (1, 1));

    let mut transaction = connection.begin().await.expect("another begins");
    enqueue(&mut transaction, order()).await.expect("a job is enqueued");
    drop(transaction);
    assert_eq!(world.unsettled().await, [id]);

    let mut transaction = connection.begin().await.expect("another begins");
    let bad = [order().queue("no spaces"), order().tenant(""), order().priority(10), order().max_attempts(0)];
    for job in bad {
        enqueue(&mut transaction, job).await.expect_err("it is refused");
    }
    enqueue(&mut transaction, order()).await.expect("a refusal leaves the transaction as it was");
    transaction.commit().await.expect("it commits");
    assert_eq!(world.unsettled().await.len(), 2);
}

#[tokio::test]
async fn ids_made_by_the_database_grow() {
    let world = World::new().await;
    let mut ids = Vec::new();
    let mut connection = world.connection().await;
    for _ in 0..200 {
        let row = sqlx::query("SELECT haul.enqueue('work')").fetch_one(&mut connection).await.expect("a job");
        ids.push(JobId(row.get(0)));
    }
    assert!(ids.is_sorted());
    assert_eq!(ids[0].0.get_version_num(), 7);
    assert_eq!(ids[0].0.get_variant(), uuid::Variant::RFC4122);
}
