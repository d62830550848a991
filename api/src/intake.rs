//! The intake: many submits, few commits.
//!
//! Two lanes of group commit stand between the handlers and the ledger: one for submits without an idempotency key, with
//! two commits in flight, and one for those with a key, so that a key that another transaction holds stalls nobody else.
//! Both are bounded in rows and in bytes; when a lane is full, a submit is refused at once. Streams wait for room
//! instead, and together may take no more than half of a lane. What happens inside a commit is told in [`crate::commit`].

use crate::{
    commit::{Committer, Rejection, Row},
    problem::{Problem, ProblemType},
};
use haul_core::{
    JobId,
    batch::{BatchLimits, Batcher, SubmitError, Weight, batcher},
    config::ApiConfig,
};
use std::{future::Future, sync::Arc, time::Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;

/// Commits in flight in the lane without keys.
const COMMITS_IN_FLIGHT: usize = 2;
/// Bytes in one commit.
const COMMIT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What became of one row: accepted as this job, or not.
pub(crate) type Verdict = Result<Admitted, Rejection>;

/// An accepted job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) id: JobId,
    /// Whether an earlier request under the same key had it accepted.
    pub(crate) replayed: bool,
}

/// Rows that came together and are answered together.
pub(crate) struct Entry {
    pub(crate) rows: Vec<Row>,
    pub(crate) since: Instant,
    /// What a stream holds of its share, until the answer.
    _share: Option<OwnedSemaphorePermit>,
}

type Lane = Batcher<Entry, Vec<Verdict>>;

/// The handlers' end of both lanes.
pub(crate) struct Intake {
    unkeyed: Lane,
    keyed: Lane,
    stream_share: Arc<Semaphore>,
    /// Rows in one entry at most: larger requests are cut into several.
    pub(crate) entry_rows_max: usize,
}

impl Intake {
    /// Starts the lanes. They end, with every commit answered, when the intake is dropped.
    pub(crate) fn start(config: &ApiConfig, committer: Committer, tasks: &TaskTracker) -> Self {
        let limits = BatchLimits {
            waiting_rows_max: config.intake_rows_max,
            waiting_bytes_max: config.intake_bytes_max,
            commit_rows_max: config.commit_rows_max,
            commit_bytes_max: COMMIT_BYTES_MAX,
        };
        let lane = |name: &'static str, loops: usize| {
            let (lane, batches) = batcher(limits);
            for _ in 0..loops {
                let batches = batches.clone();
                let committer = committer.clone();
                tasks.spawn(async move {
                    batches.run(async |entries: Vec<Entry>| committer.commit(name, entries).await).await;
                });
            }
            lane
        };
        Self {
            unkeyed: lane("accept", COMMITS_IN_FLIGHT),
            keyed: lane("accept_keyed", 1),
            stream_share: Arc::new(Semaphore::new((config.intake_rows_max / 2).clamp(1, u32::MAX as usize / 2))),
            entry_rows_max: config.commit_rows_max,
        }
    }

    /// Commits one row; the answer comes after its commit.
    pub(crate) async fn submit(&self, row: Row) -> Result<Admitted, Problem> {
        let lane = if row.idempotency.is_some() { &self.keyed } else { &self.unkeyed };
        let weight = row.draft.weight();
        let entry = Entry { rows: vec![row], since: Instant::now(), _share: None };
        let answer = lane.submit(entry, weight).map_err(refusal)?;
        let verdict = answer.await.ok().and_then(|mut verdicts| verdicts.pop());
        verdict.unwrap_or(Err(Rejection::Lost)).map_err(Rejection::into_problem)
    }

    /// Commits the rows of one request in order of arrival. The first ones are refused when the lane is full, the rest
    /// of a large request waits for room. One verdict per row, in order.
    pub(crate) async fn submit_batch(&self, rows: Vec<Row>) -> Result<Vec<Verdict>, Problem> {
        let mut answers = Answers::new(rows.len());
        for (n, (lane, places, entry, weight)) in self.split(rows).into_iter().enumerate() {
            let answer = match n {
                0 => lane.submit(entry, weight),
                _ => lane.submit_when_room(entry, weight).await,
            };
            answers.expect(places, answer.map_err(refusal)?);
        }
        Ok(answers.collect().await)
    }

    /// Puts the rows of a stream's chunk into the line as soon as there is room. The returned future gives one verdict
    /// per row, in order.
    pub(crate) async fn submit_stream(
        &self,
        rows: Vec<Row>,
    ) -> Result<impl Future<Output = Vec<Verdict>> + Send + use<>, Problem> {
        let mut answers = Answers::new(rows.len());
        for (lane, places, mut entry, weight) in self.split(rows) {
            let closed = |_| refusal(SubmitError::Closed);
            let share = u32::try_from(weight.rows).unwrap_or(1);
            entry._share = Some(self.stream_share.clone().acquire_many_owned(share).await.map_err(closed)?);
            answers.expect(places, lane.submit_when_room(entry, weight).await.map_err(refusal)?);
        }
        Ok(answers.collect())
    }

    /// Sorts rows into lanes and cuts them into entries; with each row's place among all.
    fn split(&self, rows: Vec<Row>) -> Vec<(&Lane, Vec<usize>, Entry, Weight)> {
        let since = Instant::now();
        let mut open: [Vec<(usize, Row)>; 2] = Default::default();
        for (place, row) in rows.into_iter().enumerate() {
            open[usize::from(row.idempotency.is_some())].push((place, row));
        }
        let mut entries = Vec::new();
        for (rows, lane) in open.into_iter().zip([&self.unkeyed, &self.keyed]) {
            let mut rows = rows.into_iter().peekable();
            while rows.peek().is_some() {
                let mut weight = Weight { rows: 0, bytes: 0 };
                let (mut places, mut taken) = (Vec::new(), Vec::new());
                while let Some((place, row)) =
                    rows.next_if(|_| weight.rows < self.entry_rows_max && weight.bytes < COMMIT_BYTES_MAX / 2)
                {
                    weight.rows += 1;
                    weight.bytes += row.draft.weight().bytes;
                    places.push(place);
                    taken.push(row);
                }
                entries.push((lane, places, Entry { rows: taken, since, _share: None }, weight));
            }
        }
        entries
    }
}

fn refusal(error: SubmitError) -> Problem {
    match error {
        SubmitError::Full => Problem::new(ProblemType::Overloaded, "as many jobs wait for their commit as may wait"),
        SubmitError::Closed => Problem::new(ProblemType::Overloaded, "the process is about to end"),
    }
}

/// Verdicts of several entries on their way back to the places of their rows.
struct Answers {
    rows: usize,
    expected: Vec<(Vec<usize>, oneshot::Receiver<Vec<Verdict>>)>,
}

impl Answers {
    fn new(rows: usize) -> Self {
        Self { rows, expected: Vec::new() }
    }

    fn expect(&mut self, places: Vec<usize>, answer: oneshot::Receiver<Vec<Verdict>>) {
        self.expected.push((places, answer));
    }

    async fn collect(self) -> Vec<Verdict> {
        let mut verdicts: Vec<Verdict> = (0..self.rows).map(|_| Err(Rejection::Lost)).collect();
        for (places, answer) in self.expected {
            // A commit loop that is gone answers nothing: its rows stay lost.
            for (place, verdict) in places.into_iter().zip(answer.await.unwrap_or_default()) {
                verdicts[place] = verdict;
            }
        }
        verdicts
    }
}
