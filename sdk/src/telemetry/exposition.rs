//! Prometheus' text format, for figures that are read when somebody looks.
//!
//! The recorder keeps a series for ever once it was seen, and counters in whole numbers. What comes and goes (what the
//! lookout sees), and what is read and not counted (CPU time), is written here instead.

use super::histograms::escape;
use haul_core::telemetry::metric;
use std::fmt::{Display, Write};

/// A page of metrics.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
    family: Option<&'static str>,
}

impl Page {
    /// Writes a value. Values of one metric come one after the other.
    pub(crate) fn put(&mut self, name: &'static str, labels: &[(&str, &str)], value: impl Display) {
        if self.family.replace(name) != Some(name) {
            self.begin(name);
        }
        self.text.push_str(name);
        for (n, (label, value)) in labels.iter().enumerate() {
            self.text.push(if n == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(&mut self.text, value);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    /// The text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn begin(&mut self, name: &'static str) {
        if let Some(metric) = metric(name) {
            self.line(format_args!("# HELP {name} {}", metric.help));
            self.line(format_args!("# TYPE {name} {}", metric.form.as_str()));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // A string takes everything.
        let _: Result<(), std::fmt::Error> = writeln!(self.text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::telemetry::{QUEUE_PAUSED, QUEUES};

    #[test]
    fn a_page_reads_as_prometheus_expects_it() {
        let mut page = Page::default();
        page.put(QUEUES, &[], 2);
        page.put(QUEUE_PAUSED, &[("queue", "a")], 0);
        page.put(QUEUE_PAUSED, &[("queue", "b\"\\\n")], 1.5);
        let text = page.into_text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        let expected = [
            "# TYPE haul_queues gauge",
            "haul_queues 2",
            "# TYPE haul_queue_paused gauge",
            "haul_queue_paused{queue=\"a\"} 0",
            "haul_queue_paused{queue=\"b\\\"\\\\\\n\"} 1.5",
        ];
        assert_eq!(lines, expected);
    }
}
