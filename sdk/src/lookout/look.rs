//! One look: what is asked, of whom, and how much of it.

use super::{
    sample::{Backlog, Queues, Sample},
    sheets::Round,
};
use crate::{chain::chain, stores::Stores};
use futures::{StreamExt, stream};
use haul_core::{
    JobId, Timestamp,
    dispatch::QueueStats,
    fleet::Member,
    ledger::{QueueInfo, Result},
    limits::DESTINATIONS_MAX,
    pace::Breaker,
};
use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// Queues asked at a time, and how long one may take to answer.
const STATS_IN_FLIGHT: usize = 16;
const STATS_MAX: Duration = Duration::from_secs(2);
/// Jobs loaded at a time.
const LOAD_MAX: usize = 1_000;
/// So many destinations are looked at each time, and more every minute only: in Redis each takes a script.
const FEW_DESTINATIONS: usize = 1_000;
const MANY_EVERY: Duration = Duration::from_secs(60);
/// Unknown payments are counted up to here.
const UNKNOWN_COUNTED_MAX: usize = 100_000;
/// How long payments may be held against their postings, per look.
const SHEETS_MAX: Duration = Duration::from_secs(4);

/// Looks.
pub(super) struct Glass {
    stores: Stores,
    round: Round,
    /// When destinations were looked at last, how many there were, and those of them whose breaker was open.
    destinations: Option<(Instant, usize, usize)>,
}

impl Glass {
    pub(super) fn new(stores: Stores) -> Self {
        Self { stores, round: Round::default(), destinations: None }
    }

    /// Looks at everything. What cannot be read is left out.
    pub(super) async fn look(&mut self, members: &[Member]) -> Sample {
        let at = self.stores.clock.now();
        let (queues, receipts, destinations, payments_unknown) =
            tokio::join!(self.queues(at), self.receipts(at), self.destinations(), self.payments_unknown(at));
        self.destinations = destinations;
        Sample {
            at,
            processes: by_role(members),
            queues: seen("queues", queues),
            receipts: seen("receipts", receipts),
            destinations_open: destinations.map(|(_, _, open)| open),
            payments_unknown: seen("payments", payments_unknown),
            currencies_at_odds: self.at_odds().await,
        }
    }

    async fn queues(&self, at: Timestamp) -> Result<Queues> {
        let infos = self.stores.ledger.queues().await?;
        let stats: Vec<(QueueInfo, Option<QueueStats>)> = stream::iter(infos)
            .map(|info| async {
                let stats = timeout(STATS_MAX, self.stores.dispatch.stats(&info.queue, &info.kinds)).await;
                (info, stats.ok().and_then(std::result::Result::ok))
            })
            .buffer_unordered(STATS_IN_FLIGHT)
            .collect()
            .await;
        let oldest: Vec<JobId> = stats.iter().filter_map(|(_, stats)| stats.as_ref()?.oldest_ready).collect();
        let due = self.due(&oldest).await?;
        let mut queues = Queues::default();
        for (info, stats) in stats {
            let seen = stats.map(|stats| {
                let due = stats.oldest_ready.and_then(|id| due.get(&id));
                let age = due.map_or(Duration::ZERO, |due| at.since(*due));
                (stats, age)
            });
            queues.add(info.queue.queue.as_str(), info.settings.paused, seen);
        }
        Ok(queues)
    }

    /// Since when these are due, of those that have not ended: a ticket may outlive its job.
    async fn due(&self, ids: &[JobId]) -> Result<HashMap<JobId, Timestamp>> {
        let mut due = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(LOAD_MAX) {
            let loaded = self.stores.ledger.load(ids).await?;
            let open = loaded.into_iter().filter(|loaded| loaded.outcome.is_none());
            due.extend(open.map(|loaded| (loaded.job.id, loaded.due.max(loaded.job.created_at()))));
        }
        Ok(due)
    }

    async fn receipts(&self, at: Timestamp) -> Result<Backlog> {
        let receipts = self.stores.fleet.receipts().await?;
        let oldest = receipts.oldest.map_or(Duration::ZERO, |oldest| at.since(oldest));
        Ok(Backlog { count: receipts.count, oldest })
    }

    async fn destinations(&self) -> Option<(Instant, usize, usize)> {
        let is_fresh =
            |(at, known, _): &(Instant, usize, usize)| *known > FEW_DESTINATIONS && at.elapsed() < MANY_EVERY;
        if let Some(fresh) = self.destinations.filter(is_fresh) {
            return Some(fresh);
        }
        // All that a store keeps.
        let sights = seen("destinations", self.stores.pace.list(DESTINATIONS_MAX).await)?;
        let open = sights.iter().filter(|sight| sight.breaker == Breaker::Open).count();
        Some((Instant::now(), sights.len(), open))
    }

    async fn payments_unknown(&self, at: Timestamp) -> Result<Backlog> {
        let unknown = self.stores.books.unknown(UNKNOWN_COUNTED_MAX).await?;
        let oldest = unknown.oldest.map_or(Duration::ZERO, |oldest| at.since(oldest));
        Ok(Backlog { count: unknown.count, oldest })
    }

    async fn at_odds(&mut self) -> Option<usize> {
        let look = self.round.look(&*self.stores.books);
        match timeout(SHEETS_MAX, look).await {
            Ok(found) => seen("postings", found),
            Err(_elapsed) => None,
        }
    }
}

fn by_role(members: &[Member]) -> BTreeMap<&'static str, u64> {
    // Also when there is none: "no workers" is a number.
    let mut roles = BTreeMap::from([("api", 0), ("worker", 0), ("scheduler", 0), ("up", 0)]);
    for member in members {
        let role = match member.report.role.as_str() {
            "api" => "api",
            "worker" => "worker",
            "scheduler" => "scheduler",
            "up" => "up",
            _ => "other",
        };
        *roles.entry(role).or_default() += 1;
    }
    roles
}

fn seen<T, E: Error + 'static>(what: &str, read: std::result::Result<T, E>) -> Option<T> {
    read.map_err(|error| tracing::debug!("{what} cannot be looked at: {}", chain(&error))).ok()
}
