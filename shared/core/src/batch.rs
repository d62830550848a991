//! Group commit: many callers, few commits.
//!
//! Natural batching: while one commit is in flight the next batch fills; there is no timer, and nothing is added to the
//! latency of a lone caller. Where several commits may be in flight, a second one begins only when it is worth it: a commit
//! costs the store far more than a row does, so a handful of rows waits for the commit that is under way, for
//! [`OVERLAP_WAIT_MAX`] at the most. The line in front is bounded in rows and in bytes; when it is full, [`Batcher::submit`]
//! refuses at once. What happens inside a commit, retries included, is the caller's of [`Batcher::run`].

use futures::future::{Either, select};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout_at},
};

/// Rows that are worth a commit beside one that is under way.
const OVERLAP_ROWS_MIN: usize = 32;
/// How long fewer rows wait for the commit that is under way: it may be stuck.
pub const OVERLAP_WAIT_MAX: Duration = Duration::from_millis(20);

/// What one entry weighs in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// Rows it writes; at least 1.
    pub rows: usize,
    /// Bytes it carries.
    pub bytes: usize,
}

/// Bounds of the line and of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Rows that may wait.
    pub waiting_rows_max: usize,
    /// Bytes that may wait.
    pub waiting_bytes_max: usize,
    /// Rows of one commit. An entry that is larger alone is committed alone.
    pub commit_rows_max: usize,
    /// Bytes of one commit. An entry that is larger alone is committed alone.
    pub commit_bytes_max: usize,
}

/// Why an entry was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// As much waits as may wait.
    #[error("as many entries wait for their commit as may wait")]
    Full,
    /// The committing side is gone.
    #[error("commits have ended")]
    Closed,
}

/// An entry in line, with what it holds of the bounds.
struct Waiting<T, R> {
    entry: T,
    weight: Weight,
    answer: oneshot::Sender<R>,
    _room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// The callers' end: entries go in, each comes back with its own answer.
pub struct Batcher<T, R> {
    line: mpsc::UnboundedSender<Waiting<T, R>>,
    rows: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    limits: BatchLimits,
}

impl<T, R> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self { line: self.line.clone(), rows: self.rows.clone(), bytes: self.bytes.clone(), limits: self.limits }
    }
}

/// The committing end: give it to as many [`Batches::run`] loops as commits may be in flight.
pub struct Batches<T, R> {
    line: Mutex<Line<T, R>>,
    under_way: UnderWay,
    limits: BatchLimits,
}

/// Commits that are under way.
#[derive(Default)]
struct UnderWay {
    commits: AtomicUsize,
    one_ended: Notify,
}

/// A commit that is under way; dropped when it has ended, also by a panic.
struct Commit<'a>(&'a UnderWay);

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        self.0.commits.fetch_sub(1, Ordering::AcqRel);
        self.0.one_ended.notify_waiters();
    }
}

struct Line<T, R> {
    receiver: mpsc::UnboundedReceiver<Waiting<T, R>>,
    /// The entry that did not fit into the last batch.
    held_over: Option<Waiting<T, R>>,
}

/// A new line. Bounds beyond `u32::MAX / 2` are cut to it.
pub fn batcher<T, R>(limits: BatchLimits) -> (Batcher<T, R>, Arc<Batches<T, R>>) {
    // The semaphores bound the channel: nothing is sent without a permit for its rows and bytes.
    let (line, receiver) = mpsc::unbounded_channel();
    let permits = |max: usize| Arc::new(Semaphore::new(max.min(u32::MAX as usize / 2)));
    let batcher =
        Batcher { line, rows: permits(limits.waiting_rows_max), bytes: permits(limits.waiting_bytes_max), limits };
    let line = Mutex::new(Line { receiver, held_over: None });
    (batcher, Arc::new(Batches { line, under_way: UnderWay::default(), limits }))
}

impl<T, R> Batcher<T, R> {
    /// Puts an entry into the line, or says at once that there is no room. The answer comes with its commit; dropping
    /// the receiver does not take the entry back.
    pub fn submit(&self, entry: T, weight: Weight) -> Result<oneshot::Receiver<R>, SubmitError> {
        let rows = self.rows.clone().try_acquire_many_owned(self.share(weight.rows, self.limits.waiting_rows_max));
        let bytes = self.bytes.clone().try_acquire_many_owned(self.share(weight.bytes, self.limits.waiting_bytes_max));
        let (Ok(rows), Ok(bytes)) = (rows, bytes) else { return Err(SubmitError::Full) };
        self.send(entry, weight, (rows, bytes))
    }

    /// Puts an entry into the line as soon as there is room: for streams, which wait instead of being refused.
    pub async fn submit_when_room(&self, entry: T, weight: Weight) -> Result<oneshot::Receiver<R>, SubmitError> {
        let closed = |_| SubmitError::Closed;
        let rows = self.share(weight.rows, self.limits.waiting_rows_max);
        let rows = self.rows.clone().acquire_many_owned(rows).await.map_err(closed)?;
        let bytes = self.share(weight.bytes, self.limits.waiting_bytes_max);
        let bytes = self.bytes.clone().acquire_many_owned(bytes).await.map_err(closed)?;
        self.send(entry, weight, (rows, bytes))
    }

    /// How many rows wait for their commit.
    pub fn waiting_rows(&self) -> usize {
        self.limits.waiting_rows_max.saturating_sub(self.rows.available_permits())
    }

    fn share(&self, weight: usize, max: usize) -> u32 {
        u32::try_from(weight.min(max)).unwrap_or(u32::MAX / 2)
    }

    fn send(
        &self,
        entry: T,
        weight: Weight,
        room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    ) -> Result<oneshot::Receiver<R>, SubmitError> {
        let (answer, receiver) = oneshot::channel();
        let waiting = Waiting { entry, weight, answer, _room: room };
        self.line.send(waiting).map_err(|_| SubmitError::Closed)?;
        Ok(receiver)
    }
}

impl<T, R> Batches<T, R> {
    /// Commits batch after batch until every [`Batcher`] is dropped and the line is empty. `commit` must give one answer
    /// per entry, in order.
    pub async fn run<F: Future<Output = Vec<R>>>(&self, mut commit: impl FnMut(Vec<T>) -> F) {
        loop {
            let (batch, under_way) = self.next().await;
            if batch.is_empty() {
                return;
            }
            let mut entries = Vec::with_capacity(batch.len());
            let mut answers = Vec::with_capacity(batch.len());
            for waiting in batch {
                entries.push(waiting.entry);
                answers.push((waiting.answer, waiting._room));
            }
            let results = commit(entries).await;
            drop(under_way);
            assert_eq!(results.len(), answers.len(), "a commit gives one answer per entry");
            for ((answer, room), result) in answers.into_iter().zip(results) {
                drop(room);
                // An asker who has gone needs no answer; the commit stands.
                drop(answer.send(result));
            }
        }
    }

    /// The next batch, empty at the end; its commit counts as under way from before another loop can look.
    async fn next(&self) -> (Vec<Waiting<T, R>>, Commit<'_>) {
        let mut line = self.line.lock().await;
        let batch = self.gather(&mut line).await;
        self.under_way.commits.fetch_add(1, Ordering::AcqRel);
        (batch, Commit(&self.under_way))
    }

    async fn gather(&self, line: &mut Line<T, R>) -> Vec<Waiting<T, R>> {
        let mut next = match line.held_over.take() {
            Some(waiting) => Some(waiting),
            None => line.receiver.recv().await,
        };
        let mut batch = Vec::new();
        let mut weight = Weight { rows: 0, bytes: 0 };
        let mut patience_end = None;
        loop {
            while let Some(waiting) = next.take() {
                weight.rows += waiting.weight.rows;
                weight.bytes += waiting.weight.bytes;
                let fits = weight.rows <= self.limits.commit_rows_max && weight.bytes <= self.limits.commit_bytes_max;
                if !fits && !batch.is_empty() {
                    line.held_over = Some(waiting);
                    return batch;
                }
                batch.push(waiting);
                next = line.receiver.try_recv().ok();
            }
            let one_ended = self.under_way.one_ended.notified();
            let is_alone = self.under_way.commits.load(Ordering::Acquire) == 0;
            if batch.is_empty() || is_alone || weight.rows >= OVERLAP_ROWS_MIN {
                return batch;
            }
            // Few rows, and a commit is under way: wait for more of them, for its end, or to the end of patience.
            let patience_end = *patience_end.get_or_insert_with(|| Instant::now() + OVERLAP_WAIT_MAX);
            let more = pin!(line.receiver.recv());
            match timeout_at(patience_end, select(more, pin!(one_ended))).await {
                Ok(Either::Left((Some(waiting), _))) => next = Some(waiting),
                Ok(Either::Right(_)) => {}
                Ok(Either::Left((None, _))) | Err(_) => return batch,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    const LIMITS: BatchLimits =
        BatchLimits { waiting_rows_max: 5, waiting_bytes_max: 100, commit_rows_max: 3, commit_bytes_max: 50 };
    const ROW: Weight = Weight { rows: 1, bytes: 10 };

    #[test]
    fn a_full_line_refuses_and_each_entry_gets_its_own_answer() {
        let (batcher, batches) = batcher(LIMITS);
        let answers: Vec<_> = (0..5).map(|n| batcher.submit(n, ROW).unwrap()).collect();
        assert_eq!(batcher.submit(5, ROW).unwrap_err(), SubmitError::Full);
        drop(batcher);
        let mut sizes = Vec::new();
        block_on(batches.run(|batch: Vec<i32>| {
            sizes.push(batch.len());
            std::future::ready(batch.into_iter().map(|n| n * 10).collect())
        }));
        assert_eq!(sizes, [3, 2]);
        let answers: Vec<_> = answers.into_iter().map(|answer| block_on(answer).unwrap()).collect();
        assert_eq!(answers, [0, 10, 20, 30, 40]);
    }

    #[test]
    fn an_entry_larger_than_every_bound_is_committed_alone() {
        let (batcher, batches) = batcher(LIMITS);
        let answer = batcher.submit(1, Weight { rows: 50, bytes: 5_000 }).unwrap();
        drop(batcher);
        block_on(batches.run(async |batch: Vec<i32>| batch));
        assert_eq!(block_on(answer), Ok(1));
    }

    #[test]
    fn room_comes_back_with_the_answer() {
        let (batcher, batches) = batcher(LIMITS);
        for _ in 0..5 {
            drop(batcher.submit(0, ROW).unwrap());
        }
        assert_eq!(batcher.waiting_rows(), 5);
        let later = batcher.clone();
        drop(batcher);
        let run = batches.run(async |batch: Vec<i32>| batch);
        let submit = async move { later.submit_when_room(7, ROW).await.unwrap().await };
        let (_, answer) = block_on(futures::future::join(run, submit));
        assert_eq!(answer, Ok(7));
    }

    /// Two loops whose commits are told when to end; gives the sizes of the batches that began.
    struct Loops {
        began: tokio::sync::mpsc::UnboundedReceiver<usize>,
        may_end: Arc<Semaphore>,
    }

    fn two_loops(batches: Arc<Batches<i32, i32>>) -> Loops {
        let (sender, began) = mpsc::unbounded_channel();
        let may_end = Arc::new(Semaphore::new(0));
        for _ in 0..2 {
            let (batches, sender, may_end) = (batches.clone(), sender.clone(), may_end.clone());
            tokio::spawn(async move {
                batches
                    .run(async |batch: Vec<i32>| {
                        sender.send(batch.len()).unwrap();
                        may_end.acquire().await.unwrap().forget();
                        batch
                    })
                    .await;
            });
        }
        Loops { began, may_end }
    }

    const WIDE: BatchLimits = BatchLimits {
        waiting_rows_max: 1_000,
        waiting_bytes_max: 100_000,
        commit_rows_max: 500,
        commit_bytes_max: 50_000,
    };

    #[tokio::test(start_paused = true)]
    async fn a_handful_waits_for_the_commit_under_way_and_many_do_not() {
        let (batcher, batches) = batcher(WIDE);
        let mut loops = two_loops(batches);
        let first = batcher.submit(0, ROW).unwrap();
        assert_eq!(loops.began.recv().await, Some(1));
        let few: Vec<_> = (0..5).map(|n| batcher.submit(n, ROW).unwrap()).collect();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(loops.began.try_recv().is_err());
        loops.may_end.add_permits(1);
        first.await.unwrap();
        assert_eq!(loops.began.recv().await, Some(5));
        drop((0..OVERLAP_ROWS_MIN).map(|_| batcher.submit(0, ROW).unwrap()).collect::<Vec<_>>());
        assert_eq!(loops.began.recv().await, Some(OVERLAP_ROWS_MIN));
        drop(few);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_commit_holds_up_a_handful_only_for_so_long() {
        let (batcher, batches) = batcher(WIDE);
        let mut loops = two_loops(batches);
        drop(batcher.submit(0, ROW).unwrap());
        assert_eq!(loops.began.recv().await, Some(1));
        let begin = Instant::now();
        drop(batcher.submit(1, ROW).unwrap());
        assert_eq!(loops.began.recv().await, Some(1));
        assert_eq!(begin.elapsed().as_millis(), OVERLAP_WAIT_MAX.as_millis());
    }
}
