//! Histograms that are declared, counted in place; everything else is the exporter's.
//!
//! The exporter puts each value of a histogram aside with its time, folds them into buckets later, and sorts all series anew
//! when they are asked for: the largest part of what metrics cost, as a job has several such values. Here a value is two
//! atomic additions, there is nothing to fold, and a series is put into text once, when it begins. Series stay for ever, so
//! labels have to be bounded. See `docs/decisions/0187`.

use haul_core::telemetry::{Form, Metric, metric};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit, atomics::AtomicU64,
};
use parking_lot::RwLock;
use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// The series of a histogram, by their labels as text.
type Series = BTreeMap<String, Arc<Buckets>>;

/// Declared histograms of this process, by name. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Histograms(Arc<RwLock<BTreeMap<&'static str, Series>>>);

/// Takes declared histograms out of what a recorder gets.
pub(super) struct WithHistograms<R> {
    pub(super) histograms: Histograms,
    pub(super) recorder: R,
}

/// How often it was at most each bound.
struct Buckets {
    bounds: &'static [f64],
    /// One more than there are bounds. Each value is in one.
    counts: Box<[AtomicU64]>,
    /// The bits of a floating-point number.
    sum: AtomicU64,
}

impl Buckets {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    fn record_many(&self, value: f64, times: usize) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        let Some(count) = self.counts.get(at).filter(|_| value.is_finite()) else { return };
        count.fetch_add(times as u64, Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
        let added = value * times as f64;
        let mut sum = self.sum.load(Relaxed);
        while let Err(other) =
            self.sum.compare_exchange_weak(sum, (f64::from_bits(sum) + added).to_bits(), Relaxed, Relaxed)
        {
            sum = other;
        }
    }
}

/// A declared histogram and its bounds.
fn declared(name: &str) -> Option<(&'static Metric, &'static [f64])> {
    match metric(name) {
        Some(metric @ Metric { form: Form::Histogram(bounds), .. }) => Some((metric, bounds)),
        _ => None,
    }
}

impl<R: Recorder> Recorder for WithHistograms<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_counter(key, unit, description);
    }
    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_gauge(key, unit, description);
    }
    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        if declared(key.as_str()).is_none() {
            self.recorder.describe_histogram(key, unit, description);
        }
    }
    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.recorder.register_counter(key, metadata)
    }
    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.recorder.register_gauge(key, metadata)
    }
    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let Some((metric, bounds)) = declared(key.name()) else {
            return self.recorder.register_histogram(key, metadata);
        };
        let mut families = self.histograms.0.write();
        let series = families.entry(metric.name).or_default();
        Histogram::from_arc(series.entry(labels(key)).or_insert_with(|| Arc::new(Buckets::new(bounds))).clone())
    }
}

impl Histograms {
    /// All of them, in Prometheus' text format.
    pub(super) fn write(&self, text: &mut String) {
        for (name, series) in &*self.0.read() {
            let Some((metric, bounds)) = declared(name) else { continue };
            put(text, format_args!("# HELP {name} {}\n# TYPE {name} {}\n", metric.help, metric.form.as_str()));
            let bounds: Vec<String> = bounds.iter().map(|bound| format!("le=\"{bound}\"")).collect();
            for (labels, buckets) in series {
                let mut seen = 0;
                for (n, count) in buckets.counts.iter().enumerate() {
                    seen += count.load(Relaxed);
                    line(text, name, "_bucket", labels, bounds.get(n).map_or("le=\"+Inf\"", String::as_str), seen);
                }
                line(text, name, "_sum", labels, "", f64::from_bits(buckets.sum.load(Relaxed)));
                line(text, name, "_count", labels, "", seen);
            }
        }
    }
}

/// A line: `name_suffix{labels,more} value`.
fn line(text: &mut String, name: &str, suffix: &str, labels: &str, more: &str, value: impl Display) {
    text.push_str(name);
    text.push_str(suffix);
    let (has_labels, has_more) = (!labels.is_empty(), !more.is_empty());
    if has_labels || has_more {
        text.push('{');
        text.push_str(labels);
        if has_labels && has_more {
            text.push(',');
        }
        text.push_str(more);
        text.push('}');
    }
    put(text, format_args!(" {value}\n"));
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // A string takes everything.
    let _: Result<(), std::fmt::Error> = text.write_fmt(arguments);
}

/// Labels in the order in which they were given: `queue="mail",kind="send"`.
fn labels(key: &Key) -> String {
    let mut text = String::new();
    for (n, label) in key.labels().enumerate() {
        if n > 0 {
            text.push(',');
        }
        text.push_str(label.key());
        text.push_str("=\"");
        escape(&mut text, label.value());
        text.push('"');
    }
    text
}

/// Writes a label's value as it stands between quotes.
pub(super) fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::telemetry::{COMMIT_ROWS, JOBS_ACCEPTED_TOTAL};
    use metrics::{counter, histogram, with_local_recorder};
    use metrics_exporter_prometheus::PrometheusBuilder;

    /// What is shown by the exporter, and by ourselves.
    fn shown(record: impl FnOnce()) -> (String, String) {
        let both =
            WithHistograms { histograms: Histograms::default(), recorder: PrometheusBuilder::new().build_recorder() };
        with_local_recorder(&both, record);
        let mut text = String::new();
        both.histograms.write(&mut text);
        (both.recorder.handle().render(), text)
    }

    fn value(text: &str, series: &str) -> String {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("haul_commit_rows_{series} ")));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).to_owned()
    }

    #[test]
    fn a_value_is_counted_in_every_bucket_that_it_fits_into() {
        let (_, text) = shown(|| {
            let rows = histogram!(COMMIT_ROWS, "lane" => "record");
            for value in [0.0, 1.0, 1.5, 1_000.0, 1_000_000.0, f64::NAN, f64::INFINITY] {
                rows.record(value);
            }
            rows.record_many(2.0, 3);
        });
        assert!(text.starts_with("# HELP haul_commit_rows "), "{text}");
        assert_eq!(text.lines().nth(1), Some("# TYPE haul_commit_rows histogram"));
        let at_most = |bound: &str| value(&text, &format!("bucket{{lane=\"record\",le=\"{bound}\"}}"));
        assert_eq!(["1", "2", "5", "500", "1000", "5000", "+Inf"].map(at_most), ["2", "6", "6", "6", "7", "7", "8"]);
        assert_eq!(value(&text, "count{lane=\"record\"}"), "8");
        assert_eq!(value(&text, "sum{lane=\"record\"}"), "1001008.5");
    }

    #[test]
    fn label_values_are_escaped() {
        let (_, text) = shown(|| histogram!(COMMIT_ROWS, "lane" => "b\"\\\n").record(1.0));
        assert!(text.contains(r#"haul_commit_rows_count{lane="b\"\\\n"} 1"#), "{text}");
    }

    #[test]
    fn counters_and_a_programs_own_metrics_are_the_exporters() {
        let (exported, text) = shown(|| {
            counter!(JOBS_ACCEPTED_TOTAL, "queue" => "a").increment(2);
            histogram!("packing_seconds").record(0.2);
        });
        assert_eq!(text, "");
        for line in ["haul_jobs_accepted_total{queue=\"a\"} 2", "packing_seconds_count 1"] {
            assert!(exported.lines().any(|shown| shown == line), "no {line} in {exported}");
        }
    }

    #[test]
    fn of_many_at_once_none_is_lost() {
        let (_, text) = shown(|| {
            let rows = histogram!(COMMIT_ROWS, "lane" => "record");
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..10_000).for_each(|_| rows.record(2.0)));
                }
            });
        });
        assert_eq!(value(&text, "sum{lane=\"record\"}"), "80000");
        assert_eq!(value(&text, "count{lane=\"record\"}"), "40000");
    }
}
