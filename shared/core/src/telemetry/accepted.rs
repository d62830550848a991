//! The counter of accepted jobs, for everyone who accepts any.

use super::{JOBS_ACCEPTED_TOTAL, cap::pair_labels};
use crate::name::{Kind, Queue};
use metrics::Counter;
use parking_lot::RwLock;
use std::{collections::HashMap, sync::Arc};

/// Handles kept at most; beyond, a handle is looked up each time.
const KEPT_MAX: usize = 10_000;

/// Counts accepted jobs, by queue and kind. Clones share what they have looked up.
#[derive(Clone, Default)]
pub struct AcceptedMeter {
    series: Arc<RwLock<HashMap<(Queue, Kind), Counter>>>,
}

impl AcceptedMeter {
    /// Counts jobs. Those that follow each other and are alike are counted at once.
    pub fn count<'a>(&self, jobs: impl IntoIterator<Item = (&'a Queue, &'a Kind)>) {
        let mut run: Option<((&Queue, &Kind), u64)> = None;
        for job in jobs {
            run = match run {
                Some((same, length)) if same == job => Some((same, length + 1)),
                ended => {
                    self.add(ended);
                    Some((job, 1))
                }
            };
        }
        self.add(run);
    }

    fn add(&self, run: Option<((&Queue, &Kind), u64)>) {
        let Some(((queue, kind), length)) = run else { return };
        let pair = (queue.clone(), kind.clone());
        if let Some(counter) = self.series.read().get(&pair) {
            return counter.increment(length);
        }
        let (queue, kind) = pair_labels(queue.as_str(), kind.as_str());
        let counter = metrics::counter!(JOBS_ACCEPTED_TOTAL, "queue" => queue.to_owned(), "kind" => kind.to_owned());
        counter.increment(length);
        let mut series = self.series.write();
        if series.len() < KEPT_MAX {
            series.insert(pair, counter);
        }
    }
}
