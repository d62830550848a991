//! Logs and metrics of a process: set up once, before anything else runs.
//!
//! Logs go to standard error, so that a command's own output stays clean. `RUST_LOG` is not read: the filter is
//! `log.filter`, like every other setting. Metrics are kept in memory and rendered for `/metrics`; nothing is pushed.

use haul_core::{
    config::{LogConfig, LogFormat},
    telemetry::{
        ATTEMPTS_TOTAL, COMMIT_ROWS, COMMIT_SECONDS, CRASHES_TOTAL, HTTP_REQUESTS_TOTAL, JOBS_ACCEPTED_TOTAL,
        REBUILDS_TOTAL, REPAIRED_TICKETS_TOTAL, RUN_SECONDS, STALE_RECORDS_TOTAL, SUSPECTS_RUNNING, WAIT_SECONDS,
        WORKER_SLOTS_BUSY,
    },
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    io::{IsTerminal, stderr},
    sync::OnceLock,
    time::Duration,
};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

// So that nobody ships it; what is started with it says so below.
#[cfg(all(feature = "broken", not(debug_assertions)))]
compile_error!("the feature `broken` is for `cargo xtask faults --broken`, and never for a release");

/// How often what histograms have gathered is folded into their buckets.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// From due to start, and from start to end: from half a millisecond to an hour.
const SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0];
const COMMIT_SECONDS_BOUNDS: [f64; 11] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
const COMMIT_ROWS_BOUNDS: [f64; 9] = [1.0, 5.0, 20.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 5_000.0];

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is no list of directives.
    #[error("`log.filter` is no list of directives such as \"info\" or \"haul_worker=debug,info\"")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// The metrics recorder could not be set up.
    #[error("the metrics recorder could not be set up")]
    Recorder(#[source] BuildError),
}

/// Sends logs to standard error, in the configured form. A subscriber that the program has installed before stays.
pub fn start_logging(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.filter).map_err(TelemetryError::Filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    let installed = match config.format {
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(stderr);
            registry.with(layer).try_init()
        }
        LogFormat::Pretty => {
            let layer =
                tracing_subscriber::fmt::layer().compact().with_ansi(stderr().is_terminal()).with_writer(stderr);
            registry.with(layer).try_init()
        }
    };
    #[cfg(feature = "broken")]
    tracing::error!("THIS BUILD IS BROKEN ON PURPOSE (feature `broken`): it may lose jobs and repeat effects");
    if installed.is_err() {
        tracing::debug!("this program has a subscriber of its own; `log.filter` and `log.format` have no effect");
    }
    Ok(())
}

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(Option<PrometheusHandle>);

static METRICS: OnceLock<Metrics> = OnceLock::new();

impl Metrics {
    /// Begins to gather them, once per process. Where the program has a recorder of its own, that one gets them, and
    /// there is nothing to render.
    pub fn start() -> Result<Self, TelemetryError> {
        if let Some(started) = METRICS.get() {
            return Ok(started.clone());
        }
        let buckets = [
            (WAIT_SECONDS, &SECONDS[..]),
            (RUN_SECONDS, &SECONDS[..]),
            (COMMIT_SECONDS, &COMMIT_SECONDS_BOUNDS[..]),
            (COMMIT_ROWS, &COMMIT_ROWS_BOUNDS[..]),
        ];
        let mut builder = PrometheusBuilder::new();
        for (name, bounds) in buckets {
            let name = Matcher::Full(name.to_owned());
            builder = builder.set_buckets_for_metric(name, bounds).map_err(TelemetryError::Recorder)?;
        }
        let handle = match builder.install_recorder() {
            Ok(handle) => Some(handle),
            Err(BuildError::FailedToSetGlobalRecorder(_)) => {
                tracing::debug!("this program has a metrics recorder of its own; /metrics stays empty");
                None
            }
            Err(error) => return Err(TelemetryError::Recorder(error)),
        };
        describe();
        Ok(METRICS.get_or_init(|| Self(handle)).clone())
    }

    /// In Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.as_ref().map(PrometheusHandle::render).unwrap_or_default()
    }

    /// Folds what histograms gather into their buckets, so that memory stays flat when nobody scrapes. Never ends.
    pub async fn fold(self) {
        let mut ticks = tokio::time::interval(FOLD_EVERY);
        loop {
            ticks.tick().await;
            if let Some(handle) = &self.0 {
                handle.run_upkeep();
            }
        }
    }
}

/// The help texts of `/metrics`.
fn describe() {
    let counters = [
        (JOBS_ACCEPTED_TOTAL, "Jobs accepted."),
        (ATTEMPTS_TOTAL, "Attempts ended, by how they ended."),
        (CRASHES_TOTAL, "Handlers that were seen to crash the process that they ran alone in."),
        (STALE_RECORDS_TOTAL, "Outcomes and failures that came too late and were not written."),
        (REPAIRED_TICKETS_TOTAL, "Tickets that repair put into the dispatch, by cause."),
        (REBUILDS_TOTAL, "Rebuilds of a queue that were finished."),
        (HTTP_REQUESTS_TOTAL, "HTTP requests answered, by route and status."),
    ];
    let histograms = [
        (WAIT_SECONDS, "From due to the start of the attempt, in seconds."),
        (RUN_SECONDS, "From the start of the attempt to its end, in seconds."),
        (COMMIT_ROWS, "Rows per group commit."),
        (COMMIT_SECONDS, "Duration of a group commit, in seconds."),
    ];
    for (name, text) in counters {
        metrics::describe_counter!(name, text);
    }
    for (name, text) in histograms {
        metrics::describe_histogram!(name, text);
    }
    metrics::describe_gauge!(SUSPECTS_RUNNING, "Suspects that this worker runs, each alone in a process.");
    metrics::describe_gauge!(WORKER_SLOTS_BUSY, "Slots of this worker in use.");
}
