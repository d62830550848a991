//! What the lookout saw, and how it is shown. What could not be read is `None`, and not shown.

use crate::telemetry::Page;
use haul_core::{
    Timestamp,
    dispatch::QueueStats,
    telemetry::{
        DESTINATIONS_OPEN, LOOKOUT_TIMESTAMP_SECONDS, PAYMENTS_UNKNOWN, PAYMENTS_UNKNOWN_OLDEST_SECONDS,
        POSTINGS_IMBALANCE, PROCESSES, QUEUE_JOBS, QUEUE_OLDEST_READY_SECONDS, QUEUE_PAUSED, QUEUES,
        RECEIPTS_OLDEST_SECONDS, RECEIPTS_OUTSTANDING, cap::queue_label,
    },
};
use std::{collections::BTreeMap, time::Duration};

/// What was seen at one time.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    pub(super) processes: BTreeMap<&'static str, u64>,
    pub(super) queues: Option<Queues>,
    pub(super) receipts: Option<Backlog>,
    pub(super) destinations_open: Option<usize>,
    pub(super) payments_unknown: Option<Backlog>,
    pub(super) currencies_at_odds: Option<usize>,
}

/// How many of something there are, and the age of the oldest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Backlog {
    pub(super) count: u64,
    pub(super) oldest: Duration,
}

/// What was seen of queues, by label: those of several tenants, and those beyond the cap, are taken together.
#[derive(Debug, Default)]
pub(super) struct Queues {
    known: u64,
    by_label: BTreeMap<String, Figures>,
}

#[derive(Debug, Default)]
struct Figures {
    paused: bool,
    stats: Option<(QueueStats, Duration)>,
}

impl Queues {
    /// Adds a queue. `seen` is what waits, and for how long the oldest ready job has; `None` when the dispatch did not say.
    pub(super) fn add(&mut self, queue: &str, paused: bool, seen: Option<(QueueStats, Duration)>) {
        self.known += 1;
        let figures = self.by_label.entry(queue_label(queue).to_owned()).or_default();
        figures.paused |= paused;
        if let Some((seen, age)) = seen {
            let (stats, oldest) = figures.stats.get_or_insert_default();
            stats.ready += seen.ready;
            stats.delayed += seen.delayed;
            stats.leased += seen.leased;
            *oldest = age.max(*oldest);
        }
    }

    fn write(&self, page: &mut Page) {
        page.put(QUEUES, &[], self.known);
        for (queue, figures) in &self.by_label {
            page.put(QUEUE_PAUSED, &[("queue", queue)], u8::from(figures.paused));
        }
        let seen = || self.by_label.iter().filter_map(|(queue, figures)| Some((queue, figures.stats.as_ref()?)));
        for (queue, (stats, _)) in seen() {
            for (state, jobs) in [("ready", stats.ready), ("delayed", stats.delayed), ("leased", stats.leased)] {
                page.put(QUEUE_JOBS, &[("queue", queue), ("state", state)], jobs);
            }
        }
        for (queue, (_, oldest)) in seen() {
            page.put(QUEUE_OLDEST_READY_SECONDS, &[("queue", queue)], oldest.as_secs_f64());
        }
    }
}

impl Sample {
    /// Writes it down.
    pub(super) fn write(&self, page: &mut Page) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact for ages to come")]
        let at = self.at.as_ms() as f64 / 1_000.0;
        page.put(LOOKOUT_TIMESTAMP_SECONDS, &[], at);
        for (role, count) in &self.processes {
            page.put(PROCESSES, &[("role", role)], count);
        }
        if let Some(queues) = &self.queues {
            queues.write(page);
        }
        if let Some(receipts) = self.receipts {
            page.put(RECEIPTS_OUTSTANDING, &[], receipts.count);
            page.put(RECEIPTS_OLDEST_SECONDS, &[], receipts.oldest.as_secs_f64());
        }
        if let Some(open) = self.destinations_open {
            page.put(DESTINATIONS_OPEN, &[], open);
        }
        if let Some(unknown) = self.payments_unknown {
            page.put(PAYMENTS_UNKNOWN, &[], unknown.count);
            page.put(PAYMENTS_UNKNOWN_OLDEST_SECONDS, &[], unknown.oldest.as_secs_f64());
        }
        if let Some(currencies) = self.currencies_at_odds {
            page.put(POSTINGS_IMBALANCE, &[], currencies);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn text(sample: &Sample) -> String {
        let mut page = Page::default();
        sample.write(&mut page);
        page.into_text()
    }

    #[test]
    fn queues_of_one_name_are_summed_and_the_oldest_of_them_counts() {
        let mut queues = Queues::default();
        let seen = |ready, age| Some((QueueStats { ready, ..QueueStats::default() }, Duration::from_secs(age)));
        queues.add("mail", false, seen(3, 50));
        queues.add("mail", true, seen(4, 20));
        queues.add("silent", false, None);
        let text = text(&Sample { queues: Some(queues), ..Sample::default() });
        for line in [
            "haul_queues 3",
            "haul_queue_jobs{queue=\"mail\",state=\"ready\"} 7",
            "haul_queue_oldest_ready_seconds{queue=\"mail\"} 50",
            "haul_queue_paused{queue=\"mail\"} 1",
            "haul_queue_paused{queue=\"silent\"} 0",
        ] {
            assert!(text.lines().any(|shown| shown == line), "no {line} in {text}");
        }
        assert!(!text.contains("haul_queue_jobs{queue=\"silent\""), "what is not known is not shown");
        assert!(!text.contains("haul_receipts"), "what is not known is not shown");
    }

    #[test]
    fn what_waits_in_ten_thousand_queues_is_shown_in_bounded_text() {
        // The cap on labels is the whole process's: those of the test beside this one come first.
        let _ = ["mail", "silent"].map(queue_label);
        let mut queues = Queues::default();
        for n in 0..10_000 {
            queues.add(&format!("queue-of-some-customer-{n}"), false, Some((QueueStats::default(), Duration::ZERO)));
        }
        let began = Instant::now();
        let text = text(&Sample { queues: Some(queues), ..Sample::default() });
        println!("{} lines, {} bytes, {:?}", text.lines().count(), text.len(), began.elapsed());
        assert!(text.contains("haul_queue_jobs{queue=\"other\",state=\"ready\"} 0"));
        assert!(text.lines().count() < 5 * 1_010, "{} lines", text.lines().count());
    }
}
