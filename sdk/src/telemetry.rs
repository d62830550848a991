//! Logs, metrics and spans of a process: set up once, before anything else runs.
//!
//! Logs go to standard error, so that a command's own output stays clean. `RUST_LOG` is not read: the filter is
//! `log.filter`, like every other setting. Metrics are kept in memory and rendered for `/metrics`; nothing is pushed.
//! Spans are, where the settings name a collector.

mod collector;
mod exposition;
mod figures;
mod histograms;
pub(crate) mod spans;

pub(crate) use exposition::Page;

use haul_core::{
    config::{LogConfig, LogFormat, MetricsConfig},
    telemetry::{self, Form, Label, Unit, Values},
};
use histograms::{Histograms, WithHistograms};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io::{IsTerminal, stderr},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

// So that nobody ships it; what is started with it says so below.
#[cfg(all(feature = "broken", not(debug_assertions)))]
compile_error!("the feature `broken` is for `cargo xtask faults --broken`, and never for a release");

/// How often what the histograms of users' programs have gathered is folded.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is no list of directives.
    #[error("`log.filter` is no list of directives such as \"info\" or \"haul_worker=debug,info\"")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// Nothing can be sent to the collector that the settings name.
    #[error("spans cannot be sent as the settings under `[tracing]` say")]
    Collector(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sends logs to standard error, in the configured form. A subscriber that the program has installed before stays.
pub fn start_logging(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.filter).map_err(TelemetryError::Filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    let installed = match config.format {
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_writer(stderr);
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

/// The metrics of this process. Clones are the same.
#[derive(Clone)]
pub struct Metrics(Option<Arc<Gathered>>);

struct Gathered {
    /// Absent where the program has a recorder of its own.
    recorder: Option<PrometheusHandle>,
    histograms: Histograms,
    /// What is read when somebody looks, by what it is.
    sources: Mutex<BTreeMap<&'static str, Source>>,
}

/// Writes figures that are read when somebody looks.
pub(crate) type Source = Arc<dyn Fn(&mut Page) + Send + Sync>;

static GATHERED: OnceLock<Arc<Gathered>> = OnceLock::new();

impl Metrics {
    /// Begins to gather them, once per process, unless they are switched off. Where the program has a recorder of its own,
    /// that one gets most of them.
    pub fn start(config: &MetricsConfig, role: &str) -> Self {
        if !config.enabled {
            return Self(None);
        }
        if let Some(gathered) = GATHERED.get() {
            return Self(Some(gathered.clone()));
        }
        let (histograms, recorder) = (Histograms::default(), PrometheusBuilder::new().build_recorder());
        let handle = recorder.handle();
        let recorder = match metrics::set_global_recorder(WithHistograms { histograms: histograms.clone(), recorder }) {
            Ok(()) => Some(handle),
            Err(_) => {
                tracing::debug!("this program has a metrics recorder of its own; /metrics shows little");
                None
            }
        };
        describe();
        begin(role);
        let gathered = Gathered { recorder, histograms, sources: Mutex::default() };
        Self(Some(GATHERED.get_or_init(|| Arc::new(gathered)).clone()))
    }

    /// Whether there are any.
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Also shows what this source writes, instead of what it wrote under the same name before.
    pub(crate) fn show(&self, name: &'static str, source: Source) {
        if let Some(gathered) = &self.0 {
            gathered.sources.lock().insert(name, source);
        }
    }

    /// In Prometheus' text format.
    pub fn render(&self) -> String {
        let Some(gathered) = &self.0 else { return String::new() };
        let mut text = gathered.recorder.as_ref().map(PrometheusHandle::render).unwrap_or_default();
        gathered.histograms.write(&mut text);
        let sources: Vec<Source> = gathered.sources.lock().values().cloned().collect();
        let mut page = Page::default();
        figures::write(&mut page);
        sources.iter().for_each(|source| source(&mut page));
        text.push_str(&page.into_text());
        text
    }

    /// Folds what histograms of users' programs gather, so that memory stays flat when nobody scrapes. Never ends.
    pub async fn fold(self) {
        let recorder = self.0.as_ref().and_then(|gathered| gathered.recorder.clone());
        let Some(recorder) = recorder else { return };
        let mut ticks = tokio::time::interval(FOLD_EVERY);
        loop {
            ticks.tick().await;
            recorder.run_upkeep();
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

/// Begins the counters of a role whose labels are known: one that is there from the beginning can be watched.
fn begin(role: &str) {
    for metric in telemetry::METRICS {
        let is_shown = metric.roles.iter().any(|shown_by| role == "up" || role == shown_by.as_str());
        if metric.form != Form::Counter || !is_shown || !metric.name.starts_with("haul_") {
            continue;
        }
        match metric.labels {
            [] => metrics::counter!(metric.name).increment(0),
            [Label { name, values: Values::Closed(values) }] => {
                for value in *values {
                    metrics::counter!(metric.name, *name => *value).increment(0);
                }
            }
            _ => {}
        }
    }
}
