//! `POST /v1/audit`: whether ledger and dispatch agree about every job.

use crate::{
    app::App,
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
    routes::json,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use haul_core::{
    JobId, Tenant, Timestamp,
    audit::{AuditError, AuditReport, Findings, QueueAudit},
};
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The part of a request's time that an audit may take; the rest is for ending it.
const TIME_SHARE: f64 = 0.8;

/// Compares ledger and dispatch.
///
/// Every unsettled job is held against the tickets, and what they disagree about is healed and told. It takes seconds: what
/// seems to be missing is looked for several times. Haul does so by itself every `repair.audit_interval`.
#[utoipa::path(
    post,
    path = "/v1/audit",
    tag = "ops",
    operation_id = "audit",
    responses(
        (status = OK, description = "What was found; without findings all is well.", body = AuditView),
        (status = "4XX", description = "Another audit is under way.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn audit(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Query::none(query.as_deref())?;
    let report = app.audit.audit(app.limits.request_timeout.mul_f64(TIME_SHARE)).await?;
    json(StatusCode::OK, &AuditView::of(report, &app.tenant))
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Ledger(error) => error.into(),
            AuditError::Dispatch(error) => error.into(),
            AuditError::TimedOut => Self::new(ProblemType::Timeout, "a store did not answer in time"),
            AuditError::UnderWay => Self::new(ProblemType::AuditUnderWay, "another audit is under way in this process"),
        }
    }
}

/// What an audit found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Audit)]
pub(crate) struct AuditView {
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    begun_at: Timestamp,
    /// How long it took.
    took_seconds: f64,
    /// Whether everything was compared; otherwise time ran out, and the figures are of what was.
    complete: bool,
    /// How often something was found, over all queues.
    findings: u64,
    /// Every queue, by name.
    queues: Vec<QueueAuditView>,
}

/// What an audit found in one queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueAudit)]
struct QueueAuditView {
    /// Its name.
    name: String,
    /// Whether it was compared; one that is being rebuilt is not.
    compared: bool,
    /// Its jobs without an outcome, but for those of the last minute.
    jobs: u64,
    /// Its tickets.
    tickets: u64,
    /// Tickets of ended jobs that wait in line, as a cancel leaves behind: no finding, they are dropped when their turn comes.
    leftover: u64,
    /// Jobs without an outcome and without a ticket; they got one.
    unreachable: FindingsView,
    /// Leases that expired long ago and that no worker took up: is there one for their kind?
    abandoned: FindingsView,
    /// Ended jobs whose ticket was kept for later; it was removed.
    settled: FindingsView,
}

/// Jobs of which the same was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Findings)]
struct FindingsView {
    /// How many.
    count: u64,
    /// Ids of some of them.
    #[schema(value_type = Vec<uuid::Uuid>)]
    examples: Vec<JobId>,
}

impl AuditView {
    /// The report as far as it is of the tenant.
    fn of(report: AuditReport, tenant: &Tenant) -> Self {
        let AuditReport { begun_at, took, complete, mut queues } = report;
        queues.retain(|audit| audit.queue.tenant == *tenant);
        let findings = queues.iter().flat_map(QueueAudit::findings).map(|(_, findings)| findings.count).sum();
        let queues = queues.into_iter().map(QueueAuditView::of).collect();
        Self { begun_at, took_seconds: took.as_secs_f64(), complete, findings, queues }
    }
}

impl QueueAuditView {
    fn of(audit: QueueAudit) -> Self {
        let QueueAudit { queue, compared, jobs, tickets, leftover, unreachable, abandoned, settled } = audit;
        let view = |Findings { count, examples }| FindingsView { count, examples };
        Self {
            name: queue.queue.to_string(),
            compared,
            jobs,
            tickets,
            leftover,
            unreachable: view(unreachable),
            abandoned: view(abandoned),
            settled: view(settled),
        }
    }
}
