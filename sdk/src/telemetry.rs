//! Logs and metrics of a process: set up once, before anything else runs.
//!
//! Logs go to standard error, so that a command's own output stays clean. `RUST_LOG` is not read: the filter is
//! `log.filter`, like every other setting. Metrics are kept in memory and rendered for `/metrics`; nothing is pushed.

use haul_core::{
    config::{LogConfig, LogFormat},
    telemetry::{self, Form, Unit},
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
        let mut builder = PrometheusBuilder::new();
        for metric in telemetry::METRICS {
            if let Form::Histogram(bounds) = metric.form {
                let name = Matcher::Full(metric.name.to_owned());
                builder = builder.set_buckets_for_metric(name, bounds).map_err(TelemetryError::Recorder)?;
            }
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
    for metric in telemetry::METRICS {
        let unit = match metric.unit {
            Unit::Count | Unit::Bool => metrics::Unit::Count,
            Unit::Seconds | Unit::UnixSeconds => metrics::Unit::Seconds,
            Unit::Bytes => metrics::Unit::Bytes,
        };
        match metric.form {
            Form::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            Form::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
            Form::Histogram(_) => metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
}
