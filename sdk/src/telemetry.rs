//! Logs, metrics and spans of a process: set up once, before anything else runs.
//!
//! [`logs`] has what is logged. Metrics are kept in memory and rendered for `/metrics`; nothing is pushed.
//! Spans are, where the settings name a collector.

mod collector;
mod exposition;
mod figures;
mod histograms;
mod logs;
pub(crate) mod spans;

pub(crate) use exposition::Page;
pub(crate) use logs::changed_filter;
pub use logs::{FilterFault, log_filter, start_logging};

use haul_core::{
    config::MetricsConfig,
    telemetry::{self, Form, Label, Unit, Values},
};
use histograms::{Histograms, WithHistograms};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How often what the histograms of users' programs have gathered is folded.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is no list of directives.
    #[error("`log.filter` is no list of directives such as \"info\" or \"haul_worker=debug,info\"")]
    Filter(#[source] FilterFault),
    /// Nothing can be sent to the collector that the settings name.
    #[error("spans cannot be sent as the settings under `[tracing]` say")]
    Collector(#[source] Box<dyn std::error::Error + Send + Sync>),
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
