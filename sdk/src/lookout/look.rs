//! One look: what is asked, of whom, and how much of it.

use super::sample::{Backlog, Queues, Sample};
use crate::{chain::chain, stores::Stores};
use futures::{StreamExt, stream};
use haul_core::{
    JobId, Tenant, Timestamp,
    dispatch::QueueStats,
    fleet::Member,
    ledger::{QueueInfo, Result},
    pace::Breaker,
    payment::PaymentState,
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
/// Destinations that are looked at: those that were called last.
const DESTINATIONS_SEEN_MAX: usize = 1_000;
/// Payments that are looked at.
const PAYMENTS_SEEN_MAX: usize = 1_000;
/// How often the books are summed: that reads what all accounts hold.
const SUM_EVERY: Duration = Duration::from_secs(300);

/// Looks.
pub(super) struct Glass {
    stores: Stores,
    summed: Option<(Instant, usize)>,
}

impl Glass {
    pub(super) fn new(stores: Stores) -> Self {
        Self { stores, summed: None }
    }

    /// Looks at everything. What cannot be read is left out.
    pub(super) async fn look(&mut self, members: &[Member]) -> Sample {
        let at = self.stores.clock.now();
        let (queues, receipts, destinations_open, payments_unknown) =
            tokio::join!(self.queues(at), self.receipts(at), self.destinations_open(), self.payments_unknown(at),);
        Sample {
            at,
            processes: by_role(members),
            queues: seen("queues", queues),
            receipts: seen("receipts", receipts),
            destinations_open,
            payments_unknown: seen("payments", payments_unknown),
            unbalanced_currencies: self.unbalanced().await,
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

    async fn destinations_open(&self) -> Option<usize> {
        let sights = seen("destinations", self.stores.pace.list(DESTINATIONS_SEEN_MAX).await)?;
        Some(sights.iter().filter(|sight| sight.breaker == Breaker::Open).count())
    }

    async fn payments_unknown(&self, at: Timestamp) -> Result<Backlog> {
        let unfinished = self.stores.books.unfinished(None, PAYMENTS_SEEN_MAX).await?;
        let unknown = unfinished.iter().filter(|payment| payment.state() == PaymentState::Unknown);
        let ages = unknown.map(|payment| at.since(payment.updated_at));
        Ok(ages.fold(Backlog::default(), |all, age| Backlog { count: all.count + 1, oldest: all.oldest.max(age) }))
    }

    async fn unbalanced(&mut self) -> Option<usize> {
        if let Some((at, currencies)) = self.summed
            && at.elapsed() < SUM_EVERY
        {
            return Some(currencies);
        }
        let balances = seen("balances", self.stores.books.balances(&Tenant::default()).await)?;
        let mut sums: BTreeMap<_, i128> = BTreeMap::new();
        for balance in balances {
            *sums.entry(balance.currency).or_default() += i128::from(balance.amount);
        }
        let currencies = sums.values().filter(|sum| **sum != 0).count();
        self.summed = Some((Instant::now(), currencies));
        Some(currencies)
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
