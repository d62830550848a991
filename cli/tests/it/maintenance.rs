//! Maintenance out of the box: its schedules come along, and `haul up` runs its jobs.

use crate::{
    production::sql,
    world::{outcome, submit, until},
};
use haul_testkit::{
    postgres,
    process::{Command, Haul, haul},
};
use serde_json::json;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const KINDS: [&str; 3] = ["maintenance.partitions", "maintenance.statistics", "maintenance.audit"];
/// As long ago that every schedule has a tick that was missed.
const LONG_AGO: &str = "UPDATE haul.schedule SET fired_through = '2026-01-01T00:00:00Z', next_at = '2026-01-01'";

async fn up(command: Command) -> Haul {
    command.env("HAUL_MAINTENANCE_SCHEDULES", "true").start().await.expect("up")
}

/// Submits a job of each kind and reads its result by `haul get`.
async fn each_kind_runs(up: &Haul) {
    let client = up.client();
    for kind in KINDS {
        let id = submit(&client, json!({ "kind": kind, "payload": {}, "queue": "maintenance" })).await;
        let job = outcome(&client, &id).await;
        assert_eq!(job["state"], "succeeded", "{job}");
        assert!(job["outcome"]["result"]["took_ms"].is_u64(), "{job}");
        let read = haul(&["get", &id, "--url", up.url()]).run().expect("haul get");
        assert!(read.code == Some(0) && read.stdout.contains("took_ms"), "{read:?}");
    }
}

#[tokio::test]
async fn sqlite_is_maintained_and_its_schedules_come_along_once() {
    let mut up = up(haul(&["up"])).await;
    up.wait_output("maintenance is scheduled", LIMIT).expect("it says so");
    each_kind_runs(&up).await;
    up.kill().expect("kill -9");
    up.restart().expect("restart");
    up.wait_ready().await.expect("ready");
    each_kind_runs(&up).await;
    let again = up.output().iter().filter(|line| line.contains("maintenance is scheduled")).count();
    assert_eq!(again, 1, "they came along before");
}

#[tokio::test]
async fn postgres_is_maintained_by_ticks_and_what_was_deleted_stays_so() {
    let database = postgres::shared().database();
    let mut up = up(haul(&["up"]).env("DATABASE_URL", &database)).await;
    up.wait_output("maintenance is scheduled", LIMIT).expect("it says so");
    each_kind_runs(&up).await;
    sql(&database, LONG_AGO);
    let ran = |kind: &str| {
        format!(
            "SELECT count(*) FROM haul.job JOIN haul.outcome USING (id) WHERE state = 1 AND kind = '{kind}' \
             AND options::jsonb->'tags'->>'haul.schedule' = '{kind}'"
        )
    };
    for kind in KINDS {
        until(kind, LIMIT, || async { (sql(&database, &ran(kind)).trim() == "1").then_some(()) }).await;
    }
    sql(&database, "DELETE FROM haul.schedule WHERE name = 'maintenance.audit'");
    let count = || sql(&database, "SELECT count(*) FROM haul.schedule").trim().to_owned();
    let before = count();
    up.kill().expect("kill -9");
    up.restart().expect("restart");
    up.wait_ready().await.expect("ready");
    each_kind_runs(&up).await;
    assert_eq!(count(), before);
}

#[tokio::test]
async fn runs_are_told_by_metrics_and_a_failure_by_a_warning() {
    let up = up(haul(&["up"])).await;
    let client = up.client();
    let bad = json!({ "kind": "maintenance.statistics", "payload": { "days": 3 }, "queue": "maintenance" });
    let id = submit(&client, bad).await;
    assert_eq!(outcome(&client, &id).await["state"], "dead");
    up.wait_output("maintenance fails: its payload is not accepted: unknown field `days`", LIMIT).expect("a warning");
    each_kind_runs(&up).await;
    up.wait_output("maintenance works again", LIMIT).expect("its end");
    let metrics = haul_testkit::http::Client::new(up.ops_url()).get("/metrics").await.expect("metrics");
    let metrics = crate::world::text(&metrics);
    for end in ["succeeded", "failed"] {
        let line = format!("haul_maintenance_runs_total{{kind=\"maintenance.statistics\",end=\"{end}\"}} 1");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    assert!(metrics.contains("haul_maintenance_last_timestamp_seconds{kind=\"maintenance.audit\"}"), "{metrics}");
}
