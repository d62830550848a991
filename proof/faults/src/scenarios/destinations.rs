//! Three third parties: one hangs, one answers 503, one is well and must not notice.

use crate::{
    evidence::now_ms,
    load::{Mix, Part},
    scenario::Scenario,
    stage::{Setup, Stage},
};
use anyhow::{Result, ensure};
use haul_testkit::http::{Client, Reply, Request, Sink};
use serde_json::json;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often the healthy one is called.
const CALL_EVERY: Duration = Duration::from_millis(20);
/// What a p99 of milliseconds is not measured more exactly than.
const NOISE_MS: i64 = 50;
/// No p99 is above this where a slot is free; where calls that hang have them all, it is many times their timeout.
const LATE_MS: i64 = 1_500;
/// Failures in a row that open a breaker.
const FAILURES: usize = 3;
/// Calls in flight to one destination.
const IN_FLIGHT: usize = 8;
/// How long it is measured how things were before.
const BEFORE: Duration = Duration::from_secs(4);

/// How long two of them are ill.
#[derive(Clone, Copy)]
struct Time {
    ill: Duration,
    /// Between two jobs for each of the two.
    job_every: Duration,
    /// Whether the time that calls to the healthy one take is compared, which wants a machine that does nothing else.
    compares: bool,
}

const SHORT: Time = Time { ill: Duration::from_secs(9), job_every: CALL_EVERY, compares: false };
const LONG: Time = Time { ill: Duration::from_secs(600), job_every: Duration::from_millis(200), compares: true };

pub(super) fn all() -> Vec<Scenario> {
    let env = vec![
        ("HAUL_PACE_FAILURES", FAILURES.to_string()),
        ("HAUL_PACE_IN_FLIGHT", IN_FLIGHT.to_string()),
        ("HAUL_PACE_OPEN_BASE", "500ms".to_owned()),
        ("HAUL_PACE_OPEN_CAP", "2s".to_owned()),
    ];
    vec![
        Scenario::new(
            "destinations",
            "Of three third parties with the same traffic, one begins to hang and one to answer 503; the third is well.",
            |stage| Box::pin(ill(stage, SHORT)),
        )
        .short()
        .on(Setup { builtin: true, env: env.clone(), ..Setup::default() })
        .shows(50, 1),
        Scenario::new(
            "destinations-for-minutes",
            "The same for ten minutes; calls to the third take at most twice as long as just before.",
            |stage| Box::pin(ill(stage, LONG)),
        )
        .on(Setup { builtin: true, env, ..Setup::default() })
        .takes(Duration::from_secs(900))
        .shows(50, 1),
    ]
}

/// How a destination answers while it is ill.
#[derive(Clone, Copy)]
enum Illness {
    Hangs,
    Fails,
}

/// A third party: when it was called, how late, and whether it is ill.
struct Destination {
    sink: Sink,
    is_ill: Arc<AtomicBool>,
    /// When a request came, and how long after its job was submitted.
    calls: Arc<Mutex<Vec<(i64, i64)>>>,
}

impl Destination {
    async fn start(illness: Illness) -> Result<Self> {
        let is_ill = Arc::new(AtomicBool::new(false));
        let calls = Arc::<Mutex<Vec<(i64, i64)>>>::default();
        let (ill, kept) = (is_ill.clone(), calls.clone());
        let answering = move |request: &Request| {
            let now = now_ms();
            let sent = request.path.trim_start_matches('/').parse::<i64>().unwrap_or(now);
            kept.lock().unwrap_or_else(PoisonError::into_inner).push((now, now - sent));
            match illness {
                _ if !ill.load(Ordering::Relaxed) => Reply::status(200),
                Illness::Hangs => Reply::hang(),
                Illness::Fails => Reply::status(503),
            }
        };
        Ok(Self { sink: Sink::answering(answering).await?, is_ill, calls })
    }

    fn set_ill(&self, is_ill: bool) {
        self.is_ill.store(is_ill, Ordering::Relaxed);
    }

    fn calls(&self) -> Vec<(i64, i64)> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How late, in milliseconds, 99 of 100 calls of this time at most were; and how many there were.
    fn p99_ms(&self, from_ms: i64, to_ms: i64) -> (i64, usize) {
        let in_time = |(at, _): &(i64, i64)| (from_ms..to_ms).contains(at);
        let mut late: Vec<i64> = self.calls().into_iter().filter(in_time).map(|(_, late)| late).collect();
        late.sort_unstable();
        (late.get(late.len() * 99 / 100).copied().unwrap_or(0), late.len())
    }

    fn job(&self) -> serde_json::Value {
        let payload = json!({"method": "POST", "url": self.sink.url(&format!("/{}", now_ms()))});
        json!({"kind": "http.request", "payload": payload, "timeout": "2s"})
    }

    /// Submits a job for it again and again. A submit that fails is one call less, and shows in the rate.
    fn called_every(self: &Arc<Self>, client: Client, time: Duration) -> AbortOnDrop<()> {
        let called = self.clone();
        AbortOnDrop(tokio::spawn(async move {
            let mut tick = interval(time);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while client.post("/v1/jobs", &called.job()).await.is_ok() {
                tick.tick().await;
            }
        }))
    }

    /// Failed attempts of its jobs, in the ledger.
    fn failures(&self, stage: &Stage) -> Result<usize> {
        self.count(stage, "haul.failure JOIN haul.job ON job.id = failure.job", "true")
    }

    /// Its jobs that have not succeeded.
    fn undelivered(&self, stage: &Stage) -> Result<usize> {
        let succeeded = "EXISTS (SELECT FROM haul.outcome WHERE outcome.id = job.id AND outcome.state = 1)";
        self.count(stage, "haul.job", &format!("NOT {succeeded}"))
    }

    fn count(&self, stage: &Stage, from: &str, which: &str) -> Result<usize> {
        let url = self.sink.url("/");
        let of_it = format!("position('{url}' IN convert_from(job.payload, 'UTF8')) > 0");
        Ok(stage.books.sql(&format!("SELECT count(*) FROM {from} WHERE {which} AND {of_it}"))?.trim().parse()?)
    }
}

async fn ill(stage: &mut Stage, time: Time) -> Result<()> {
    let hanging = Arc::new(Destination::start(Illness::Hangs).await?);
    let failing = Arc::new(Destination::start(Illness::Fails).await?);
    let healthy = Arc::new(Destination::start(Illness::Fails).await?);
    stage.load(&Mix { clients: 2, ..Mix::of(vec![Part::of(1, "http.request", 5)]) });
    let calling = [
        healthy.called_every(stage.client(), CALL_EVERY),
        hanging.called_every(stage.client(), time.job_every),
        failing.called_every(stage.client(), time.job_every),
    ];
    sleep(Duration::from_secs(1)).await;
    let before_ms = now_ms();
    sleep(BEFORE).await;
    let ill_ms = now_ms();

    stage.begin("two third parties are ill");
    let calls_of = || [hanging.calls().len(), failing.calls().len()];
    let calls_before = calls_of();
    for sick in [&hanging, &failing] {
        sick.set_ill(true);
    }
    sleep(time.ill).await;
    let calls = [calls_of()[0] - calls_before[0], calls_of()[1] - calls_before[1]];
    let failures = [hanging.failures(stage)?, failing.failures(stage)?];
    let waiting = [hanging.undelivered(stage)?, failing.undelivered(stage)?];
    let well_ms = now_ms();
    for sick in [&hanging, &failing] {
        sick.set_ill(false);
    }
    stage.end();
    drop(calling);
    // First of all: while something waits, these three have to stay.
    let delivered = async || Ok(hanging.undelivered(stage)? + failing.undelivered(stage)? == 0);
    Stage::until("all that waited is delivered", Duration::from_secs(120), delivered).await?;

    let (before, count_before) = healthy.p99_ms(before_ms, ill_ms);
    let (during, count_during) = healthy.p99_ms(ill_ms, well_ms);
    let per_second = |calls: usize, from: i64, to: i64| calls as f64 * 1_000.0 / (to - from).max(1) as f64;
    let rates = [per_second(count_before, before_ms, ill_ms), per_second(count_during, ill_ms, well_ms)];
    println!(
        "destinations: healthy p99 {before} ms then {during} ms, {:.0}/s then {:.0}/s; while ill {} calls to the one that \
         hangs ({} attempts used, {} jobs waiting), {} to the one that fails ({} used, {} waiting)",
        rates[0], rates[1], calls[0], failures[0], waiting[0], calls[1], failures[1], waiting[1]
    );
    let late = if time.compares { (2 * before).max(NOISE_MS) } else { LATE_MS };
    ensure!(during <= late, "the healthy one waits: p99 {during} ms after {before} ms");
    let kept = if time.compares { 0.9 } else { 0.5 };
    ensure!(rates[1] >= rates[0] * kept, "the healthy one is called less often: {rates:?} per second");
    for (number, name) in ["hangs", "fails"].into_iter().enumerate() {
        let (calls, failures, waiting) = (calls[number], failures[number], waiting[number]);
        // Those under way when it opened, and then one probe for each time that it was open: half a second and more.
        let probes_max = 6 + usize::try_from(time.ill.as_millis() / 1_600)?;
        let calls_max = IN_FLIGHT + FAILURES + probes_max;
        ensure!(calls <= calls_max, "the one that {name} was called {calls} times, more than {calls_max}");
        // Not the calls that came: one may fail before it is read.
        ensure!(failures <= calls_max, "waiting used up attempts: {failures} failures in {calls} calls");
        ensure!(waiting > 4 * calls_max / 3, "only {waiting} jobs waited for the one that {name}: that proves nothing");
    }
    Ok(())
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
