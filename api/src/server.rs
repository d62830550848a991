//! The API as a running process: its parts, how they are wired, and the order in which they end.
//!
//! On shutdown readiness goes first, so that balancers look elsewhere. Requests under way finish; then the intake commits
//! what is in line; then the tickets of the last commits go to the dispatch, or their receipts to repair.

use crate::{
    app::{App, Limits},
    auth::{self, Access},
    commit::Committer,
    cursor::Cursors,
    draft::Rules,
    http_server::{self, HttpLimits},
    intake::Intake,
    log::LogFilter,
    receipts::{self, Receipts},
    refusals::Refusals,
    router::router,
    routes::payments::webhook::WebhookSecret,
    tickets::tickets,
    watch::Watch,
};
use haul_core::{
    Books, Dispatch, Endpoints, Fleet, IdMint, Ledger, Pace, ProcessId, Readiness, Schedules, Statistics, Tenant,
    audit::Audit,
    config::{ApiConfig, Config},
    pace::PaceRules,
};
use secrecy::SecretString;
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Writes down the process's metrics, as Prometheus reads them.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// How long the intake may take for what is in line when the last request has ended.
const INTAKE_END_MAX: Duration = Duration::from_secs(25);
/// How long the last tickets and receipts may take.
const TICKETS_END_MAX: Duration = Duration::from_secs(10);

/// What an API process is made of.
pub struct ApiDeps<'a> {
    /// The truth.
    pub ledger: Arc<dyn Ledger>,
    /// The schedules beside it.
    pub schedules: Arc<dyn Schedules>,
    /// The endpoints of webhooks beside it.
    pub endpoints: Arc<dyn Endpoints>,
    /// What is counted of the jobs by the hour.
    pub statistics: Arc<dyn Statistics>,
    /// The payments beside it.
    pub books: Arc<dyn Books>,
    /// Which processes are alive.
    pub fleet: Arc<dyn Fleet>,
    /// The hint.
    pub dispatch: Arc<dyn Dispatch>,
    /// How fast third parties are called.
    pub pace: Arc<dyn Pace>,
    /// Compares the two, on demand.
    pub audit: Arc<dyn Audit>,
    /// Makes ids on the ledger's clock; whoever runs the process keeps that clock in step.
    pub mint: Arc<IdMint>,
    /// The owner of this process's receipts; whoever runs the process sends its heartbeats.
    pub process: ProcessId,
    /// The settings.
    pub config: &'a Config,
    /// What `/readyz` shows. The API adds the check `api`, which fails from the beginning of the end.
    pub readiness: Readiness,
    /// What `/metrics` shows.
    pub render_metrics: RenderMetrics,
    /// What `/log` shows and changes.
    pub log_filter: Arc<dyn LogFilter>,
    /// What is refused at a submit, beyond what the API knows itself.
    pub refusals: Arc<dyn Refusals>,
}

/// An API that does not serve yet.
pub struct Api {
    ledger: Arc<dyn Ledger>,
    schedules: Arc<dyn Schedules>,
    endpoints: Arc<dyn Endpoints>,
    statistics: Arc<dyn Statistics>,
    webhook_secret: Option<WebhookSecret>,
    books: Arc<dyn Books>,
    fleet: Arc<dyn Fleet>,
    dispatch: Arc<dyn Dispatch>,
    pace: Arc<dyn Pace>,
    pace_rules: PaceRules,
    audit: Arc<dyn Audit>,
    mint: Arc<IdMint>,
    process: ProcessId,
    readiness: Readiness,
    render_metrics: RenderMetrics,
    log_filter: Arc<dyn LogFilter>,
    admin_key: Option<SecretString>,
    settings: ApiConfig,
    rules: Rules,
    access: Access,
    cursors: Cursors,
    limits: Limits,
}

impl Api {
    /// Puts an API together. Nothing runs before [`Api::serve`].
    pub fn new(deps: ApiDeps<'_>) -> Self {
        let ApiDeps {
            ledger,
            schedules,
            endpoints,
            statistics,
            books,
            fleet,
            dispatch,
            pace,
            audit,
            mint,
            process,
            config,
            readiness,
            render_metrics,
            log_filter,
            refusals,
        } = deps;
        Self {
            ledger,
            schedules,
            endpoints,
            statistics,
            webhook_secret: None,
            books,
            fleet,
            dispatch,
            pace,
            pace_rules: config.pace.rules(),
            audit,
            mint,
            process,
            readiness,
            render_metrics,
            log_filter,
            admin_key: config.admin_key.clone(),
            settings: config.api.clone(),
            rules: Rules::new(config, refusals),
            access: Access::new(config),
            cursors: Cursors::new(config.admin_key.as_ref()),
            limits: Limits::new(config),
        }
    }

    /// Takes in events of the payment provider that are signed with this secret. Without one, none is trusted.
    #[must_use]
    pub fn webhook_secret(self, secret: WebhookSecret) -> Self {
        Self { webhook_secret: Some(secret), ..self }
    }

    /// Serves until `shutdown` and until everything that was accepted by then is committed and answered. Refuses a
    /// listener that other machines reach when there is no admin key.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        auth::check_exposure(listener.local_addr()?, self.admin_key.as_ref())
            .map_err(|exposed| io::Error::new(io::ErrorKind::PermissionDenied, exposed))?;
        let limits = HttpLimits {
            connections_max: self.settings.connections_max,
            header_timeout: self.settings.header_timeout.as_duration(),
            drain: self.settings.drain.as_duration(),
        };
        let receipts = Receipts::new();
        let (ticket_end, receipts_end) = (CancellationToken::new(), CancellationToken::new());
        let tending = tokio::spawn(receipts::tend(receipts.clone(), self.ledger.clone(), receipts_end.clone()));
        let (tickets, removals, ticket_task) =
            tickets(self.dispatch.clone(), receipts.clone(), self.settings.ticket_buffer_max);
        let enqueueing = tokio::spawn(ticket_task.run(ticket_end.clone()));
        let lanes = TaskTracker::new();
        let committer = Committer {
            ledger: self.ledger.clone(),
            mint: self.mint.clone(),
            process: self.process,
            tenant: Tenant::default(),
            tickets: tickets.clone(),
            receipts: receipts.clone(),
            accepted: Default::default(),
            is_down: Arc::default(),
        };
        let intake = Intake::start(&self.settings, committer, &lanes);
        lanes.close();

        let app = Arc::new(App {
            ledger: self.ledger.clone(),
            schedules: self.schedules,
            endpoints: self.endpoints,
            statistics: self.statistics,
            webhook_secret: self.webhook_secret,
            books: self.books,
            fleet: self.fleet,
            dispatch: self.dispatch,
            pace: self.pace,
            pace_rules: self.pace_rules,
            audit: self.audit,
            clock: self.mint.clock().clone(),
            mint: self.mint,
            process: self.process,
            tickets,
            tenant: Tenant::default(),
            intake,
            removals,
            watch: Watch::new(shutdown.clone()),
            rules: self.rules,
            cursors: self.cursors,
            access: self.access,
            limits: self.limits,
            bulk_slots: Limits::bulk_slots(),
            readiness: self.readiness.clone(),
            render_metrics: self.render_metrics,
            log_filter: self.log_filter,
            complaints: Default::default(),
            requests: Default::default(),
        });
        let watching = app.clone();
        let ledger = self.ledger;
        let watching = tokio::spawn(async move { watching.watch.run(ledger).await });

        self.readiness.set_ready("api");
        let readiness = self.readiness.clone();
        let ending = shutdown.clone();
        let telling = tokio::spawn(async move {
            ending.cancelled().await;
            readiness.set_unready("api", "the process is about to end");
        });
        let served = http_server::run(listener, router(app), limits, shutdown.clone()).await;
        // The listener may have failed by itself: everything else ends in order all the same.
        shutdown.cancel();
        join("readiness", telling).await;
        join("waiting clients", watching).await;
        // The router and its handlers are gone, and with them the last users of the intake.
        end_within(INTAKE_END_MAX, "the intake", lanes.wait()).await;
        ticket_end.cancel();
        end_within(TICKETS_END_MAX, "the tickets", join("the tickets", enqueueing)).await;
        receipts_end.cancel();
        end_within(TICKETS_END_MAX, "the receipts", join("the receipts", tending)).await;
        served
    }
}

async fn join(part: &str, task: tokio::task::JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(part, %error, "a part of the API broke");
    }
}

async fn end_within(time_max: Duration, part: &str, end: impl Future<Output = ()>) {
    if timeout(time_max, end).await.is_err() {
        tracing::error!(part, "a part of the API did not end in time; repair will take over");
    }
}
