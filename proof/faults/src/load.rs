//! The client load: submits jobs over HTTP, and writes down what it was promised.
//!
//! Each submit has an idempotency key, and is sent again under it until it is answered for good. What a client does not
//! know, it writes down as unknown: only a 201 is a promise. A run's mix and pauses follow from its seed.

use crate::{
    evidence::{Event, Step, now_ms},
    work::Work,
};
use anyhow::{Context, Result, bail};
use haul_testkit::http::{Answer, Client};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    io::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// How long a client waits for an answer before it counts as lost.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long a client tries to learn what became of one submit.
const TRIES_MAX: Duration = Duration::from_secs(60);

/// A part of the load: jobs of one kind.
#[derive(Debug, Clone)]
pub struct Part {
    /// How often, beside the others.
    pub weight: u32,
    /// The kind.
    pub kind: &'static str,
    /// How long each works, in milliseconds: from, to.
    pub ms: (u64, u64),
    /// How much later than its submit each is due, in milliseconds: from, to.
    pub delay_ms: (u64, u64),
    /// When all of them are due, if at one time.
    pub due_at_ms: Option<i64>,
    /// How many attempts of each fail: from, to.
    pub fails: (u32, u32),
    /// The timeout of an attempt, if not the default.
    pub timeout: Option<&'static str>,
}

impl Part {
    /// Jobs of this kind that are due at once and work for up to so long.
    #[must_use]
    pub fn of(weight: u32, kind: &'static str, ms_max: u64) -> Self {
        Self { weight, kind, ms: (0, ms_max), delay_ms: (0, 0), due_at_ms: None, fails: (0, 0), timeout: None }
    }
    /// Due later than its submit.
    #[must_use]
    pub fn delayed(mut self, from_ms: u64, to_ms: u64) -> Self {
        self.delay_ms = (from_ms, to_ms);
        self
    }
    /// All due at the same time, which is to lie in the future.
    #[must_use]
    pub fn due_at(mut self, due_at_ms: i64) -> Self {
        self.due_at_ms = Some(due_at_ms);
        self
    }
    /// Each working for so long.
    #[must_use]
    pub fn lasting(mut self, from_ms: u64, to_ms: u64) -> Self {
        self.ms = (from_ms, to_ms);
        self
    }
    /// With attempts that fail.
    #[must_use]
    pub fn failing(mut self, from: u32, to: u32) -> Self {
        self.fails = (from, to);
        self
    }
    /// With a timeout per attempt.
    #[must_use]
    pub fn timeout(mut self, timeout: &'static str) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// A bit of everything: effects, naps, failures with retries, rows in the job's own transaction, delayed jobs, and some
/// that are due only long after the run and have to stay reachable.
#[must_use]
pub fn everything() -> Vec<Part> {
    let hour_ms = 3_600_000;
    vec![
        Part::of(40, "effect", 50),
        Part::of(20, "nap", 100),
        Part::of(10, "flaky", 10).failing(1, 2),
        Part::of(10, "ledger-effect", 20),
        Part::of(15, "effect", 10).delayed(200, 3_000),
        Part::of(5, "nap", 1).delayed(hour_ms, 2 * hour_ms),
    ]
}

/// Jobs whose end depends on nothing but being run.
#[must_use]
pub fn plain() -> Vec<Part> {
    vec![Part::of(60, "effect", 20), Part::of(40, "nap", 50)]
}

/// What a load is made of.
#[derive(Debug, Clone)]
pub struct Mix {
    /// The kinds.
    pub parts: Vec<Part>,
    /// Clients at a time, each with one submit under way.
    pub clients: usize,
    /// The pause of a client between two submits, on the average, in milliseconds.
    pub pause_ms: u64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { parts: everything(), clients: 4, pause_ms: 40 }
    }
}

impl Mix {
    /// The default load, of other jobs.
    #[must_use]
    pub fn of(parts: Vec<Part>) -> Self {
        Self { parts, ..Self::default() }
    }
}

/// The history, in memory and as lines of JSON in a file.
pub struct History {
    events: Mutex<(Vec<Event>, std::fs::File)>,
    acknowledged: watch::Sender<u64>,
}

impl History {
    /// An empty one.
    pub fn new(file: std::fs::File) -> Self {
        Self { events: Mutex::new((Vec::new(), file)), acknowledged: watch::Sender::new(0) }
    }

    /// Writes down a step.
    pub fn write(&self, key: &str, step: Step) -> Result<()> {
        let is_ok = matches!(step, Step::Ok { .. });
        let event = Event { at_ms: now_ms(), key: key.to_owned(), step };
        let line = serde_json::to_string(&event)? + "\n";
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.1.write_all(line.as_bytes()).context("the history cannot be written")?;
        events.0.push(event);
        drop(events);
        if is_ok {
            self.acknowledged.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// What was written so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// How many submits were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        *self.acknowledged.borrow()
    }

    /// Waits until so many submits are acknowledged.
    pub async fn wait_acknowledged(&self, count: u64, limit: Duration) -> Result<()> {
        let mut acknowledged = self.acknowledged.subscribe();
        let enough = timeout(limit, acknowledged.wait_for(|acknowledged| *acknowledged >= count)).await;
        match enough {
            Ok(_) => Ok(()),
            Err(_) => bail!("only {} of {count} submits were acknowledged within {limit:?}", self.acknowledged()),
        }
    }
}

/// Where clients submit, and what the jobs are to know.
#[derive(Clone)]
pub struct Door {
    client: Client,
    history: Arc<History>,
    effects_url: String,
    numbers: Arc<AtomicU64>,
}

impl Door {
    /// Submits go to `api`; the effects of built-in kinds to `effects_url`.
    #[must_use]
    pub fn new(api: Client, history: Arc<History>, effects_url: String) -> Self {
        Self { client: api, history, effects_url, numbers: Arc::default() }
    }

    /// The history that it writes.
    #[must_use]
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// Submits one job, as often as it takes. Its id, when it was acknowledged.
    pub async fn submit(&self, part: &Part, rng: &mut StdRng) -> Result<Option<String>> {
        let key = format!("k{}", self.numbers.fetch_add(1, Ordering::Relaxed));
        let body = self.body(part, &key, rng);
        self.history.write(&key, Step::Invoke { kind: part.kind.to_owned() })?;
        let end = Instant::now() + TRIES_MAX;
        loop {
            let request = http::Request::post("/v1/jobs")
                .header("content-type", "application/json")
                .header("idempotency-key", &key);
            let answer = timeout(ANSWER_MAX, self.client.send(request, body.to_string().into())).await;
            let why = match answer {
                Err(_) => format!("no answer within {ANSWER_MAX:?}"),
                Ok(Err(error)) => format!("{error:#}"),
                Ok(Ok(answer)) if answer.status == 201 => {
                    let job = id_of(&answer)?;
                    self.history.write(&key, Step::Ok { job: job.clone() })?;
                    return Ok(Some(job));
                }
                // The key is in use: by our own try before this one.
                Ok(Ok(answer)) if answer.status == 409 || answer.status == 429 || answer.status >= 500 => {
                    answer.status.to_string()
                }
                Ok(Ok(answer)) => {
                    self.history.write(&key, Step::Fail { status: answer.status })?;
                    return Ok(None);
                }
            };
            self.history.write(&key, Step::Unknown { why })?;
            if Instant::now() >= end {
                return Ok(None);
            }
            sleep(Duration::from_millis(rng.random_range(50..250))).await;
        }
    }

    /// Submits many jobs of a part in few requests, each item with a key of its own. Fails unless all are accepted.
    pub async fn submit_many(&self, part: &Part, count: usize, rng: &mut StdRng) -> Result<()> {
        const ITEMS: usize = 2_000;
        let mut left = count;
        while left > 0 {
            let mut keys = Vec::new();
            let mut lines = String::new();
            for _ in 0..left.min(ITEMS) {
                let key = format!("k{}", self.numbers.fetch_add(1, Ordering::Relaxed));
                let mut body = self.body(part, &key, rng);
                body["idempotency_key"] = json!(key);
                lines += &format!("{body}\n");
                self.history.write(&key, Step::Invoke { kind: part.kind.to_owned() })?;
                keys.push(key);
            }
            let request = http::Request::post("/v1/jobs/bulk").header("content-type", "application/x-ndjson");
            let answer = self.client.send(request, lines.into()).await?;
            let text = String::from_utf8_lossy(&answer.body);
            for (key, line) in keys.iter().zip(text.lines()) {
                let item: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
                let Some(job) = item["id"].as_str() else { bail!("not accepted: {line}") };
                self.history.write(key, Step::Ok { job: job.to_owned() })?;
            }
            left -= keys.len();
        }
        Ok(())
    }

    /// Cancels the job of a submit, once. Whether it was told that it is cancelled.
    pub async fn cancel(&self, key: &str, job: &str) -> Result<bool> {
        self.history.write(key, Step::Cancel)?;
        let answer = timeout(ANSWER_MAX, self.client.post(&format!("/v1/jobs/{job}/cancel"), &json!({}))).await;
        let cancelled = matches!(answer, Ok(Ok(answer)) if answer.status == 200);
        if cancelled {
            self.history.write(key, Step::Cancelled)?;
        }
        Ok(cancelled)
    }

    fn body(&self, part: &Part, key: &str, rng: &mut StdRng) -> Value {
        let ms = rng.random_range(part.ms.0..=part.ms.1);
        let fails = rng.random_range(part.fails.0..=part.fails.1);
        let delay_ms = match part.due_at_ms {
            Some(due_at_ms) => u64::try_from(due_at_ms - now_ms()).unwrap_or(0),
            None => rng.random_range(part.delay_ms.0..=part.delay_ms.1),
        };
        let payload = match part.kind {
            "http.request" => {
                json!({ "method": "POST", "url": format!("{}/effect/{key}", self.effects_url), "body": { "ref": key } })
            }
            _ => json!(Work { key: key.to_owned(), ms, fails }),
        };
        let retry = json!({ "base": "100ms", "cap": "1s" });
        let mut body = json!({ "kind": part.kind, "payload": payload, "max_attempts": 50, "retry": retry });
        if delay_ms > 0 {
            body["delay"] = json!(format!("{delay_ms}ms"));
        }
        if let Some(timeout) = part.timeout {
            body["timeout"] = json!(timeout);
        }
        body
    }
}

fn id_of(answer: &Answer) -> Result<String> {
    let job = answer.json()?;
    Ok(job["id"].as_str().with_context(|| format!("a job without an id: {job}"))?.to_owned())
}

/// Clients at work.
pub struct Load {
    clients: JoinSet<Result<()>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Lets clients submit until they are stopped.
    #[must_use]
    pub fn start(door: &Door, mix: &Mix, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for client in 0..mix.clients {
            let rng = StdRng::seed_from_u64(seed.wrapping_add(client as u64));
            clients.spawn(submit_on(door.clone(), mix.clone(), rng, Arc::clone(&stop)));
        }
        Self { clients, stop }
    }

    /// Ends it, once every submit that is under way has been answered or given up.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.context("a client ended early")??;
        }
        Ok(())
    }
}

async fn submit_on(door: Door, mix: Mix, mut rng: StdRng, stop: Arc<AtomicBool>) -> Result<()> {
    let weights: u32 = mix.parts.iter().map(|part| part.weight).sum();
    while !stop.load(Ordering::Relaxed) {
        let mut ticket = rng.random_range(0..weights.max(1));
        let chosen = mix.parts.iter().find(|part| {
            let is_it = ticket < part.weight;
            ticket = ticket.saturating_sub(part.weight);
            is_it
        });
        door.submit(chosen.context("a load without parts")?, &mut rng).await?;
        sleep(Duration::from_millis(rng.random_range(0..=2 * mix.pause_ms))).await;
    }
    Ok(())
}
