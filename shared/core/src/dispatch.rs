//! The dispatch: a fast, rebuildable hint about what to run next.
//!
//! It holds tickets (ids, never payloads) and may lose all of them: the ledger brings them back. Hence the promises
//! are few, written at each method and checked by the dispatch suite of `haul-conformance`. A call that fails or is
//! dropped has an *unknown* effect; lease expiry covers it.

use crate::{
    id::{JobId, ProcessId},
    job::Priority,
    name::{Kind, QueueRef},
    queue::QueueSettings,
    time::Timestamp,
};
use async_trait::async_trait;
use std::time::Duration;
use uuid::Uuid;

/// What a dispatch call failed with, split by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// Not reachable, or the answer was lost: whether it took effect is unknown. Try again.
    #[error("the dispatch is not reachable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The dispatch is set up so that it would lose tickets. The text says which command mends it.
    #[error("{0}")]
    Misconfigured(String),
}

/// A dispatch call's answer.
pub type Result<T> = std::result::Result<T, DispatchError>;

/// A job's entry in the dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The job.
    pub id: JobId,
    /// Its kind.
    pub kind: Kind,
    /// Its priority.
    pub priority: Priority,
    /// When it may be claimed; `None` for at once, without asking the clock.
    pub due: Option<Timestamp>,
}

/// Made by the claimer, new for every claim; the only proof of the leases that the claim gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub Uuid);

impl LeaseToken {
    /// A token that nobody else has.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

/// The right to run one attempt, until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub id: JobId,
    /// Its kind.
    pub kind: Kind,
    /// Its priority: where the ticket goes back to.
    pub priority: Priority,
    /// The claim that gave it.
    pub token: LeaseToken,
}

/// What a worker can take from a queue.
#[derive(Debug, Clone)]
pub struct ClaimRequest<'a> {
    /// From which queue.
    pub queue: &'a QueueRef,
    /// The kinds that the worker handles and has room for, with the room for each. Others wait.
    pub kinds: &'a [(Kind, usize)],
    /// How many tickets at most, over all kinds. At most 1,000.
    pub limit: usize,
    /// Who claims: where a wake-up is sent to when the claim finds less than `limit`.
    pub worker: ProcessId,
    /// A new token.
    pub token: LeaseToken,
    /// How long the leases last.
    pub lease: Duration,
}

/// What a claim found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whether the queue gives out tickets.
    pub state: QueueState,
    /// The tickets that are now leased under the request's token.
    pub tickets: Vec<Claimed>,
    /// In how long the next ticket of these kinds is due or its lease expires; `None` when none is known.
    pub next_in: Option<Duration>,
}

/// Whether a queue gives out tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueState {
    /// It does.
    Ready,
    /// An operator paused it.
    Paused,
    /// The dispatch lost its tickets, or never had them: a rebuild is needed.
    Lost,
}

/// A ticket, now leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The job.
    pub id: JobId,
    /// Its kind.
    pub kind: Kind,
    /// Its priority.
    pub priority: Priority,
    /// Whether it came back because a lease expired: its worker may have died of it.
    pub suspect: bool,
}

/// What to do with a lease that is no longer needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The lease.
    pub lease: Lease,
    /// Where the ticket goes.
    pub next: Next,
}

/// Where a ticket goes from a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Away: the job has an outcome.
    Done,
    /// Back, due at that time.
    Park(Timestamp),
    /// Back to the front of its line: the attempt never started.
    Release,
}

/// How much waits in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueStats {
    /// Tickets that could be claimed now.
    pub ready: u64,
    /// Tickets that are due later.
    pub delayed: u64,
    /// Tickets that are leased.
    pub leased: u64,
    /// The oldest ticket that could be claimed now; its id tells its age. Looked for among the first of each line: one
    /// that came in behind very many younger ones may be missed.
    pub oldest_ready: Option<JobId>,
}

/// Where a scan goes on. Only the dispatch that gave it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanCursor(pub String);

/// A part of what a scan finds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanPage {
    /// Tickets, in no order; may be fewer than asked for, even none, although more follow.
    pub tickets: Vec<Seen>,
    /// Where to go on; `None` at the end.
    pub next: Option<ScanCursor>,
}

/// A ticket that a scan met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The job.
    pub id: JobId,
    /// Its kind.
    pub kind: Kind,
    /// Where it was.
    pub place: Place,
}

/// Where a ticket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Due later.
    Delayed,
    /// Could be claimed now.
    Ready,
    /// Leased.
    Leased {
        /// Since when the lease has expired, if it has, and no claim has taken the ticket back.
        expired_for: Option<Duration>,
    },
}

/// What one process at a time need do, for all queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chore {
    /// Comparing the dispatch with the ledger.
    Audit,
    /// Looking again for what a rebuild may have missed.
    SecondLook,
}

/// The right to rebuild one queue, until it expires or another takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RebuildToken(pub Uuid);

/// A fast, rebuildable hint about what to run next.
///
/// Operations on a queue name the kinds that they touch: everything is kept per queue and kind, so that each key is
/// declared.
#[async_trait]
pub trait Dispatch: Send + Sync + 'static {
    /// Makes tickets claimable when they are due, in the order given among equals of a slot, and wakes an idle worker of each of
    /// their kinds, also for what is due later: it may be due sooner than what that worker waits for. A ticket whose job
    /// is leased is skipped. A ticket that waits already may be kept twice: that costs a read, no more. A queue
    /// that is [`QueueState::Lost`] takes tickets too, and then every waiting worker is woken for it: it may be new.
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> Result<()>;

    /// Moves tickets into leases, atomically: lowest priority number first; within one, expired leases first, then the
    /// oldest head among the kinds. A queue that is split keeps that order within each of its slots. Tickets that have become due and leases that have expired are promoted first, a
    /// bounded number per call. When it leaves ready tickets of any of these kinds behind, it wakes another worker; when it finds less
    /// than it asked for, the next enqueue wakes this one.
    async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Claim>;

    /// Makes leases last `lease` from now. One answer per lease, in order: whether it is still held. A lease that is
    /// unknown in a queue that is [`QueueState::Lost`] is taken up again: its holder knows better.
    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> Result<Vec<bool>>;

    /// Ends leases. One with a wrong token, or none, is left alone. A ticket that goes back wakes an idle worker, as an
    /// enqueue does.
    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> Result<()>;

    /// Takes tickets away, as far as that is cheap: delayed ones surely, ready ones may still be claimed once. Leases stay.
    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<()>;

    /// Brings the queue in line with what the ledger says of it. A paused one gives out nothing; its leases go on.
    /// Resuming wakes its idle workers. A dispatch that keeps tickets by slot has to part them anew when their number
    /// changes: then the queue becomes [`QueueState::Lost`], until a rebuild fills it under the new number.
    async fn configure(&self, queue: &QueueRef, settings: &QueueSettings) -> Result<()>;

    /// How much waits, over the given kinds.
    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<QueueStats>;

    /// Which of these jobs are leased, in order.
    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<Vec<bool>>;

    /// Leased jobs of these kinds, at most `limit`, in any order.
    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> Result<Vec<JobId>>;

    /// Reads the queue's tickets of these kinds, page by page: from `cursor` on, or from the begin. All pages of a scan name
    /// the same kinds in the same order.
    ///
    /// A ticket that stays in its place from the scan's begin to its end is seen, maybe more than once, whatever the
    /// others do. Of each kind what is delayed is read first, then what is ready, then what is leased, so that one that
    /// goes that way meanwhile is seen too; one that goes back may be missed. Costs some thousand entries per page at
    /// most, and changes nothing. It also reads a queue that is paused or [`QueueState::Lost`].
    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> Result<ScanPage>;

    /// Waits until the worker is woken, or `at_most` has passed. Returns the queues that it was woken for since the last
    /// wait, none when the time has passed. Never fails: without a connection it waits for `at_most`.
    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef>;

    /// Passes a wake-up on: wakes another idle worker that has room for any of these kinds, for one that has none itself.
    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<()>;

    /// Whether it is the caller's turn to do a chore: nobody else was told so within the last `every`. May be told once too
    /// often after a loss; a dispatch of one process alone need not remember.
    async fn turn(&self, _chore: Chore, _every: Duration) -> Result<bool> {
        Ok(true)
    }

    /// Which of these queues need a rebuild: their tickets were lost, the server is not the one that they were rebuilt
    /// on, or they are new.
    async fn lost(&self, queues: &[QueueRef]) -> Result<Vec<QueueRef>>;

    /// Begins a rebuild: the queue becomes [`QueueState::Lost`], its waiting tickets of these kinds are dropped, its leases stay.
    /// When the settings split it over another number of slots than before, leases may go too: their holders take them up
    /// again, by [`Dispatch::extend`].
    /// `None` while another rebuild of the queue is under way. The right ends after `hold` unless [`Dispatch::rebuild`] renews it.
    async fn begin_rebuild(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        settings: &QueueSettings,
        hold: Duration,
    ) -> Result<Option<RebuildToken>>;

    /// Enqueues tickets of a rebuild and renews its right. `false`: the right was lost, nothing was done.
    async fn rebuild(&self, queue: &QueueRef, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> Result<bool>;

    /// Ends a rebuild: sets what the ledger says of the queue, lets claims begin and wakes its idle workers. `false`: the
    /// right was lost.
    async fn finish_rebuild(&self, queue: &QueueRef, token: RebuildToken, settings: &QueueSettings) -> Result<bool>;
}
