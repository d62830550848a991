//! A world per test: an API on a port of its own, over its own ledger and dispatch.

use crate::{
    client::{Answer, send},
    faults::{FaultyDispatch, FaultyLedger, FaultyPace},
};
use bytes::Bytes;
use haul_api::{
    Api, ApiDeps, PayloadFault, Refusals,
    log::{LogFilter, LogRefusal, LogState},
};
use haul_conformance::reference::{ReferenceDispatch, ReferenceLedger};
use haul_core::{
    Books, Clock, Dispatch, Endpoints, Fleet, IdMint, JobError, JobId, Kind, Ledger, ProcessId, Queue, QueueRef,
    QueueSettings, Readiness, Schedules, Statistics, Tenant, Timestamp,
    config::Config,
    dispatch::{ClaimRequest, LeaseToken},
    ledger::{Entry, Record},
};
use haul_embedded::MemoryPace;
use haul_repair::Auditor;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A filter of logs that takes any words but `bad`.
#[derive(Debug, Default)]
pub(crate) struct Words {
    filter: Mutex<Option<String>>,
    is_foreign: bool,
}

impl Words {
    /// Of a program that does its logging by itself.
    pub(crate) fn foreign() -> Self {
        Self { is_foreign: true, ..Self::default() }
    }
}

impl LogFilter for Words {
    fn show(&self) -> Result<LogState, LogRefusal> {
        if self.is_foreign {
            return Err(LogRefusal::Foreign);
        }
        let filter = self.filter.lock().unwrap().clone().unwrap_or_else(|| "info".to_owned());
        Ok(LogState { filter, configured: "info".to_owned(), until: None })
    }

    fn set(&self, directives: &str, lasting: Option<Duration>) -> Result<LogState, LogRefusal> {
        if directives == "bad" {
            return Err(LogRefusal::Directives("has `bad`, which is no level".to_owned()));
        }
        *self.filter.lock().unwrap() = Some(directives.to_owned());
        let until = lasting.map(|lasting| Timestamp::from_ms(0).plus(lasting));
        Ok(LogState { until, ..self.show()? })
    }

    fn reset(&self) -> Result<LogState, LogRefusal> {
        *self.filter.lock().unwrap() = None;
        self.show()
    }
}

/// Refuses what it is asked to.
#[derive(Debug)]
struct Picky;

impl Refusals for Picky {
    fn judge_payload(&self, kind: &Kind, payload: &[u8]) -> Result<(), PayloadFault> {
        match (kind.as_str(), payload) {
            ("picky", b"\"bad\"") => Err(PayloadFault { pointer: "/url".to_owned(), message: "no".to_owned() }),
            _ => Ok(()),
        }
    }

    fn judge_url(&self, url: &str) -> Result<(), String> {
        if url.contains("forbidden") { Err("leads where nothing may be sent".to_owned()) } else { Ok(()) }
    }
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) ledger: Arc<FaultyLedger>,
    pub(crate) books: Arc<dyn Books>,
    pub(crate) fleet: Arc<dyn Fleet>,
    pub(crate) dispatch: Arc<FaultyDispatch>,
    pub(crate) pace: Arc<FaultyPace>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) process: ProcessId,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
}

impl World {
    /// A world with default settings.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A world with settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Arc::new(Clock::new());
        let ledger = Arc::new(ReferenceLedger::new(clock.clone()));
        let dispatch = Arc::new(ReferenceDispatch::new(clock.clone()));
        Self::on(ledger, dispatch, clock, change).await
    }

    /// A world on these stores, with fault wrappers around them.
    pub(crate) async fn on(
        ledger: Arc<impl Ledger + Schedules + Endpoints + Statistics + Books + Fleet>,
        dispatch: Arc<dyn Dispatch>,
        clock: Arc<Clock>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let (books, fleet): (Arc<dyn Books>, Arc<dyn Fleet>) = (ledger.clone(), ledger.clone());
        let ledger = Arc::new(FaultyLedger::new(ledger));
        let dispatch = Arc::new(FaultyDispatch::new(dispatch));
        Self::over(ledger, (books, fleet), dispatch, clock, change).await
    }

    /// Another API over the same stores.
    pub(crate) async fn over(
        ledger: Arc<FaultyLedger>,
        (books, fleet): (Arc<dyn Books>, Arc<dyn Fleet>),
        dispatch: Arc<FaultyDispatch>,
        clock: Arc<Clock>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::defaults();
        change(&mut config);
        let (process, readiness) = (ProcessId::random(), Readiness::new());
        let pace = Arc::new(FaultyPace::new(Arc::new(MemoryPace::default())));
        let api = Api::new(ApiDeps {
            ledger: ledger.clone(),
            schedules: ledger.clone(),
            endpoints: ledger.clone(),
            statistics: ledger.clone(),
            books: books.clone(),
            fleet: fleet.clone(),
            dispatch: dispatch.clone(),
            pace: pace.clone(),
            audit: Arc::new(Auditor::new(ledger.clone(), dispatch.clone(), &config.repair)),
            mint: Arc::new(IdMint::new(clock.clone())),
            process,
            config: &config,
            readiness: readiness.clone(),
            render_metrics: Arc::new(|| "haul_up 1\n".to_owned()),
            log_filter: Arc::new(Words::default()),
            refusals: Arc::new(Picky),
        });
        let api = match config.payments.webhook_secret.clone() {
            None => api,
            // The secret is its own name.
            Some(name) => api.webhook_secret(Arc::new(move || {
                let secret = name.clone().into();
                Box::pin(async move { Ok(secret) })
            })),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(api.serve(listener, shutdown.clone()));
        Self { address, ledger, books, fleet, dispatch, pace, clock, process, readiness, shutdown, serving }
    }

    /// Sends a request line with headers and a body.
    pub(crate) async fn send(&self, line: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        send(self.address, &request(line, headers, body.as_ref())).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], "").await
    }

    /// A POST without a body.
    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.send(&format!("POST {path}"), &[], "").await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send(&format!("POST {path}"), &[("content-type", "application/json")], body.to_string()).await
    }

    /// Submits a job and gives its id.
    pub(crate) async fn submit(&self, body: Value) -> String {
        let job = self.post_json("/v1/jobs", &body).await.expect(201);
        job["id"].as_str().unwrap().to_owned()
    }

    /// A job of kind `echo` in the default queue.
    pub(crate) async fn echo(&self) -> String {
        self.submit(json!({"kind": "echo", "payload": null})).await
    }

    /// Ends a job as a worker would.
    pub(crate) async fn finish(&self, id: &str, entry: Entry) {
        let at = self.clock.now();
        let attempt = 1 + Ledger::load(&*self.ledger, &[job_id(id)]).await.unwrap()[0].failures;
        let record = Record { job: job_id(id), tenant: Tenant::default(), attempt, at, entry, follow_ups: Vec::new() };
        self.ledger.record(&[record], self.process).await.unwrap();
    }

    pub(crate) async fn succeed(&self, id: &str) {
        self.finish(id, Entry::Succeeded(Some(Bytes::from_static(b"{\"ok\":true}")))).await;
    }

    pub(crate) async fn fail(&self, id: &str, message: &str) {
        let retry_at = self.clock.now().plus(Duration::from_secs(60));
        self.finish(id, Entry::Failed(JobError::new(message), retry_at)).await;
    }

    pub(crate) async fn crash(&self, id: &str, message: &str) {
        let retry_at = self.clock.now().plus(Duration::from_secs(60));
        self.finish(id, Entry::Crashed(JobError::new(message), retry_at)).await;
    }

    /// Lets the queue give out tickets, then leases up to `limit` of kind `echo`.
    pub(crate) async fn claim(&self, queue: &str, limit: usize) -> Vec<JobId> {
        let queue = queue_ref(queue);
        let kind = Kind::new("echo").unwrap();
        if !self.dispatch.lost(std::slice::from_ref(&queue)).await.unwrap().is_empty() {
            let kinds = std::slice::from_ref(&kind);
            let hold = Duration::from_secs(60);
            let token =
                self.dispatch.begin_rebuild(&queue, kinds, &QueueSettings::default(), hold).await.unwrap().unwrap();
            let unsettled = self.ledger.unsettled(None, None, 1_000).await.unwrap().jobs;
            let tickets: Vec<_> = unsettled
                .into_iter()
                .filter(|job| job.queue == queue)
                .map(|job| haul_core::dispatch::Ticket {
                    id: job.id,
                    kind: job.kind,
                    priority: job.priority,
                    due: Some(job.due),
                })
                .collect();
            assert!(self.dispatch.rebuild(&queue, token, &tickets, hold).await.unwrap());
            assert!(self.dispatch.finish_rebuild(&queue, token, &QueueSettings::default()).await.unwrap());
        }
        let request = ClaimRequest {
            queue: &queue,
            kinds: &[(kind, limit)],
            limit,
            worker: ProcessId::random(),
            token: LeaseToken::random(),
            lease: Duration::from_secs(600),
        };
        self.dispatch.claim(&request).await.unwrap().tickets.into_iter().map(|ticket| ticket.id).collect()
    }

    /// Ends the API and waits for it.
    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

/// The bytes of a request. `content-length` is added when there is a body and no other framing.
pub(crate) fn request(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str("host: localhost\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let is_framed = headers.iter().any(|(name, _)| matches!(*name, "content-length" | "transfer-encoding"));
    if !is_framed && (!body.is_empty() || line.starts_with("POST")) {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

pub(crate) fn job_id(id: &str) -> JobId {
    id.parse().unwrap()
}

pub(crate) fn queue_ref(queue: &str) -> QueueRef {
    QueueRef { tenant: Tenant::default(), queue: Queue::new(queue).unwrap() }
}

/// Waits until something holds, with a limit.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come true within 20 s");
}
