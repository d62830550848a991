//! Counters whose labels come from clients: bounded, so that nobody can flood the metrics with names.
//!
//! The first [`PAIRS_MAX`] pairs of queue and kind get a series of their own; all others share one, named `other`.

use haul_core::{Kind, Queue, QueueRef, dispatch::Ticket, telemetry};
use metrics::Counter;
use parking_lot::RwLock;
use std::{collections::HashMap, sync::Arc};

/// Series of their own.
const PAIRS_MAX: usize = 500;
const OTHER: &str = "other";

/// Counts accepted jobs. Clones share the series.
#[derive(Clone, Default)]
pub(crate) struct Accepted {
    series: Arc<RwLock<HashMap<(Queue, Kind), Counter>>>,
}

impl Accepted {
    /// Counts the jobs behind these tickets.
    pub(crate) fn count(&self, tickets: &[(QueueRef, Ticket)]) {
        let mut rest = tickets;
        while let Some((queue, ticket)) = rest.first() {
            let is_same = |(q, t): &(QueueRef, Ticket)| q.queue == queue.queue && t.kind == ticket.kind;
            let run = rest.iter().position(|next| !is_same(next)).unwrap_or(rest.len());
            self.counter(&queue.queue, &ticket.kind).increment(run as u64);
            rest = &rest[run..];
        }
    }

    fn counter(&self, queue: &Queue, kind: &Kind) -> Counter {
        let pair = (queue.clone(), kind.clone());
        if let Some(counter) = self.series.read().get(&pair) {
            return counter.clone();
        }
        let mut series = self.series.write();
        if series.len() >= PAIRS_MAX {
            return metrics::counter!(telemetry::JOBS_ACCEPTED_TOTAL, "queue" => OTHER, "kind" => OTHER);
        }
        let labels = [("queue", queue.to_string()), ("kind", kind.to_string())];
        series.entry(pair).or_insert_with(|| metrics::counter!(telemetry::JOBS_ACCEPTED_TOTAL, &labels)).clone()
    }
}

/// Counts an answered request.
pub(crate) fn count_request(route: &str, status: http::StatusCode) {
    metrics::counter!(
        telemetry::HTTP_REQUESTS_TOTAL,
        "route" => route.to_owned(),
        "status" => status.as_str().to_owned()
    )
    .increment(1);
}
