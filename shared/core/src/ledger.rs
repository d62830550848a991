//! The ledger: the truth about every job.
//!
//! What an adapter promises is written at each method and checked by the ledger suite of `haul-conformance`. All of
//! them may be called from any number of processes at once. Every method may fail with [`LedgerError::Unavailable`]
//! after its effect was committed all the same; each is safe to call again with the same arguments.

use crate::{
    id::{JobId, ProcessId},
    job::{Job, Priority},
    name::{Kind, Queue, QueueRef, Tenant},
    outcome::{FinalState, JobError, JobRecord},
    queue::{QueueChange, QueueSettings},
    time::Timestamp,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::{any::Any, sync::Arc, time::Duration};

/// What a ledger call failed with, split by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store cannot be reached, or the answer was lost: whether the effect was committed is unknown. Try again.
    #[error("the ledger is not reachable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A lock was not to be had in time (an idempotency key that another transaction holds). Try again, later.
    #[error("the ledger is busy with the same rows")]
    Contended(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store refuses the rows. Split the batch until only the bad row is left, and fail that one.
    #[error("the ledger refuses the rows")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The tenant has as many queues, or the queue as many kinds, as are allowed.
    #[error("{0}")]
    LimitReached(String),
    /// What the store holds cannot be read: page someone.
    #[error("the ledger holds what this version cannot read")]
    Corrupt(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl LedgerError {
    /// Whether the same call may well succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Contended(_))
    }
}

/// A ledger call's answer.
pub type Result<T> = std::result::Result<T, LedgerError>;

/// A submitter's promise that requests under one key are one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The submitter's key.
    pub key: String,
    /// A digest of the request; another one under the same key is refused.
    pub fingerprint: [u8; 32],
    /// How long the key is remembered.
    pub lifetime: Duration,
}

/// A job to be accepted.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// The job, id and all.
    pub job: Job,
    /// Its idempotency key, if it came with one.
    pub idempotency: Option<Idempotency>,
}

/// What became of one job of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is committed. Also when an earlier call with the same id had committed it.
    New,
    /// The same request came before under this key, and was accepted as that job.
    Replayed(JobId),
    /// Another request came before under this key.
    KeyReused,
}

/// A batch's receipt: names the row that stays until its tickets have surely reached the dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiptId(pub JobId);

/// The answer to [`Ledger::accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchAccepted {
    /// One per job, in the order given.
    pub jobs: Vec<Accepted>,
    /// The receipt; `None` when nothing new was accepted.
    pub receipt: Option<ReceiptId>,
}

/// A receipt, handed to its new owner for repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its name.
    pub id: ReceiptId,
    /// The lowest id of its batch.
    pub first: JobId,
    /// The highest id of its batch.
    pub last: JobId,
    /// Whether its jobs were swept a minute ago, too: when they are enqueued now, it is to be dropped.
    pub is_final: bool,
}

/// A job as a worker needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The job.
    pub job: Job,
    /// Failed attempts so far. The next attempt is this plus one.
    pub failures: u32,
    /// How many of them were crashes.
    pub crashes: u32,
    /// When it may run: the latest failure's `retry_at`, or the job's `run_at`.
    pub due: Timestamp,
    /// How it ended, if it did: then no attempt may start.
    pub outcome: Option<FinalState>,
}

/// What a worker asks the ledger to record about an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The job.
    pub job: JobId,
    /// Its tenant.
    pub tenant: Tenant,
    /// The attempt, from 1; 0 when none had started.
    pub attempt: u32,
    /// When the attempt ended.
    pub at: Timestamp,
    /// How it ended.
    pub entry: Entry,
    /// Jobs accepted in the same transaction, if and only if this record is the one that stays.
    pub follow_ups: Vec<Job>,
}

/// The ways an attempt is recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Outcome `succeeded`, with the result.
    Succeeded(Option<Bytes>),
    /// Outcome `dead`.
    Dead(JobError),
    /// A failure; the next attempt may start at that time.
    Failed(JobError, Timestamp),
    /// A failure that took the process that ran it down with it; the next attempt may start at that time. Only a parent
    /// that saw its child die by itself may say so.
    Crashed(JobError, Timestamp),
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is committed.
    Committed,
    /// The job has an outcome already, or this attempt's failure, or crash, is known already: nothing was written.
    Stale,
}

/// The answer to [`Ledger::record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRecorded {
    /// One per record, in the order given.
    pub records: Vec<Recorded>,
    /// The receipt of the follow-ups; `None` when none were accepted.
    pub receipt: Option<ReceiptId>,
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// The outcome is `cancelled`, by this call.
    Now,
    /// It had ended before.
    Already(FinalState),
    /// It has begun to move money at a provider, which cannot be taken back: see [`Books`](crate::Books). It goes on.
    TooLate,
    /// The tenant has no such job.
    Unknown,
}

/// A job without an outcome, as the dispatch needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The job.
    pub id: JobId,
    /// Its queue.
    pub queue: QueueRef,
    /// Its kind.
    pub kind: Kind,
    /// Its priority.
    pub priority: Priority,
    /// When it may run: the latest failure's `retry_at`, or the job's `run_at`.
    pub due: Timestamp,
}

/// A page of unsettled jobs, in order of id.
#[derive(Debug, Clone, Default)]
pub struct UnsettledPage {
    /// The jobs; may be empty although more follow.
    pub jobs: Vec<Unsettled>,
    /// Where to go on; `None` at the end.
    pub next: Option<JobId>,
}

/// Which jobs a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this queue.
    pub queue: Option<Queue>,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only with this tag.
    pub tag: Option<(String, String)>,
    /// Only those that ended so, or have not ended.
    pub state: Option<StateFilter>,
    /// Accepted at or after.
    pub created_from: Option<Timestamp>,
    /// Accepted before.
    pub created_before: Option<Timestamp>,
}

/// The part of a state that the ledger can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateFilter {
    /// Has this outcome.
    Final(FinalState),
    /// Has no outcome.
    Unsettled,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The jobs; may be fewer than asked for although more follow.
    pub jobs: Vec<JobRecord>,
    /// List on before this id; `None` at the end.
    pub next: Option<JobId>,
}

/// A queue as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueInfo {
    /// Which queue.
    pub queue: QueueRef,
    /// What an operator set of it.
    pub settings: QueueSettings,
    /// When its first job made it known.
    pub created_at: Timestamp,
    /// Every kind that was ever accepted into it, in order.
    pub kinds: Vec<Kind>,
}

/// What a process tells about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its id.
    pub id: ProcessId,
    /// `api`, `worker`, `up`, ...
    pub role: String,
}

/// How many connections a process has to the store of its ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// `statements`, or `transactions`: those of handlers.
    pub pool: &'static str,
    /// Open, and not in use.
    pub idle: usize,
    /// In use.
    pub used: usize,
    /// How many there may be.
    pub max: usize,
}

/// The truth about every job.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// The ledger's clock. It rules: ids, due times and deadlines are made on it.
    async fn now(&self) -> Result<Timestamp>;

    /// Commits a batch of jobs with one receipt, durably, all or none. Deletes the receipts that the caller is done with.
    ///
    /// Ids are unique and minted by the caller on this ledger's clock. Called again with the same batch after a lost
    /// answer, it answers as if it were the first time. A queue or kind that was unknown becomes known. Two jobs of one
    /// batch may carry the same key: the later is measured against the earlier. Expired keys are taken over.
    async fn accept(&self, jobs: &[NewJob], owner: ProcessId, done: &[ReceiptId]) -> Result<BatchAccepted>;

    /// Deletes receipts whose tickets have reached the dispatch.
    async fn drop_receipts(&self, receipts: &[ReceiptId]) -> Result<()>;

    /// Gives receipts to [`ProcessId::NOBODY`], as if they had never been taken: the next repair takes them at once.
    async fn release_receipts(&self, receipts: &[ReceiptId]) -> Result<()>;

    /// The jobs by id, in any order, without those that do not exist. At most 10,000 ids.
    async fn load(&self, ids: &[JobId]) -> Result<Vec<Loaded>>;

    /// Commits a batch of records, durably, all or none, with the follow-ups of those that stay and one receipt for these.
    /// Records of jobs that outlive their day (see [`Maintenance`](crate::Maintenance)) may be a transaction of their own;
    /// each record is whole.
    ///
    /// The first outcome of a job stays for ever. A failure is written only while the job has no outcome, and once per
    /// attempt. A crash is a failure with a mark: of the same attempt's failure and crash the first stays. Two records of
    /// one batch may be of the same job: the earlier wins.
    async fn record(&self, records: &[Record], owner: ProcessId) -> Result<BatchRecorded>;

    /// Gives each job that has no outcome, and does not send for a payment, the outcome `cancelled`. One answer per id, in
    /// order.
    async fn cancel(&self, tenant: &Tenant, ids: &[JobId], at: Timestamp) -> Result<Vec<Cancelled>>;

    /// Which of these jobs have an outcome, in any order. Must be cheap: it is asked often.
    async fn settled(&self, ids: &[JobId]) -> Result<Vec<(JobId, FinalState)>>;

    /// Everything about one job of the tenant.
    async fn job(&self, tenant: &Tenant, id: JobId) -> Result<Option<JobRecord>>;

    /// Jobs of the tenant, newest first, beginning before `before`. Reads a bounded number of candidates per call, so
    /// that a page may come back short, even empty, with a `next`. Each job comes with its latest failure only.
    async fn list(&self, tenant: &Tenant, filter: &Filter, before: Option<JobId>, limit: usize) -> Result<Page>;

    /// Every queue, of every tenant.
    async fn queues(&self) -> Result<Vec<QueueInfo>>;

    /// Changes a queue's settings and gives those that hold then; `None` when there is no such queue. Changes by several
    /// callers that name different settings all hold. A value beyond its limits is [`LedgerError::Refused`].
    async fn configure_queue(&self, queue: &QueueRef, change: &QueueChange) -> Result<Option<QueueSettings>>;

    /// Tells that the process is alive. One that has not told so for 15 s, or never, is gone: what it owns is left behind.
    async fn heartbeat(&self, process: &ProcessInfo) -> Result<()>;

    /// Takes receipts for repair, at most `limit`, and makes `taker` their owner: those of nobody and of processes that
    /// are gone at once, any other after 3 minutes; what was taken again for its final sweep once 60 s have passed, and
    /// every 60 s from then on until it is dropped.
    ///
    /// What an owner took that is gone now may never have been swept: it is handed out as if for the first time, 15 s
    /// after it was taken at the earliest (taking is a sign of life, too). A receipt is never handed to two callers at
    /// the same time.
    async fn take_receipts(&self, taker: ProcessId, limit: usize) -> Result<Vec<Receipt>>;

    /// Jobs without an outcome, in order of id, from after `after` up to and including `last`. Reads closed minutes
    /// never and at most some thousands of candidates per call.
    ///
    /// A range given by a receipt is read even where its minutes are closed; see [`Ledger::reopen`].
    async fn unsettled(&self, after: Option<JobId>, last: Option<JobId>, limit: usize) -> Result<UnsettledPage>;

    /// Makes sure that the minutes from one id's to another's are read by [`Ledger::unsettled`] again, however late
    /// their jobs were committed.
    async fn reopen(&self, first: JobId, last: JobId) -> Result<()>;

    /// Closes the minutes (of ids) in which everything is settled and nothing more can come, so that looking for
    /// unsettled jobs never reads history. Bounded work per call; returns how many minutes were closed.
    async fn close_minutes(&self) -> Result<u64>;

    /// Prepares storage for the days ahead (partitions). Run at start and daily.
    async fn prepare_ahead(&self) -> Result<()>;

    /// Says that receipts of nobody may be waiting (committed by users' own transactions). Never ends; survives a lost
    /// connection, after which it speaks once more than needed.
    fn events(&self) -> BoxStream<'static, ()>;

    /// Transactional handlers, where the ledger offers them.
    fn transactions(&self) -> Option<Arc<dyn Transactions>> {
        None
    }
}

/// Opens the transactions of transactional handlers: their writes and the outcome commit together or not at all.
#[async_trait]
pub trait Transactions: Send + Sync + 'static {
    /// Begins a transaction, on a pool of its own. The store ends it by itself when it idles for longer than `idle_max`.
    async fn begin(&self, idle_max: Duration) -> Result<Box<dyn JobTransaction>>;
}

/// The transaction of one attempt. Dropped without a commit, it is rolled back.
#[async_trait]
pub trait JobTransaction: Send + 'static {
    /// For the handler: the adapter's own type, to be downcast.
    fn as_any_mut(&mut self) -> &mut (dyn Any + Send);

    /// Writes the record as the last statement and commits. [`Recorded::Stale`] means that everything was rolled back.
    async fn commit(self: Box<Self>, record: &Record, owner: ProcessId) -> Result<BatchRecorded>;
}
