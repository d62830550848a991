//! What expressions name, held against what is declared, both ways: metrics, labels, and the values of labels that are
//! closed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use haul_core::telemetry::{Form, METRICS, Metric, Values};

use super::expressions::Expression;
use super::promql::{Named, named};
use super::selector::Matcher;

/// What Prometheus makes itself.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];
/// Labels that come with a target, and that of buckets.
const OF_TARGETS: [&str; 3] = ["instance", "job", "le"];
/// Labels of alerts.
const OF_ALERTS: [&str; 3] = ["alertname", "alertstate", "severity"];

/// Fails for an expression that names what nothing declares, and for a metric that none of them names.
pub(super) fn hold(all: &[Expression], records: &BTreeSet<String>) -> Result<()> {
    let mut shown = BTreeSet::new();
    for expression in all {
        let named = named(&expression.text)?;
        shown.extend(known(&named, records).with_context(|| expression.place.clone())?);
    }
    let unseen: Vec<_> = METRICS.iter().map(|metric| metric.name).filter(|name| !shown.contains(name)).collect();
    ensure!(unseen.is_empty(), "declared, and in no panel, rule or alert: {unseen:?}");
    Ok(())
}

/// The metrics that an expression names. Fails for a name, a label or a label's value that there is not.
pub(super) fn known(named: &Named, records: &BTreeSet<String>) -> Result<BTreeSet<&'static str>> {
    let series = declared();
    let (mut metrics, mut is_open) = (Vec::new(), false);
    for selector in &named.selectors {
        if let Some(metric) = series.get(&selector.name) {
            for matcher in &selector.matchers {
                fits(matcher, metric).with_context(|| selector.to_string())?;
            }
            metrics.push(*metric);
        } else if records.contains(&selector.name) || OF_PROMETHEUS.contains(&&*selector.name) {
            // Its labels are those of what it is made of.
            is_open = true;
            for Matcher { label, .. } in &selector.matchers {
                ensure!(is_label(label, METRICS.iter()) || OF_ALERTS.contains(&&**label), "no label is named {label}");
            }
        } else {
            bail!("nothing is named {}", selector.name);
        }
    }
    for label in &named.labels {
        let is_known = is_label(label, metrics.iter().copied()) || (is_open && is_label(label, METRICS.iter()));
        ensure!(is_known, "nothing that is named here has a label {label}");
    }
    Ok(metrics.into_iter().map(|metric| metric.name).collect())
}

/// Every series' name, with its metric.
fn declared() -> BTreeMap<String, &'static Metric> {
    let mut declared = BTreeMap::new();
    for metric in METRICS {
        match metric.form {
            Form::Histogram(_) => {
                declared.extend(["_bucket", "_sum", "_count"].map(|part| (format!("{}{part}", metric.name), metric)))
            }
            Form::Counter | Form::Gauge => {
                declared.insert(metric.name.to_owned(), metric);
            }
        }
    }
    declared
}

fn is_label(label: &str, mut metrics: impl Iterator<Item = &'static Metric>) -> bool {
    OF_TARGETS.contains(&label) || metrics.any(|metric| metric.labels.iter().any(|one| one.name == label))
}

/// Whether the metric has this label, and can have these values under it.
fn fits(matcher: &Matcher, metric: &Metric) -> Result<()> {
    if OF_TARGETS.contains(&&*matcher.label) {
        return Ok(());
    }
    let label = metric.labels.iter().find(|label| label.name == matcher.label);
    let label = label.with_context(|| format!("{} has no label {}", metric.name, matcher.label))?;
    if let Values::Closed(values) = label.values {
        // Of a closed set the words are written out, so that each can be held against it.
        for value in matcher.alternatives() {
            ensure!(values.contains(&&*value), "{} is never {value:?}, but one of {values:?}", label.name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(expression: &str) -> Result<BTreeSet<&'static str>> {
        known(&named(expression)?, &BTreeSet::from(["haul:queue_age_seconds:max".to_owned()]))
    }

    #[test]
    fn what_is_declared_is_known() {
        for right in [
            "sum by (queue) (rate(haul_attempts_total{outcome=~\"succeeded|dead\", instance=~\".*\"}[5m]))",
            "histogram_quantile(0.9, sum by (le) (rate(haul_wait_seconds_bucket{queue=\"any\"}[5m])))",
            "topk(3, haul:queue_age_seconds:max{queue=~\".*\"})",
            "count(ALERTS{alertstate=\"firing\"}) or up{job=\"haul\"}",
        ] {
            verdict(right).unwrap_or_else(|error| panic!("{right}: {error:#}"));
        }
    }

    #[test]
    fn a_name_a_label_or_a_value_that_there_is_not_is_found() {
        for (wrong, word) in [
            ("sum(haul_queue_job)", "haul_queue_job"),
            ("sum(haul_wait_seconds)", "haul_wait_seconds"),
            ("sum(haul_queue_jobs{state=\"redy\"}) or vector(0)", "redy"),
            ("sum(haul_queue_jobs{state=\"used\"})", "used"),
            ("sum(haul_attempts_total{outcome=~\"succeeded|ded\"})", "ded"),
            ("sum(haul_attempts_total{outcome!=\"ded\"})", "ded"),
            ("sum(haul_attempts_total{lane=\"accept\"})", "lane"),
            ("sum by (lane) (haul_attempts_total)", "lane"),
            ("sum by (knd) (haul:queue_age_seconds:max)", "knd"),
            ("haul:queue_age_seconds:max{knd=\"x\"}", "knd"),
        ] {
            let error = verdict(wrong).expect_err(wrong);
            assert!(format!("{error:#}").contains(word), "{wrong}: {error:#}");
        }
    }

    #[test]
    fn a_metric_that_nobody_looks_at_is_found() {
        let one = Expression {
            place: "here".to_owned(),
            text: "sum(haul_queue_jobs)".to_owned(),
            legend: Vec::new(),
            is_alert: false,
        };
        let error = hold(&[one], &BTreeSet::new()).expect_err("many are not shown").to_string();
        assert!(error.contains("haul_attempts_total") && !error.contains("haul_queue_jobs"), "{error}");
    }
}
