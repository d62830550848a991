//! `haul scheduler`, two of them, on a real Postgres and a real Redis: stopped, killed, started anew.

use crate::{
    production::{Fleet, on, sql},
    world::until,
};
use haul_testkit::process::{Haul, haul};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const SCHEDULES: u32 = 20;

/// Schedules that fire every second from now on, made behind the API's back.
fn create_schedules(database: &str) {
    let position = "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
    let rows = format!(
        "INSERT INTO haul.schedule (id, tenant, name, paused, spec, template, fired_through, next_at) \
         SELECT gen_random_uuid(), 'default', 's' || n, false, '{{\"every\":\"1s\"}}', \
             '{{\"kind\":\"echo\",\"payload\":1}}', {position}, clock_timestamp() \
         FROM generate_series(1, {SCHEDULES}) AS n"
    );
    sql(database, &rows);
}

fn number(database: &str, statement: &str) -> u64 {
    sql(database, statement).trim().parse().expect("a number")
}

const TICKS: &str = "SELECT options::jsonb->'tags'->>'haul.schedule' AS schedule, \
    (options::jsonb->'tags'->>'haul.tick')::timestamptz AS tick FROM haul.job";

fn jobs(database: &str) -> u64 {
    number(database, "SELECT count(*) FROM haul.job")
}

async fn until_jobs(database: &str, more: u64) {
    let wanted = jobs(database) + more;
    until("more ticks have fired", LIMIT, || async { (jobs(database) >= wanted).then_some(()) }).await;
}

#[tokio::test]
async fn every_tick_has_one_job_whichever_scheduler_is_stopped_or_killed() {
    let fleet = Fleet::start(1).await;
    let database = &fleet.database;
    let command = on(database, &fleet.redis.url(), &["scheduler"]);
    let start = async || -> Haul { command.start().await.expect("scheduler") };
    let (mut first, mut second) = (start().await, start().await);
    create_schedules(database);
    let round = u64::from(SCHEDULES) * 3;
    until_jobs(database, round).await;
    first.signal("STOP").expect("SIGSTOP");
    until_jobs(database, round).await;
    first.signal("CONT").expect("SIGCONT");
    second.kill().expect("kill -9");
    until_jobs(database, round).await;
    first.kill().expect("kill -9");
    // Nobody is there for a moment: what was due then is on time for whoever comes.
    second.restart().expect("restart");
    second.wait_ready().await.expect("ready");
    until_jobs(database, round).await;

    sql(database, "UPDATE haul.schedule SET paused = true, version = version + 1");
    let ticks = number(database, &format!("SELECT count(*) FROM ({TICKS}) AS fired"));
    let distinct = number(database, &format!("SELECT count(*) FROM (SELECT DISTINCT * FROM ({TICKS}) AS fired) AS x"));
    assert_eq!(ticks, distinct, "no tick has two jobs");
    let span = "extract(epoch FROM max(tick) - min(tick))::bigint + 1";
    let gaps = format!(
        "SELECT count(*) FROM (SELECT 1 FROM ({TICKS}) AS fired GROUP BY schedule HAVING count(*) <> {span}) AS x"
    );
    assert_eq!(number(database, &gaps), 0, "no tick has none");
    until("every job has ended", LIMIT, || async {
        let open = "SELECT count(*) FROM haul.job LEFT JOIN haul.outcome USING (id) WHERE outcome.id IS NULL";
        (number(database, open) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn up_fires_schedules_too() {
    let database = haul_testkit::postgres::shared().database();
    let _up = haul(&["up"]).env("DATABASE_URL", &database).start().await.expect("up");
    create_schedules(&database);
    let succeeded = "SELECT count(*) FROM haul.outcome WHERE state = 1";
    let wanted = u64::from(SCHEDULES) * 2;
    until("jobs of ticks have run", LIMIT, || async { (number(&database, succeeded) >= wanted).then_some(()) }).await;
}
