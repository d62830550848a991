//! `/metrics` of every role, and who is alive.

use crate::{
    production::{Fleet, on},
    world::{outcome, submit, submit_bulk, text, until},
};
use haul_core::telemetry::{METRICS, Role, cap::QUEUES_MAX, metric};
use haul_testkit::{
    http::Client,
    process::{Haul, haul},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(60);

async fn metrics(url: &str) -> String {
    text(&Client::new(url).get("/metrics").await.expect("metrics"))
}

/// The metrics in a text, with their types.
fn shown(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

/// What a role has to show, once it has done something. What only appears with an event is named here.
fn expected(role: Role) -> impl Iterator<Item = &'static str> {
    let declared = METRICS.iter().filter(move |metric| metric.roles.contains(&role));
    declared.map(|metric| metric.name).filter(move |name| {
        let appears_later = ["haul_audit_last", "haul_maintenance_last"].iter().any(|begin| name.starts_with(begin));
        // Its own worker has run nothing yet.
        let of_attempts = metric(name).is_some_and(|metric| {
            metric.roles.contains(&Role::Worker)
                && metric.labels.iter().any(|label| ["queue", "kind"].contains(&label.name))
        });
        let no_follow_ups = role == Role::Worker && *name == "haul_jobs_accepted_total";
        !(appears_later || no_follow_ups || role == Role::Scheduler && of_attempts)
    })
}

#[tokio::test]
async fn each_role_shows_what_it_is_declared_to_show_and_nothing_else() {
    let fleet = Fleet::start(1).await;
    let scheduler: Haul = on(&fleet.database, &fleet.redis.url(), &["scheduler"]).start().await.expect("a scheduler");
    let id = submit(&fleet.client(), json!({ "kind": "echo", "payload": 1 })).await;
    outcome(&fleet.client(), &id).await;
    let roles = [
        (Role::Api, fleet.api.url().to_owned()),
        (Role::Worker, fleet.workers[0].ops_url().to_owned()),
        (Role::Scheduler, scheduler.ops_url().to_owned()),
        (Role::Lookout, scheduler.ops_url().to_owned()),
    ];
    for (role, url) in roles {
        let missing = std::sync::Mutex::new(Vec::new());
        let complete = until("it shows everything", LIMIT, || async {
            let text = metrics(&url).await;
            let shown = shown(&text);
            *missing.lock().unwrap() = expected(role).filter(|name| !shown.contains_key(name)).collect();
            missing.lock().unwrap().is_empty().then_some(text)
        });
        let Ok(text) = tokio::time::timeout(LIMIT / 2, complete).await else {
            panic!("{role:?} does not show {:?}", missing.lock().unwrap());
        };
        for (name, form) in shown(&text) {
            let declared = metric(name).unwrap_or_else(|| panic!("{name} is not declared"));
            assert_eq!(declared.form.as_str(), form, "{name}");
            let is_common = declared.roles == [Role::Lookout];
            let may_show = declared.roles.contains(&role) || matches!(role, Role::Scheduler | Role::Lookout);
            assert!(may_show && (!is_common || url == scheduler.ops_url()), "{role:?} shows {name}");
        }
    }
    let text = until("the queue is seen", LIMIT, || async {
        let text = metrics(scheduler.ops_url()).await;
        text.contains("haul_queue_jobs{queue=\"default\",state=\"ready\"} 0").then_some(text)
    })
    .await;
    for line in ["haul_processes{role=\"worker\"} 1", "haul_processes{role=\"api\"} 1", "haul_dispatch_evicts 0"] {
        assert!(text.lines().any(|shown| shown == line), "no {line} in {text}");
    }
}

#[tokio::test]
async fn of_two_schedulers_one_is_the_lookout_and_the_other_takes_over() {
    let fleet = Fleet::start(0).await;
    let start = async || on(&fleet.database, &fleet.redis.url(), &["scheduler"]).start().await.expect("a scheduler");
    let (mut first, second) = (start().await, start().await);
    let looks = async |url: &str| metrics(url).await.contains("haul_lookout_timestamp_seconds ");
    until("the first looks", LIMIT, || async { looks(first.ops_url()).await.then_some(()) }).await;
    until("the second leaves it to the first", LIMIT, || async { (!looks(second.ops_url()).await).then_some(()) })
        .await;
    first.kill().expect("kill -9");
    until("the second takes over", LIMIT, || async { looks(second.ops_url()).await.then_some(()) }).await;
}

#[tokio::test]
async fn queues_beyond_the_cap_share_a_series() {
    let up = haul(&["up"]).start().await.expect("up");
    let client = up.client();
    let queues = QUEUES_MAX + 20;
    let job = |n: usize| json!({ "kind": "echo", "queue": format!("queue-{n}"), "payload": 1, "delay": "1h" });
    submit_bulk(&client, (0..queues).map(job)).await;
    let text = until("the queues are seen", LIMIT, || async {
        let text = metrics(up.url()).await;
        text.contains("haul_queue_jobs{queue=\"other\",state=\"delayed\"}").then_some(text)
    })
    .await;
    let series = |begin: &str| text.lines().filter(|line| line.starts_with(begin)).count();
    for begin in ["haul_jobs_accepted_total{", "haul_queue_oldest_ready_seconds{"] {
        assert!((QUEUES_MAX..=QUEUES_MAX + 2).contains(&series(begin)), "{} series of {begin}", series(begin));
    }
    let began = Instant::now();
    let rendered = metrics(up.url()).await;
    println!("{} bytes, {} lines, in {:?}", rendered.len(), rendered.lines().count(), began.elapsed());
}

#[tokio::test]
async fn without_metrics_nothing_is_shown_and_everything_works() {
    let up = haul(&["up"]).env("HAUL_METRICS_ENABLED", "false").start().await.expect("up");
    let id = submit(&up.client(), json!({ "kind": "echo", "payload": 1 })).await;
    outcome(&up.client(), &id).await;
    assert_eq!(metrics(up.url()).await, "");
}

#[tokio::test]
async fn workers_are_listed_with_their_slots() {
    let up = haul(&["up"]).start().await.expect("up");
    let listed = until("the process has told of its slots", LIMIT, || async {
        let finished = haul(&["workers", "ls"]).env("HAUL_URL", up.url()).run().expect("it runs");
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.stdout.contains("all").then_some(finished.stdout)
    })
    .await;
    let (head, row) = listed.split_once('\n').expect("two lines");
    assert!(head.starts_with("ROLE") && head.contains("SLOTS"), "{listed}");
    let pid = up.pid().expect("it runs").to_string();
    assert!(row.starts_with("up") && row.contains(&pid) && row.contains("100"), "{listed}");
}
