//! The operations: each is one script, called with at most a thousand tickets at a time.

use crate::{
    link::{Link, Timeouts},
    replies,
    scan::Position,
    script::{self, Call},
    tickets::{self, CALL_TICKETS_MAX},
    wakeups::Wakeups,
};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use haul_core::{
    Dispatch, JobId, Kind, ProcessId, QueueRef,
    dispatch::{
        Chore, Claim, ClaimRequest, DispatchError, Lease, QueueStats, RebuildToken, Result, ScanCursor, ScanPage,
        Settlement, Ticket,
    },
};
use redis::{ErrorKind, RedisError, Value};
use secrecy::SecretString;
use std::{fmt, time::Duration};
use uuid::Uuid;

/// How many queues [`Dispatch::lost`] asks about at the same time, on Redis Cluster.
const CLUSTER_CALLS_MAX: usize = 32;

/// The dispatch in Redis.
pub struct RedisDispatch {
    link: Link,
    wakeups: Wakeups,
}

impl fmt::Debug for RedisDispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisDispatch").field("cluster", &self.link.is_cluster()).finish_non_exhaustive()
    }
}

impl RedisDispatch {
    /// Connects to the server at `redis://[user:password@]host[:port][/database]` (`rediss://` for TLS), or to a Redis
    /// Cluster through any of the nodes named, with commas between them. Which of the two it is shows by itself. Behind
    /// Sentinels it is `redis+sentinel://[user:password@]host[:port],.../master-name[/database]` (`rediss+sentinel://` for
    /// TLS to both), with `?sentinel_username=...&sentinel_password=...` where the Sentinels want their own.
    ///
    /// # Errors
    /// [`DispatchError::Unavailable`] when no server answers: try again.
    /// [`DispatchError::Misconfigured`] when the URL cannot be read, the server is too old or refuses us, or its
    /// `maxmemory-policy` would let it drop tickets. A server that is changed so later, or that a failover brings, is
    /// noticed within a second or two; every call is answered so until that is mended.
    pub async fn connect(url: &SecretString, timeouts: Timeouts) -> Result<Self> {
        let (link, servers) = Link::open(url, timeouts).await?;
        let wakeups = Wakeups::open(servers, timeouts).await?;
        Ok(Self { link, wakeups })
    }

    async fn rebuilt(&self, call: &Call) -> Result<bool> {
        let word: String = self.link.call(call).await?;
        Ok(word == "ok")
    }
}

#[async_trait]
impl Dispatch for RedisDispatch {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> Result<()> {
        for tickets in tickets.chunks(CALL_TICKETS_MAX) {
            self.link.call::<()>(&tickets::adding(&script::ENQUEUE, queue, &[], tickets)).await?;
        }
        Ok(())
    }

    async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Claim> {
        let registration = self.wakeups.registration(request.worker, request.queue);
        let mut call = Call::new(&script::CLAIM, request.queue, request.kinds.iter().map(|(kind, _)| kind));
        call.arg(registration).bytes(request.token.0.as_bytes()).arg(as_ms(request.lease));
        call.arg(request.limit.min(CALL_TICKETS_MAX));
        for (_, room) in request.kinds {
            call.arg(*room);
        }
        let reply: Vec<Value> = self.link.call(&call).await?;
        replies::claim(&reply, request.kinds).ok_or_else(unreadable)
    }

    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> Result<Vec<bool>> {
        let mut held = Vec::with_capacity(leases.len());
        for leases in leases.chunks(CALL_TICKETS_MAX) {
            let asked = tickets::extending(&script::EXTEND, queue, as_ms(lease), leases);
            let answers: Vec<String> = self.link.call(&asked.call).await?;
            held.extend(asked.read(&answers, "held").ok_or_else(unreadable)?);
        }
        Ok(held)
    }

    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> Result<()> {
        for settlements in settlements.chunks(CALL_TICKETS_MAX) {
            self.link.call::<()>(&tickets::settling(&script::SETTLE, queue, settlements)).await?;
        }
        Ok(())
    }

    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<()> {
        for tickets in tickets.chunks(CALL_TICKETS_MAX) {
            self.link.call::<()>(&tickets::asking(&script::REMOVE, queue, tickets).call).await?;
        }
        Ok(())
    }

    async fn pause(&self, queue: &QueueRef, paused: bool) -> Result<()> {
        let mut call = Call::new(&script::PAUSE, queue, []);
        self.link.call(call.arg(word(paused))).await
    }

    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<QueueStats> {
        let reply: Vec<Value> = self.link.call(&Call::new(&script::STATS, queue, kinds)).await?;
        replies::stats(&reply).ok_or_else(unreadable)
    }

    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<Vec<bool>> {
        let mut leased = Vec::with_capacity(tickets.len());
        for tickets in tickets.chunks(CALL_TICKETS_MAX) {
            let asked = tickets::asking(&script::LEASED, queue, tickets);
            let answers: Vec<String> = self.link.call(&asked.call).await?;
            leased.extend(asked.read(&answers, "leased").ok_or_else(unreadable)?);
        }
        Ok(leased)
    }

    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> Result<Vec<JobId>> {
        let mut call = Call::new(&script::RUNNING, queue, kinds);
        let reply: Vec<Value> = self.link.call(call.arg(limit)).await?;
        replies::ids(&reply).ok_or_else(unreadable)
    }

    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> Result<ScanPage> {
        let at = Position::read(cursor).ok_or_else(unreadable)?;
        if at.kinds(kinds).is_empty() {
            return Ok(ScanPage::default());
        }
        let reply: Vec<Value> = self.link.call(&at.call(queue, kinds, limit)).await?;
        at.page(kinds, &reply).ok_or_else(unreadable)
    }

    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        self.wakeups.wait(worker, at_most).await
    }

    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<()> {
        self.link.call(&Call::new(&script::WAKE, queue, kinds)).await
    }

    async fn turn(&self, chore: Chore, every: Duration) -> Result<bool> {
        let word: String = self.link.call(Call::on_turn(&script::TURN, chore).arg(as_ms(every))).await?;
        Ok(word == "yours")
    }

    async fn lost(&self, queues: &[QueueRef]) -> Result<Vec<QueueRef>> {
        // On a cluster each queue is asked about on the node that owns its slot.
        let together = if self.link.is_cluster() { 1 } else { CALL_TICKETS_MAX };
        let ask = async |queues: &[QueueRef]| {
            let answers: Vec<String> = self.link.call(&Call::on_states(&script::LOST, queues)).await?;
            let lost = queues.iter().zip(answers).filter(|(_, answer)| answer == "lost");
            Ok(lost.map(|(queue, _)| queue.clone()).collect::<Vec<_>>())
        };
        stream::iter(queues.chunks(together)).map(ask).buffered(CLUSTER_CALLS_MAX).try_concat().await
    }

    async fn begin_rebuild(&self, queue: &QueueRef, kinds: &[Kind], hold: Duration) -> Result<Option<RebuildToken>> {
        let token = RebuildToken(Uuid::new_v4());
        let mut call = Call::new(&script::BEGIN_REBUILD, queue, kinds);
        let word: String = self.link.call(call.bytes(token.0.as_bytes()).arg(as_ms(hold))).await?;
        Ok((word == "begun").then_some(token))
    }

    async fn rebuild(&self, queue: &QueueRef, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> Result<bool> {
        let hold_ms = as_ms(hold).to_string();
        let head = [token.0.as_bytes().as_slice(), hold_ms.as_bytes()];
        if tickets.is_empty() {
            return self.rebuilt(&tickets::adding(&script::REBUILD, queue, &head, &[])).await;
        }
        for tickets in tickets.chunks(CALL_TICKETS_MAX) {
            if !self.rebuilt(&tickets::adding(&script::REBUILD, queue, &head, tickets)).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn finish_rebuild(&self, queue: &QueueRef, token: RebuildToken, paused: bool) -> Result<bool> {
        let mut call = Call::new(&script::FINISH_REBUILD, queue, []);
        self.rebuilt(call.bytes(token.0.as_bytes()).arg(word(paused))).await
    }
}

fn word(paused: bool) -> &'static str {
    if paused { "paused" } else { "running" }
}

/// Whole milliseconds, at least one: nothing lasts for no time in Redis.
fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 50)
}

fn unreadable() -> DispatchError {
    DispatchError::Unavailable(RedisError::from((ErrorKind::Parse, "a script's reply cannot be read")).into())
}
