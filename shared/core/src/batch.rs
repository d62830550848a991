//! Group commit: many callers, few commits.
//!
//! Natural batching: while one commit is in flight the next batch fills; there is no timer, and nothing is added to the
//! latency of a lone caller. The line in front is bounded in rows and in bytes; when it is full, [`Batcher::submit`]
//! refuses at once. What happens inside a commit, retries included, is the caller's of [`Batcher::run`].

use std::sync::Arc;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

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
    limits: BatchLimits,
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
    (batcher, Arc::new(Batches { line, limits }))
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
            let batch = self.next().await;
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
            assert_eq!(results.len(), answers.len(), "a commit gives one answer per entry");
            for ((answer, room), result) in answers.into_iter().zip(results) {
                drop(room);
                // An asker who has gone needs no answer; the commit stands.
                drop(answer.send(result));
            }
        }
    }

    /// The next batch; empty at the end.
    async fn next(&self) -> Vec<Waiting<T, R>> {
        let mut line = self.line.lock().await;
        let first = match line.held_over.take() {
            Some(waiting) => Some(waiting),
            None => line.receiver.recv().await,
        };
        let Some(first) = first else { return Vec::new() };
        let (mut rows, mut bytes) = (first.weight.rows, first.weight.bytes);
        let mut batch = vec![first];
        while let Ok(waiting) = line.receiver.try_recv() {
            rows += waiting.weight.rows;
            bytes += waiting.weight.bytes;
            if rows > self.limits.commit_rows_max || bytes > self.limits.commit_bytes_max {
                line.held_over = Some(waiting);
                break;
            }
            batch.push(waiting);
        }
        batch
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
}
