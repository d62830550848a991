//! What handlers share.

use crate::{
    auth::Access,
    body::{self, BodyLimits},
    cursor::Cursors,
    draft::Rules,
    gate::Complaints,
    headers,
    intake::Intake,
    labels::Requests,
    problem::{Problem, ProblemType},
    routes::payments::webhook::WebhookSecret,
    tickets::{Removals, Tickets},
    watch::Watch,
};
use axum::{body::Body, extract::Request};
use bytes::Bytes;
use haul_core::{
    Books, Clock, Dispatch, Endpoints, Fleet, IdMint, JobId, Kind, Ledger, Pace, ProcessId, QueueRef, Readiness,
    Schedules, Statistics, Tenant, Timestamp, audit::Audit, config::Config, outcome::JobRecord, pace::PaceRules,
};
use http::HeaderValue;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Semaphore, time::timeout};

/// How long an answer waits for what only the dispatch knows.
pub(crate) const DISPATCH_WAIT_MAX: Duration = Duration::from_millis(500);
/// Bulk requests at a time: each may hold a spool.
const BULK_REQUESTS_MAX: usize = 32;

/// What handlers share. Dropping the last one ends the intake.
pub(crate) struct App {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) books: Arc<dyn Books>,
    pub(crate) fleet: Arc<dyn Fleet>,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) pace: Arc<dyn Pace>,
    /// What destinations may be called, as far as this process's settings say.
    pub(crate) pace_rules: PaceRules,
    pub(crate) schedules: Arc<dyn Schedules>,
    pub(crate) endpoints: Arc<dyn Endpoints>,
    pub(crate) statistics: Arc<dyn Statistics>,
    /// What the payment provider signs its events with; `None`: none is trusted.
    pub(crate) webhook_secret: Option<WebhookSecret>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) clock: Arc<Clock>,
    /// Makes the ids of what is not committed by the intake.
    pub(crate) mint: Arc<IdMint>,
    /// The owner of the receipts of it.
    pub(crate) process: ProcessId,
    /// Takes the tickets of it.
    pub(crate) tickets: Tickets,
    /// Everybody's tenant until keys come.
    pub(crate) tenant: Tenant,
    pub(crate) intake: Intake,
    pub(crate) removals: Removals,
    pub(crate) watch: Watch,
    pub(crate) rules: Rules,
    pub(crate) cursors: Cursors,
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) bulk_slots: Arc<Semaphore>,
    pub(crate) readiness: Readiness,
    pub(crate) render_metrics: crate::RenderMetrics,
    pub(crate) log_filter: Arc<dyn crate::log::LogFilter>,
    pub(crate) complaints: Complaints,
    pub(crate) requests: Requests,
}

/// Bounds of requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) body_bytes_max: usize,
    pub(crate) batch_jobs_max: usize,
    pub(crate) schedules_max: usize,
    pub(crate) wait_max: Duration,
    pub(crate) request_timeout: Duration,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            body_bytes_max: config.api.body_bytes_max,
            batch_jobs_max: config.api.batch_jobs_max,
            schedules_max: config.api.schedules_max,
            wait_max: config.api.wait_max.as_duration(),
            request_timeout: config.api.request_timeout.as_duration(),
        }
    }

    /// A slot for each bulk request.
    pub(crate) fn bulk_slots() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(BULK_REQUESTS_MAX))
    }

    /// A tenth of a request's time is kept for what comes after its body.
    fn body(&self) -> BodyLimits {
        BodyLimits { bytes_max: self.body_bytes_max, time_max: self.request_timeout.mul_f64(0.9) }
    }
}

/// The id of a request, in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

impl RequestId {
    /// The id of a request that came through the gate.
    pub(crate) fn of(request: &Request) -> Self {
        let missing = || Self(HeaderValue::from_static("req"));
        request.extensions().get::<Self>().cloned().unwrap_or_else(missing)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl App {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The JSON body of a request.
    pub(crate) async fn json_body(&self, request: Request) -> Result<Bytes, Problem> {
        headers::content_type(request.headers(), "application/json")?;
        body::read(request.into_body(), self.limits.body()).await
    }

    /// The JSON body of a request that has to be smaller than others.
    pub(crate) async fn json_body_within(&self, request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
        headers::content_type(request.headers(), "application/json")?;
        let limits = self.limits.body();
        body::read(request.into_body(), BodyLimits { bytes_max: bytes_max.min(limits.bytes_max), ..limits }).await
    }

    /// The JSON body of a request that may do without one; empty then.
    pub(crate) async fn optional_json_body(&self, request: Request) -> Result<Bytes, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(Body::new(body), self.limits.body()).await?;
        if !bytes.is_empty() {
            headers::content_type(&parts.headers, "application/json")?;
        }
        Ok(bytes)
    }

    /// Everything about a job, or 404.
    pub(crate) async fn job(&self, id: JobId) -> Result<JobRecord, Problem> {
        let record = self.ledger.job(&self.tenant, id).await?;
        record.ok_or_else(|| Problem::new(ProblemType::JobNotFound, "no job has this id"))
    }

    /// Which of these jobs run. Without the dispatch, none that we know of.
    pub(crate) async fn leased(&self, records: &[JobRecord]) -> HashSet<JobId> {
        let mut by_queue: HashMap<QueueRef, Vec<(Kind, JobId)>> = HashMap::new();
        for record in records.iter().filter(|record| record.outcome.is_none()) {
            by_queue.entry(record.job.queue_ref()).or_default().push((record.job.kind.clone(), record.job.id));
        }
        let mut leased = HashSet::new();
        let ask = async {
            for (queue, tickets) in &by_queue {
                let answers = self.dispatch.leased(queue, tickets).await?;
                leased.extend(tickets.iter().zip(answers).filter(|(_, leased)| *leased).map(|((_, id), _)| *id));
            }
            Ok::<_, haul_core::dispatch::DispatchError>(())
        };
        match timeout(DISPATCH_WAIT_MAX, ask).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "which jobs run is not known"),
            Err(_elapsed) => tracing::debug!("which jobs run is not known: no answer in time"),
        }
        leased
    }
}
