//! The recorder: group commit of how attempts ended, then their settlement in the dispatch.
//!
//! The first outcome that is committed stays; the ledger sees to that. The recorder sees to three things more: a failure
//! is never recorded without the lease; the same records are sent again, for as long as it takes, when the ledger did
//! not answer; and a record that the ledger refuses fails alone.

use crate::{
    attempt::{End, Ended},
    chance,
    claims::{ClaimId, Claims, Parting, Route},
    meters::WorkerMeters,
    reach::{Backoff, Reach},
    registry::House,
    settler::Settler,
    tasks::spawn,
};
use bytes::Bytes;
use haul_core::{
    Dispatch, Job, JobError, JobId, Ledger, QueueRef, Timestamp,
    batch::{BatchLimits, Batcher, Batches, Weight, batcher},
    dispatch::{Lease, Next},
    ledger::{BatchRecorded, Entry, LedgerError, Record, Recorded},
    policy::{self, Attempt, AttemptEnd, Verdict},
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Commits that may be in flight.
pub(crate) const COMMITS_IN_FLIGHT: usize = 2;
/// Bytes that may wait for their commit.
const WAITING_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// Bytes in one commit.
const COMMIT_BYTES_MAX: usize = 8 * 1_024 * 1_024;
/// What a record weighs besides its result.
const RECORD_BYTES: usize = 128;
/// How long a job rests that could not be buried for want of room.
const FULL_PAUSE: Duration = Duration::from_secs(1);
/// How long a job rests whose record the ledger refuses in every form.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// How soon the dispatch is asked again about a lease that a failure waits for.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// A record on its way, and the claim that it ends.
pub(crate) struct Finished {
    claim: ClaimId,
    route: Arc<Route>,
    record: Record,
    /// When the job was due for the first time.
    first_due: Timestamp,
}

impl Finished {
    fn weight(&self) -> Weight {
        let follow_ups = &self.record.follow_ups;
        let own_bytes = match &self.record.entry {
            Entry::Succeeded(result) => result.as_ref().map_or(0, Bytes::len),
            Entry::Dead(error) | Entry::Failed(error, _) | Entry::Crashed(error, _) => {
                error.message.len() + error.detail.as_ref().map_or(0, String::len)
            }
        };
        let payload_bytes: usize = follow_ups.iter().map(|job| RECORD_BYTES + job.payload.len()).sum();
        Weight { rows: 1 + follow_ups.len(), bytes: RECORD_BYTES + own_bytes + payload_bytes }
    }
}

/// Records that go into one commit; the lists run in step.
#[derive(Default)]
struct Batch {
    claims: Vec<ClaimId>,
    routes: Vec<Arc<Route>>,
    records: Vec<Record>,
    first_due: Vec<Timestamp>,
}

/// Decides what an attempt's end means, and has it recorded.
pub(crate) struct Recorder {
    ledger: Arc<dyn Ledger>,
    dispatch: Arc<dyn Dispatch>,
    claims: Arc<Claims>,
    settler: Arc<Settler>,
    house: Arc<House>,
    ledger_reach: Arc<Reach>,
    meters: WorkerMeters,
    line: Batcher<Finished, ()>,
}

/// The recorder's line, for the loops that commit.
pub(crate) type Commits = Arc<Batches<Finished, ()>>;

impl Recorder {
    pub(crate) fn new(
        ledger: Arc<dyn Ledger>,
        dispatch: Arc<dyn Dispatch>,
        claims: Arc<Claims>,
        settler: Arc<Settler>,
        house: Arc<House>,
        ledger_reach: Arc<Reach>,
        commit_rows_max: usize,
    ) -> (Arc<Self>, Commits) {
        let (line, commits) = batcher(BatchLimits {
            waiting_rows_max: commit_rows_max * 10,
            waiting_bytes_max: WAITING_BYTES_MAX,
            commit_rows_max,
            commit_bytes_max: COMMIT_BYTES_MAX,
        });
        let meters = WorkerMeters::new();
        (Arc::new(Self { ledger, dispatch, claims, settler, house, ledger_reach, meters, line }), commits)
    }

    /// Takes over an attempt that has ended. Waits while the line is full.
    pub(crate) async fn take(&self, ended: Ended) {
        let Ended { claim, route, context, crashes, end } = ended;
        let Some(lost) = self.claims.end(claim) else {
            // Given up while the worker was ending: its ticket is on its way to another one.
            return;
        };
        let end = match end {
            End::Attempt(end) => end,
            End::Recorded(recorded) => {
                let (result, follow_ups) = (recorded.records.first().copied(), context.follow_ups());
                let committed = result == Some(Recorded::Committed);
                if committed { &route.meters.succeeded } else { &route.meters.stale }.increment(1);
                if committed {
                    route.meters.job_seconds.record(self.house.mint.clock().now().since(first_due(context.job())));
                    self.meters.accepted.count(follow_ups.iter().map(|job| (&job.queue, &job.kind)));
                }
                if committed && !follow_ups.is_empty() {
                    self.settler.enqueue(follow_ups, recorded.receipt);
                }
                return self.settler.settle(self.claims.close(claim, Next::Done));
            }
            End::SettledElsewhere => return self.settler.settle(self.claims.close(claim, Next::Done)),
            End::LeaseLost => {
                route.meters.released.increment(1);
                // Whoever holds the lease now settles it.
                drop(self.claims.close(claim, Next::Release));
                return;
            }
        };
        let now = self.house.mint.clock().now();
        let park_meter =
            if matches!(end, AttemptEnd::Deferred(_)) { &route.meters.deferred } else { &route.meters.released };
        let attempt = Attempt { number: context.attempt(), crashes_before: crashes };
        let entry = match policy::decide(context.job(), attempt, end, now, chance::share()) {
            Verdict::Succeed(result) => Entry::Succeeded(result),
            Verdict::Die(error) => Entry::Dead(error),
            Verdict::Retry(error, retry_at) => Entry::Failed(error, retry_at),
            Verdict::RetryAfterCrash(error, retry_at) => Entry::Crashed(error, retry_at),
            Verdict::Park(due) => {
                park_meter.increment(1);
                return self.settler.settle(self.claims.close(claim, Next::Park(due)));
            }
        };
        if lost && !matches!(entry, Entry::Succeeded(_)) {
            return self.drop_unleased(claim, &route);
        }
        // What a failed attempt asked for is asked for again by the next one.
        let follow_ups = if matches!(entry, Entry::Succeeded(_)) { context.follow_ups() } else { Vec::new() };
        let job = context.job();
        let record =
            Record { job: job.id, tenant: job.tenant.clone(), attempt: context.attempt(), at: now, entry, follow_ups };
        self.submit(Finished { claim, route, record, first_due: first_due(job) }).await;
    }

    /// Records the death of a job whose deadline passed before an attempt could start. Never waits: without room the job
    /// rests a little and is looked at again.
    pub(crate) fn bury(&self, claim: ClaimId, route: Arc<Route>, job: &Job, failures: u32, error: JobError) {
        if self.claims.end(claim).is_none() {
            return;
        }
        let at = self.house.mint.clock().now();
        let (tenant, entry, follow_ups) = (job.tenant.clone(), Entry::Dead(error), Vec::new());
        let record = Record { job: job.id, tenant, attempt: failures, at, entry, follow_ups };
        let finished = Finished { claim, route, record, first_due: first_due(job) };
        let weight = finished.weight();
        if self.line.submit(finished, weight).is_err() {
            self.settler.settle(self.claims.close(claim, Next::Park(at.plus(FULL_PAUSE))));
        }
    }

    async fn submit(&self, finished: Finished) {
        let (claim, weight) = (finished.claim, finished.weight());
        match self.line.submit_when_room(finished, weight).await {
            // Nobody waits for the answer: the commit itself settles.
            Ok(answer) => drop(answer),
            Err(error) => {
                tracing::error!(job_id = %claim.job, %error, "the end of an attempt could not be recorded; the job runs again");
                drop(self.claims.close(claim, Next::Release));
            }
        }
    }

    /// Commits batch after batch. Run by [`COMMITS_IN_FLIGHT`] tasks.
    pub(crate) async fn run(self: Arc<Self>, commits: Commits) {
        let commit = |finished: Vec<Finished>| {
            let recorder = self.clone();
            async move {
                let answers = vec![(); finished.len()];
                recorder.commit(finished.into_iter().collect()).await;
                answers
            }
        };
        commits.run(commit).await;
    }

    async fn commit(self: Arc<Self>, batch: Batch) {
        let mut to_do = vec![batch];
        while let Some(mut batch) = to_do.pop() {
            let (mut backoff, mut sent_before) = (Backoff::default(), false);
            loop {
                let doubtful = self.take_unleased_failures(&mut batch).await;
                if !doubtful.is_empty() {
                    self.clone().ask_again(doubtful);
                }
                if batch.records.is_empty() {
                    break;
                }
                let began = Instant::now();
                match self.ledger.record(&batch.records, self.house.process).await {
                    Ok(recorded) => {
                        self.ledger_reach.answered();
                        self.meters.commit_seconds.record(began.elapsed());
                        #[expect(clippy::cast_precision_loss, reason = "a batch has some thousands of rows at most")]
                        self.meters.commit_rows.record(batch.records.len() as f64);
                        self.settle(batch, recorded, sent_before);
                        break;
                    }
                    Err(error) if error.is_transient() => {
                        self.ledger_reach.failed(&error);
                        sent_before = true;
                        backoff.pause().await;
                    }
                    Err(error) => {
                        if batch.records.len() > 1 {
                            to_do.push(batch.split_off_half());
                            to_do.push(batch);
                        } else {
                            to_do.extend(self.mend(batch, &error));
                        }
                        break;
                    }
                }
            }
        }
    }

    fn settle(&self, batch: Batch, recorded: BatchRecorded, sent_before: bool) {
        let mut follow_ups = Vec::new();
        let mut ends = Vec::with_capacity(batch.claims.len());
        let rows = batch.claims.into_iter().zip(batch.routes).zip(batch.records).zip(batch.first_due);
        for ((((claim, route), record), first_due), answer) in rows.zip(recorded.records) {
            let committed = answer == Recorded::Committed;
            let meter = match (&record.entry, committed) {
                (_, false) => &route.meters.stale,
                (Entry::Succeeded(_), true) => &route.meters.succeeded,
                (Entry::Dead(_), true) => &route.meters.dead,
                (Entry::Failed(..) | Entry::Crashed(..), true) => &route.meters.failed,
            };
            meter.increment(1);
            if committed {
                log_unsuccessful(&record, &route);
                if matches!(record.entry, Entry::Succeeded(_) | Entry::Dead(_)) {
                    route.meters.job_seconds.record(record.at.since(first_due));
                }
                self.meters.accepted.count(record.follow_ups.iter().map(|job| (&job.queue, &job.kind)));
            }
            // A batch that was sent before may have been committed then. Tickets of jobs that were not accepted are
            // dropped when they are loaded.
            if committed || sent_before {
                follow_ups.extend(record.follow_ups);
            }
            let next = match record.entry {
                Entry::Succeeded(_) | Entry::Dead(_) => Next::Done,
                // Also when it is stale: the ledger is asked when the ticket is due.
                Entry::Failed(_, retry_at) | Entry::Crashed(_, retry_at) => Next::Park(retry_at),
            };
            ends.push((claim, next));
        }
        self.settler.settle(self.claims.close_all(ends));
        if !follow_ups.is_empty() {
            self.settler.enqueue(follow_ups, recorded.receipt);
        }
    }

    /// Takes failures out of the batch whose lease is lost. Where that is in doubt (this process was stopped for a while,
    /// or the dispatch was away), the dispatch is asked. Gives back those that are in doubt all the same: others may reach
    /// the dispatch although this process does not, so that they must not be recorded yet.
    async fn take_unleased_failures(&self, batch: &mut Batch) -> Vec<Finished> {
        let is_failure = |record: &Record| !matches!(record.entry, Entry::Succeeded(_));
        let failures = batch.claims.iter().zip(&batch.records).filter(|(_, record)| is_failure(record));
        let failures: Vec<ClaimId> = failures.map(|(claim, _)| *claim).collect();
        if failures.is_empty() {
            return Vec::new();
        }
        let mut by_queue: BTreeMap<QueueRef, Vec<Lease>> = BTreeMap::new();
        for (queue, lease) in self.claims.doubtful(failures.iter().copied()) {
            by_queue.entry(queue).or_default().push(lease);
        }
        for (queue, leases) in by_queue {
            let expires = Instant::now() + self.house.lease;
            if let Ok(held) = self.dispatch.extend(&queue, &leases, self.house.lease).await {
                self.claims.extended(&leases, &held, expires, self.house.pulse.why_lost());
            }
        }
        let in_doubt: HashSet<JobId> = self.claims.doubtful(failures).into_iter().map(|(_, lease)| lease.id).collect();
        let (kept, mut doubtful) = (std::mem::take(batch), Vec::new());
        let rows = kept.claims.into_iter().zip(kept.routes).zip(kept.records).zip(kept.first_due);
        for (((claim, route), record), first_due) in rows {
            let finished = Finished { claim, route, record, first_due };
            if !is_failure(&finished.record) {
                batch.push(finished);
            } else if self.claims.is_lost(claim) {
                self.drop_unleased(claim, &finished.route);
            } else if in_doubt.contains(&claim.job) {
                doubtful.push(finished);
            } else {
                batch.push(finished);
            }
        }
        doubtful
    }

    /// Puts failures back into the line, a little later. They count as unrecorded meanwhile, which bounds their number.
    fn ask_again(self: Arc<Self>, doubtful: Vec<Finished>) {
        spawn(async move {
            sleep(ASK_AGAIN_AFTER).await;
            for finished in doubtful {
                self.submit(finished).await;
            }
        });
    }

    fn drop_unleased(&self, claim: ClaimId, route: &Route) {
        route.meters.stale.increment(1);
        let unleased: Option<Parting> = self.claims.close(claim, Next::Release);
        drop(unleased);
    }

    /// What becomes of a lone record that the ledger refuses: the job is dead, and if even that is refused it rests.
    fn mend(&self, mut batch: Batch, error: &LedgerError) -> Option<Batch> {
        let record = batch.records.first_mut()?;
        tracing::error!(job_id = %record.job, %error, "the ledger refuses what an attempt left behind");
        if matches!(record.entry, Entry::Succeeded(_)) {
            record.entry = Entry::Dead(JobError::new(format!("its result or its follow-ups were refused: {error}")));
            record.follow_ups = Vec::new();
            return Some(batch);
        }
        let later = self.house.mint.clock().now().plus(REFUSED_PAUSE);
        let claims = batch.claims.into_iter().map(|claim| (claim, Next::Park(later)));
        self.settler.settle(self.claims.close_all(claims));
        None
    }
}

impl FromIterator<Finished> for Batch {
    fn from_iter<I: IntoIterator<Item = Finished>>(finished: I) -> Self {
        let mut batch = Self::default();
        finished.into_iter().for_each(|finished| batch.push(finished));
        batch
    }
}

impl Batch {
    fn push(&mut self, Finished { claim, route, record, first_due }: Finished) {
        self.claims.push(claim);
        self.routes.push(route);
        self.records.push(record);
        self.first_due.push(first_due);
    }
    fn split_off_half(&mut self) -> Self {
        let half = self.records.len() / 2;
        Self {
            claims: self.claims.split_off(half),
            routes: self.routes.split_off(half),
            records: self.records.split_off(half),
            first_due: self.first_due.split_off(half),
        }
    }
}

/// When a job was to run for the first time: when it was accepted, or its `run_at`.
fn first_due(job: &Job) -> Timestamp {
    job.run_at.max(job.created_at())
}

/// The error's text stays in the ledger: it may quote the payload.
fn log_unsuccessful(record: &Record, route: &Route) {
    let (job, kind, attempt) = (record.job, &route.registered.kind, record.attempt);
    match &record.entry {
        Entry::Succeeded(_) => {}
        Entry::Failed(_, retry_at) => {
            tracing::info!(job_id = %job, %kind, attempt, %retry_at, "attempt failed, will be retried")
        }
        Entry::Crashed(_, retry_at) => {
            tracing::warn!(job_id = %job, %kind, attempt, %retry_at, "attempt crashed its process, will be retried")
        }
        Entry::Dead(_) => tracing::warn!(job_id = %job, %kind, attempt, "job is dead"),
    }
}
