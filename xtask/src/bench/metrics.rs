//! `cargo xtask bench metrics`: what measuring costs, and how long a scrape of many series takes.
//!
//! The cost is CPU time of Haul's own processes (API, worker, scheduler; neither the stores nor the load generator), user
//! and system, per job, of the same prepared load with metrics and without. Both of a pair run at the same time, phase by
//! phase: what the machine does besides meets both of them, and it may change what the same work costs by a fifth from one
//! second to the next. Each has servers and processes of its own; their start and a first few jobs are over before it counts.
//! The jobs are submitted while their queue is paused and run afterwards, so that commits and claims are full in every run:
//! that is when a job costs least, and so when measuring it weighs most.

use super::{
    http::Connection,
    report::Report,
    stage::{Stage, address, commit, cpu_seconds},
};
use anyhow::{Result, ensure};
use futures::future::try_join_all;
use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};
use tokio::{sync::Barrier, task::JoinSet, time::sleep, try_join};

/// What is switched off by this is all that differs.
const SWITCH: &str = "HAUL_METRICS_ENABLED";
const CONNECTIONS: usize = 4;
const BATCH_JOBS: usize = 500;
/// Jobs that run before it counts: connections, statements and handles are there then.
const WARM_UP_JOBS: usize = 5_000;
/// More often than Prometheus does (15 s), so that no run goes without.
const SCRAPE_EVERY: Duration = Duration::from_secs(5);
/// What comes after the last answer, such as the end of leases, is counted in.
const SETTLE: Duration = Duration::from_secs(1);
const SETTLED_MAX: Duration = Duration::from_secs(300);
const QUEUES: usize = 1_000;
const SCRAPES: usize = 20;
/// How long it may take until one process shows what it sees of all queues.
const LOOKOUT_MAX: Duration = Duration::from_secs(60);

/// Measures everything, in the order of the report.
pub(crate) async fn measure(pairs: usize, jobs: usize, binary: Option<&Path>) -> Result<Report> {
    let mut one = Stage::set_up(binary)?;
    let mut other = one.another()?;
    let mut report = Report::new("metrics", commit());
    let (warm_up, load) = (batches(WARM_UP_JOBS), batches(jobs));
    let jobs = jobs_of(&load);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        one.renew()?;
        other.renew()?;
        // In turns, as nobody knows whether the servers of the one are quicker.
        let [plain, measured] = if pair % 2 == 0 { [&one, &other] } else { [&other, &one] };
        let together = Barrier::new(2);
        let (plain, measured) =
            try_join!(run(plain, &together, &warm_up, &load, false), run(measured, &together, &warm_up, &load, true))?;
        for (side, runs, used) in [("without", &mut without, plain), ("with", &mut with, measured)] {
            let used = used.per(jobs);
            println!("xtask: pair {}, {side}: {:.2} + {:.2} us per job", pair + 1, used.submit, used.run);
            runs.push(used);
        }
    }
    report_cost(&mut report, &without, &with);
    drop(other);
    one.renew()?;
    scrape(&one, &mut report).await?;
    Ok(report)
}

/// CPU time of submitting and of running.
#[derive(Clone, Copy)]
struct Used {
    submit: f64,
    run: f64,
}

impl Used {
    /// Seconds of so many jobs, as microseconds of one.
    fn per(self, jobs: usize) -> Self {
        let us = |seconds: f64| seconds / jobs as f64 * 1e6;
        Self { submit: us(self.submit), run: us(self.run) }
    }

    fn both(self) -> f64 {
        self.submit + self.run
    }
}

fn report_cost(report: &mut Report, without: &[Used], with: &[Used]) {
    type Part = fn(Used) -> f64;
    let parts: [(&str, &str, &str, Part); 3] = [
        ("submit, without metrics", "submit, with", "us of CPU per job, submitted in batches of 500", |used| {
            used.submit
        }),
        ("run, without metrics", "run, with", "us of CPU per no-op job", |used| used.run),
        ("both, without metrics", "both, with", "us of CPU per job", Used::both),
    ];
    for (base, measured, unit, part) in parts {
        report.add(base, median(without.iter().map(|used| part(*used))), unit, "");
        report.add(measured, median(with.iter().map(|used| part(*used))), unit, "");
        report.relate(base);
    }
    let percent = |with: f64, without: f64| (with / without - 1.0) * 100.0;
    let both = |side: &[Used]| median(side.iter().map(|used| used.both()));
    report.add("cost of metrics", percent(both(with), both(without)), "% of CPU per job, between the medians", "< 3");
    let of_pairs = with.iter().zip(without).map(|(with, without)| percent(with.both(), without.both()));
    report.add("cost, median of the pairs", median(of_pairs.clone()), "%", "");
    let (least, most) = of_pairs.fold((f64::MAX, f64::MIN), |(least, most), cost| (least.min(cost), most.max(cost)));
    report.add("cost, least of the pairs", least, "%", "");
    report.add("cost, most of the pairs", most, "%", "");
}

/// The load once, on processes of its own, each phase together with the other of its pair. Returns seconds of CPU.
async fn run(
    stage: &Stage,
    together: &Barrier,
    warm_up: &[Vec<u8>],
    load: &[Vec<u8>],
    with_metrics: bool,
) -> Result<Used> {
    let switch = [(SWITCH, if with_metrics { "true" } else { "false" })];
    let mut roles = Vec::new();
    for role in ["api", "worker", "scheduler"] {
        roles.push(stage.start_with(&[role], &switch).await?);
    }
    let api = address(roles[0].url())?.to_owned();
    submit(&api, warm_up).await?;
    stage.wait_settled(jobs_of(warm_up), SETTLED_MAX).await?;
    let tell = async |change: &str| -> Result<()> {
        // A connection of its own: one that is idle for long is closed.
        let mut connection = Connection::open(&api).await?;
        let answer = connection.post(&format!("/v1/queues/default/{change}"), b"").await?;
        ensure!(answer.status == 200, "{change} was answered {}", answer.status);
        Ok(())
    };
    tell("pause").await?;
    let mut scrapers = JoinSet::new();
    if with_metrics {
        for role in &roles {
            scrapers.spawn(scrape_on(address(role.ops_url())?.to_owned()));
        }
    }
    let used = || -> Result<f64> { roles.iter().map(cpu_seconds).sum() };

    together.wait().await;
    sleep(SETTLE).await;
    let begun = used()?;
    submit(&api, load).await?;
    together.wait().await;
    sleep(SETTLE).await;
    let submitted = used()?;
    tell("resume").await?;
    stage.wait_settled(jobs_of(warm_up) + jobs_of(load), SETTLED_MAX).await?;
    sleep(SETTLE).await;
    let settled = used()?;
    // Ending its processes is work, too, and the other may not be there yet.
    together.wait().await;
    // One that has ended was answered wrongly or not at all.
    if let Some(ended) = scrapers.try_join_next() {
        ended??;
    }
    Ok(Used { submit: submitted - begun, run: settled - submitted })
}

/// Bodies of `POST /v1/jobs/batch`, made beforehand: no-op jobs with a payload of about 200 bytes.
fn batches(jobs: usize) -> Vec<Vec<u8>> {
    let job =
        |number: usize| format!(r#"{{"kind":"echo","payload":{{"number":{number},"pad":"{}"}}}}"#, "x".repeat(170));
    let batch = |batch: usize| {
        let jobs: Vec<String> = (0..BATCH_JOBS).map(|n| job(batch * BATCH_JOBS + n)).collect();
        format!(r#"{{"jobs":[{}]}}"#, jobs.join(",")).into_bytes()
    };
    (0..jobs.div_ceil(BATCH_JOBS)).map(batch).collect()
}

fn jobs_of(batches: &[Vec<u8>]) -> usize {
    batches.len() * BATCH_JOBS
}

/// Sends all of them, on a few connections.
async fn submit(api: &str, batches: &[Vec<u8>]) -> Result<()> {
    let shares = batches.chunks(batches.len().div_ceil(CONNECTIONS).max(1)).map(async |share| {
        let mut connection = Connection::open(api).await?;
        for batch in share {
            let answer = connection.post("/v1/jobs/batch", batch).await?;
            ensure!(answer.status == 201, "{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        anyhow::Ok(())
    });
    try_join_all(shares).await.map(drop)
}

/// As Prometheus does, until it is aborted.
async fn scrape_on(ops: String) -> Result<()> {
    loop {
        // One that is idle for so long is closed.
        let answer = Connection::open(&ops).await?.get("/metrics").await?;
        ensure!(answer.status == 200 && !answer.body.is_empty(), "/metrics was answered {}", answer.status);
        sleep(SCRAPE_EVERY).await;
    }
}

/// `/metrics` of one process that is everything: what it did in 1,000 queues, and what waits in them.
async fn scrape(stage: &Stage, report: &mut Report) -> Result<()> {
    let up = stage.start(&["up"]).await?;
    let api = address(up.url())?.to_owned();
    let waiting = one_in_each_queue(r#""delay":"1h","#)?;
    let running = one_in_each_queue("")?;
    submit(&api, &[waiting]).await?;
    submit(&api, std::slice::from_ref(&running)).await?;
    stage.wait_settled(QUEUES, SETTLED_MAX).await?;
    let ops = address(up.ops_url())?;
    wait_for_lookout(ops).await?;
    let (mut times, mut bytes, mut series) = (Vec::new(), 0, 0);
    for round in 2..SCRAPES + 2 {
        // So that each series has something new.
        submit(&api, std::slice::from_ref(&running)).await?;
        stage.wait_settled(round * QUEUES, SETTLED_MAX).await?;
        let mut connection = Connection::open(ops).await?;
        let begun = Instant::now();
        let answer = connection.get("/metrics").await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        ensure!(answer.status == 200, "/metrics was answered {}", answer.status);
        bytes = answer.body.len();
        series = String::from_utf8(answer.body)?.lines().filter(|line| !line.starts_with('#')).count();
    }
    report.add("series with 1,000 queues", series as f64, "lines of /metrics, of one process that has all roles", "");
    report.add("size", bytes as f64 / 1e6, "MB", "");
    report.add("scrape, median", median(times.iter().copied()), "ms from the request to the last byte", "< 50");
    report.add("scrape, worst of 20", times.into_iter().fold(0.0, f64::max), "ms", "< 50");
    Ok(())
}

/// A batch with a job for each queue.
fn one_in_each_queue(options: &str) -> Result<Vec<u8>> {
    let mut body = String::from(r#"{"jobs":["#);
    for queue in 0..QUEUES {
        let comma = if queue == 0 { "" } else { "," };
        write!(body, r#"{comma}{{"kind":"echo","queue":"orders-of-customer-{queue}",{options}"payload":{queue}}}"#)?;
    }
    body.push_str("]}");
    Ok(body.into_bytes())
}

/// Waits until it is shown what waits in the last of the queues.
async fn wait_for_lookout(ops: &str) -> Result<()> {
    let last = format!("haul_queue_jobs{{queue=\"orders-of-customer-{}\",state=\"delayed\"}} 1", QUEUES - 1);
    let end = Instant::now() + LOOKOUT_MAX;
    loop {
        let text = String::from_utf8(Connection::open(ops).await?.get("/metrics").await?.body)?;
        if text.lines().any(|line| line == last) {
            return Ok(());
        }
        ensure!(Instant::now() < end, "no {last} after {LOOKOUT_MAX:?}");
        sleep(Duration::from_millis(500)).await;
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}
