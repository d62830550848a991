//! The engine: looks, plans, fires; sleeps until the next schedule is due.

use crate::{
    batch::{Batch, Halved, Tally},
    cache::{Cache, Read},
    courier::{Counter, courier},
    meters::Meters,
    plan::{Planned, plan, put_off},
    receipts::Receipts,
};
use haul_core::{
    Dispatch, IdMint, JobId, Ledger, ProcessId, Schedules, Timestamp,
    ledger::{LedgerError, ReceiptId, Result},
    schedules::{Agenda, Due, ScheduleId, Step, Stepped},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Schedules that are looked at together.
const BATCH_SCHEDULES: usize = 500;
/// Jobs that are fired in one transaction, as long as a single step has not more.
const BATCH_JOBS: usize = 1_000;
/// How far a scheduler steps aside when another one has fired what it was about to, and how far at most.
const ASIDE: usize = 3 * BATCH_SCHEDULES;
const ASIDE_MAX: usize = 4 * ASIDE;
/// Definitions that are loaded together.
const LOAD_DEFINITIONS: usize = 100;
/// The longest sleep: a schedule may be created, edited or resumed at any time, and no event tells of it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The shortest sleep: what becomes due within it goes together.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(5);
/// Pauses while the ledger is away, doubled up to the longest.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A reading of the ledger's clock that took longer is not exact enough to be taken over.
const CLOCK_TRIP_MAX: Duration = Duration::from_millis(200);
/// How often receipts are looked after when nothing fires.
const TEND_EVERY: Duration = Duration::from_secs(10);

/// What a scheduler works with.
pub struct SchedulerDeps {
    /// The truth about jobs.
    pub ledger: Arc<dyn Ledger>,
    /// The schedules beside them.
    pub schedules: Arc<dyn Schedules>,
    /// Where tickets go.
    pub dispatch: Arc<dyn Dispatch>,
    /// Makes ids, on the ledger's clock.
    pub mint: Arc<IdMint>,
    /// The process that receipts belong to. It tells that it is alive by itself.
    pub process: ProcessId,
}

/// Fires schedules.
pub struct Scheduler {
    deps: SchedulerDeps,
    cache: Cache,
    receipts: Arc<Receipts>,
    meters: Meters,
    /// So many of those that are due are left to other schedulers, which begin with the longest overdue.
    aside: AtomicUsize,
}

/// What one look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Schedules that were due.
    pub due: usize,
    /// Jobs that this process has fired.
    pub fired: usize,
    /// How long there is nothing to do.
    pub pause: Duration,
}

impl Scheduler {
    /// A scheduler that does nothing yet.
    pub fn new(deps: SchedulerDeps) -> Self {
        Self {
            deps,
            cache: Cache::default(),
            receipts: Arc::default(),
            meters: Meters::new(),
            aside: AtomicUsize::new(0),
        }
    }

    /// Fires what is due until `stop`. A step that is under way is ended first.
    pub async fn run(self, stop: CancellationToken) {
        let (ledger, dispatch) = (self.deps.ledger.clone(), self.deps.dispatch.clone());
        let (counter, courier) = courier(ledger, dispatch, self.receipts.clone());
        tokio::join!(self.work(counter, stop), courier.run());
    }

    async fn work(&self, counter: Counter, stop: CancellationToken) {
        let (mut retry_in, mut tended_at) = (RETRY_MIN, Instant::now());
        while !stop.is_cancelled() {
            let pause = match self.look(Some(&counter), &stop).await {
                Ok(turn) => {
                    if std::mem::replace(&mut retry_in, RETRY_MIN) > RETRY_MIN {
                        tracing::info!("schedules are looked at again");
                    }
                    turn.pause
                }
                Err(error) => {
                    if retry_in == RETRY_MIN {
                        tracing::warn!(error = &error as &dyn std::error::Error, "schedules cannot be looked at");
                    }
                    let pause = retry_in;
                    retry_in = (retry_in * 2).min(RETRY_MAX);
                    pause
                }
            };
            if tended_at.elapsed() >= TEND_EVERY {
                self.receipts.tend(&*self.deps.ledger).await;
                tended_at = Instant::now();
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Looks once and fires what is due, at most some hundreds of schedules. Tickets are left to repair.
    pub async fn turn(&self) -> Result<Turn> {
        self.look(None, &CancellationToken::new()).await
    }

    async fn look(&self, counter: Option<&Counter>, stop: &CancellationToken) -> Result<Turn> {
        let asked_at = Instant::now();
        let aside = self.aside.load(Relaxed);
        let Agenda { now, mut due, next_at } = self.deps.schedules.due(aside + BATCH_SCHEDULES).await?;
        let trip = asked_at.elapsed();
        if trip <= CLOCK_TRIP_MAX {
            // Whatever this machine's clock did in the meantime: ids are made on the ledger's.
            self.deps.mint.clock().sync(now, trip);
        }
        if due.is_empty() {
            let pause = next_at.map_or(LOOK_EVERY, |at| at.since(now)).clamp(LOOK_PAUSE_MIN, LOOK_EVERY);
            return Ok(Turn { due: 0, fired: 0, pause });
        }
        let aside = if due.len() > aside {
            due.drain(..aside);
            aside
        } else {
            due.truncate(BATCH_SCHEDULES);
            0
        };
        let count = due.len();
        let definitions = self.definitions(&due).await?;
        let busy = self.busy(&due, &definitions).await?;
        let mut tally = Tally::default();
        let mut batch = Batch::default();
        for due in due {
            // Absent: it was edited or deleted since, and is looked at again.
            let Some(read) = definitions.get(&due.id) else { continue };
            let planned = self.planned(&due, read, now, due.last_job.is_some_and(|job| busy.contains(&job)));
            if batch.jobs + planned.step.jobs.len() > BATCH_JOBS && !batch.steps.is_empty() {
                tally.add(self.fire(std::mem::take(&mut batch), now, counter, stop).await);
            }
            batch.push(due, planned);
        }
        tally.add(self.fire(batch, now, counter, stop).await);
        self.aside.store(step_aside(aside, count, &tally), Relaxed);
        let pause = if tally.taken > 0 { Duration::ZERO } else { LOOK_PAUSE_MIN };
        Ok(Turn { due: count, fired: tally.fired, pause })
    }

    /// The definitions of those that are due, as far as they are still of the version that is due.
    async fn definitions(&self, due: &[Due]) -> Result<HashMap<ScheduleId, Read>> {
        let unknown = due.iter().filter(|due| self.cache.get(due.id, due.version).is_none());
        let unknown: Vec<ScheduleId> = unknown.map(|due| due.id).collect();
        let mut found = HashMap::with_capacity(due.len());
        for ids in unknown.chunks(LOAD_DEFINITIONS) {
            for schedule in self.deps.schedules.load(ids).await? {
                self.cache.put(&schedule);
            }
            // Taken at once: the cache may start anew with the next one.
            for due in due.iter().filter(|due| ids.contains(&due.id)) {
                found.extend(self.cache.get(due.id, due.version).map(|read| (due.id, read)));
            }
        }
        for due in due {
            if let Some(read) = self.cache.get(due.id, due.version) {
                found.insert(due.id, read);
            }
        }
        Ok(found)
    }

    /// The last jobs that have no outcome yet, of the schedules for which that matters.
    async fn busy(&self, due: &[Due], definitions: &HashMap<ScheduleId, Read>) -> Result<HashSet<JobId>> {
        let matters = |due: &&Due| {
            let read = definitions.get(&due.id).and_then(|read| read.as_ref().ok());
            read.is_some_and(|prepared| prepared.schedule.overlap() != haul_schedule::Overlap::Allow)
        };
        let mut jobs: HashSet<JobId> = due.iter().filter(matters).filter_map(|due| due.last_job).collect();
        if jobs.is_empty() {
            return Ok(jobs);
        }
        let asked: Vec<JobId> = jobs.iter().copied().collect();
        for (settled, _) in self.deps.ledger.settled(&asked).await? {
            jobs.remove(&settled);
        }
        // What retention has dropped has no outcome any more; it is not busy either.
        let left: Vec<JobId> = jobs.iter().copied().collect();
        if left.is_empty() {
            return Ok(jobs);
        }
        let loaded = self.deps.ledger.load(&left).await?;
        Ok(loaded.into_iter().filter(|loaded| loaded.outcome.is_none()).map(|loaded| loaded.job.id).collect())
    }

    fn planned(&self, due: &Due, read: &Read, now: Timestamp, is_busy: bool) -> Planned {
        let problem = match read {
            Ok(prepared) => match plan(prepared, due, now, is_busy, &self.deps.mint) {
                Ok(planned) => return planned,
                Err(error) => format!("how far it has come cannot be read: it {error}"),
            },
            Err(problem) => problem.to_string(),
        };
        Planned { step: self.problem_step(due, now, &problem), passed: 0 }
    }

    fn problem_step(&self, due: &Due, now: Timestamp, problem: &str) -> Step {
        tracing::warn!(schedule = %due.id, "a schedule cannot fire: {problem}");
        self.meters.problems.increment(1);
        put_off(due, now, problem)
    }

    /// Has steps taken. Gives what became of them.
    ///
    /// The ledger may refuse a batch for a single job's sake: it is halved until that one is alone, and that schedule is put
    /// off. A ledger that is away is asked again with the same steps: an answer that was lost is then known.
    async fn fire(&self, batch: Batch, now: Timestamp, counter: Option<&Counter>, stop: &CancellationToken) -> Tally {
        let mut tally = Tally::default();
        let mut stack = vec![batch];
        while let Some(batch) = stack.pop() {
            if batch.steps.is_empty() {
                continue;
            }
            match self.fire_patiently(&batch.steps, counter, stop).await {
                Ok(taken) => tally.add(batch.count(&taken, now, self.deps.mint.clock().now(), &self.meters)),
                Err(error) if error.is_transient() => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "steps are given up: the process ends");
                    return tally;
                }
                Err(error) => match batch.halved() {
                    Halved::Two(first, second) => stack.extend([second, first]),
                    Halved::One(due, step) if !step.jobs.is_empty() => {
                        let problem = match &error {
                            LedgerError::LimitReached(limit) => limit.clone(),
                            _ => "the ledger refuses its job".to_owned(),
                        };
                        let mut put_off = Batch::default();
                        put_off.push(due.clone(), Planned { step: self.problem_step(&due, now, &problem), passed: 0 });
                        stack.push(put_off);
                    }
                    Halved::One(due, _) => tracing::error!(
                        schedule = %due.id,
                        error = &error as &dyn std::error::Error,
                        "a schedule cannot be moved on"
                    ),
                },
            }
        }
        tally
    }

    /// Fires until an answer comes. A transient error is returned only when the process is to end.
    async fn fire_patiently(
        &self,
        steps: &[Step],
        counter: Option<&Counter>,
        stop: &CancellationToken,
    ) -> Result<Vec<Stepped>> {
        let mut retry_in = RETRY_MIN;
        loop {
            let done = self.receipts.take_done();
            let answer = self.deps.schedules.fire(steps, self.deps.process, &done).await;
            let error = match answer {
                Ok(fired) => {
                    if retry_in > RETRY_MIN && fired.steps.contains(&Stepped::Stale) {
                        self.release_unknown(steps).await;
                    }
                    let taken = steps.iter().zip(&fired.steps).filter(|(_, answer)| **answer == Stepped::Done);
                    let jobs = taken.flat_map(|(step, _)| &step.jobs);
                    if let Some(receipt) = fired.receipt
                        && !counter.is_some_and(|counter| counter.take(receipt, jobs))
                        && let Err(error) = self.deps.ledger.release_receipts(&[receipt]).await
                    {
                        tracing::debug!(%error, "a receipt could not be released; repair takes it within three minutes");
                    }
                    return Ok(fired.steps);
                }
                Err(error) if error.is_transient() && !stop.is_cancelled() => error,
                Err(error) => return Err(error),
            };
            if retry_in == RETRY_MIN {
                tracing::warn!(error = &error as &dyn std::error::Error, "ticks wait for the ledger");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(retry_in) => {}
            }
            retry_in = (retry_in * 2).min(RETRY_MAX);
        }
    }

    /// Leaves the jobs of an earlier call to repair, if it took steps all the same: its answer was lost, and meanwhile
    /// others have taken the next steps of some of its schedules, so that nothing tells any more which they were.
    async fn release_unknown(&self, steps: &[Step]) {
        // A receipt is named after the first of its jobs, whichever that was. What does not exist is not released.
        let firsts = steps.iter().filter_map(|step| step.jobs.first());
        let receipts: Vec<ReceiptId> = firsts.map(|job| ReceiptId(job.id)).collect();
        if let Err(error) = self.deps.ledger.release_receipts(&receipts).await {
            tracing::debug!(%error, "receipts could not be released; repair takes them within three minutes");
        }
    }
}

/// How far to stand aside at the next look, after one that found `count` schedules at `aside`.
///
/// Schedulers that wake up for the same minute all begin with the same batch, and all but one of them have planned for
/// nothing. Whoever comes second looks further behind from then on, where nobody is, for as long as there is much to do.
fn step_aside(aside: usize, count: usize, tally: &Tally) -> usize {
    if count < BATCH_SCHEDULES {
        0
    } else if tally.stale > tally.taken {
        (aside + ASIDE) % ASIDE_MAX
    } else {
        aside
    }
}
