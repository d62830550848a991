//! `cargo xtask bench core`: the main path on Postgres and Redis, with everything on one machine.

use super::{
    http::Connection,
    report::Report,
    stage::{Counter, Stage, address, commit, cpu_seconds},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

const CLIENTS: usize = 64;
const DRAIN_MAX: Duration = Duration::from_secs(120);
const PICKUPS: usize = 400;
const PICKUP_EVERY: Duration = Duration::from_millis(20);
const PICKUP_MAX: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(20);
/// How long things may calm down before what is measured next.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures everything, in the order of the report.
pub(crate) async fn measure(jobs: usize, seconds: u64, binary: Option<&Path>) -> Result<Report> {
    let stage = Stage::set_up(binary)?;
    let mut report = Report::new("core", commit());
    report.add("bare Postgres", stage.bare_rows_per_second()?, "rows/s in commits of 1,000", "");

    let api = stage.start(&["api"]).await?;
    let api_address = address(api.url())?.to_owned();
    let health =
        hammer(&api_address, Duration::from_secs(3), async |connection| connection.get("/healthz").await).await?;
    report.add("bare HTTP", health.rate, "answers/s of the API's /healthz", "");

    let rate = bulk(&api_address, jobs).await?;
    report.add("bulk submit", rate, "jobs/s, one request, each committed", "");
    report.relate("bare Postgres");

    let worker = stage.start(&["worker"]).await?;
    let mut done = Counter::open(worker.ops_url(), "haul_attempts_total", "outcome=\"succeeded\"").await?;
    let rate = done.rate_until(jobs as f64, DRAIN_MAX).await?;
    report.add("drain", rate, "no-op jobs/s, one worker, each recorded", ">= 40000");
    report.relate("bare Postgres");
    let cpu = cpu_seconds(&worker)? / jobs as f64 * 1e6;
    report.add("worker CPU", cpu, "us per no-op job", "");
    stage.wait_settled(jobs, DRAIN_MAX).await?;
    drop(worker);

    let submit = submit_body(r#"{"sleep":"0s"}"#);
    let singles = hammer(&api_address, Duration::from_secs(seconds), async |connection| {
        connection.post("/v1/jobs", submit.as_bytes()).await
    })
    .await?;
    report.add("single submits", singles.rate, "jobs/s from 64 connections, answered after their commit", ">= 15000");
    report.relate("bare HTTP");
    report.add("single submit p50", singles.percentile_ms(0.5), "ms", "");
    report.add("single submit p99", singles.percentile_ms(0.99), "ms", "");

    let worker = stage.start(&["worker"]).await?;
    stage.wait_settled(jobs + singles.latencies.len(), DRAIN_MAX).await?;
    sleep(SETTLE).await;
    let mut pickups = pickups(&api_address).await?;
    pickups.sort_unstable();
    report.add("pickup p50", percentile_ms(&pickups, 0.5), "ms from the 201 to the handler's own request", "< 2");
    report.add("pickup p99", percentile_ms(&pickups, 0.99), "ms", "");

    sleep(SETTLE).await;
    let before = cpu_seconds(&api)? + cpu_seconds(&worker)?;
    sleep(IDLE).await;
    let used = cpu_seconds(&api)? + cpu_seconds(&worker)? - before;
    report.add("idle api + worker", used / IDLE.as_secs_f64() * 100.0, "% of a core", "< 1");
    Ok(report)
}

/// A submit of an `echo` with a payload of about 200 bytes, as the peers are measured.
fn submit_body(payload: &str) -> String {
    let padding = "x".repeat(180_usize.saturating_sub(payload.len()));
    let payload = payload.trim_end_matches('}');
    format!(r#"{{"kind":"echo","payload":{payload},"pad":"{padding}"}}}}"#)
}

/// Submits through one bulk request. Returns jobs per second, from the first byte sent to the last line received.
async fn bulk(address: &str, jobs: usize) -> Result<f64> {
    let mut lines = String::new();
    for number in 0..jobs {
        writeln!(lines, "{}", submit_body(&format!(r#"{{"number":{number}}}"#)))?;
    }
    let connection = Connection::open(address).await?;
    let begun = Instant::now();
    let last = connection.post_bulk("/v1/jobs/bulk", lines.into_bytes()).await?;
    let elapsed = begun.elapsed();
    let summary: serde_json::Value = serde_json::from_str(&last).with_context(|| format!("not a summary: {last}"))?;
    ensure!(summary["accepted"] == jobs, "bulk answered {last}");
    Ok(jobs as f64 / elapsed.as_secs_f64())
}

struct Hammered {
    rate: f64,
    latencies: Vec<Duration>,
}

impl Hammered {
    fn percentile_ms(&self, share: f64) -> f64 {
        percentile_ms(&self.latencies, share)
    }
}

fn percentile_ms(sorted: &[Duration], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share) as usize).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
}

/// Sends one request after the other on each of 64 connections.
async fn hammer<F>(address: &str, time: Duration, request: F) -> Result<Hammered>
where
    F: AsyncFn(&mut Connection) -> Result<super::http::Answer>,
{
    let begun = Instant::now();
    let client = async || -> Result<Vec<Duration>> {
        let mut connection = Connection::open(address).await?;
        let mut latencies = Vec::new();
        while begun.elapsed() < time {
            let sent = Instant::now();
            let answer = request(&mut connection).await?;
            if !matches!(answer.status, 200 | 201) {
                bail!("answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
            }
            latencies.push(sent.elapsed());
        }
        Ok(latencies)
    };
    let all = futures::future::try_join_all((0..CLIENTS).map(|_| client())).await?;
    let elapsed = begun.elapsed();
    let mut latencies: Vec<Duration> = all.into_iter().flatten().collect();
    latencies.sort_unstable();
    Ok(Hammered { rate: latencies.len() as f64 / elapsed.as_secs_f64(), latencies })
}

/// Submits a job every 20 ms that calls us back. Returns the times from the submit's answer to the call: handler start, plus
/// what a local HTTP request takes.
async fn pickups(address: &str) -> Result<Vec<Duration>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let (arrivals, mut arrived) = mpsc::channel(16);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answer_calls(stream, arrivals.clone()));
        }
    });
    let body = format!(
        r#"{{"kind":"http.request","payload":{{"method":"GET","url":"http://127.0.0.1:{port}/"}},"max_attempts":1}}"#
    );
    let mut connection = Connection::open(address).await?;
    let mut times = Vec::with_capacity(PICKUPS);
    for _ in 0..PICKUPS {
        let answer = connection.post("/v1/jobs", body.as_bytes()).await?;
        let answered = Instant::now();
        ensure!(answer.status == 201, "answered {}", answer.status);
        let arrival: Instant =
            timeout(PICKUP_MAX, arrived.recv()).await.context("a job was not picked up")?.context("nobody listens")?;
        times.push(arrival.saturating_duration_since(answered));
        sleep(PICKUP_EVERY).await;
    }
    Ok(times)
}

/// Answers calls on one connection, and tells when each began.
async fn answer_calls(stream: TcpStream, arrivals: mpsc::Sender<Instant>) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    loop {
        let Some(_request_line) = lines.next_line().await? else { return Ok(()) };
        arrivals.send(Instant::now()).await?;
        while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    }
}
