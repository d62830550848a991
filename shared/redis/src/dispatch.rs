//! The operations: each is one script, called with at most a thousand tickets at a time.

use crate::{
    link::{CallError, Link, Timeouts},
    pace::RedisPace,
    replies,
    scan::{Cursor, Position},
    script::{self, Call},
    slots::{Slot, Slots},
    tickets::{self, CALL_TICKETS_MAX},
    wakeups::Wakeups,
};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use haul_core::{
    Dispatch, JobId, Kind, ProcessId, QueueRef, QueueSettings,
    dispatch::{
        Chore, Claim, ClaimRequest, DispatchError, Lease, QueueStats, RebuildToken, Result, ScanCursor, ScanPage,
        Settlement, Ticket,
    },
    limits::SLOTS_MAX,
};
use redis::{ErrorKind, RedisError, Value};
use secrecy::SecretString;
use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};
use uuid::Uuid;

/// How many slots [`Dispatch::lost`] asks about at the same time, on Redis Cluster.
const CLUSTER_CALLS_MAX: usize = 32;

/// The dispatch in Redis.
pub struct RedisDispatch {
    pub(crate) link: Arc<Link>,
    pub(crate) wakeups: Wakeups,
    pub(crate) slots: Slots,
    /// With which slot the next claim begins.
    pub(crate) turn: AtomicUsize,
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
        Ok(Self { link: Arc::new(link), wakeups, slots: Slots::default(), turn: AtomicUsize::new(0) })
    }

    /// Pace on the same servers, over the same connection.
    pub fn pace(&self) -> RedisPace {
        RedisPace::new(self.link.clone())
    }
}

#[async_trait]
impl Dispatch for RedisDispatch {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> Result<()> {
        for _ in 0..2 {
            let counted = self.slots.of(queue);
            let adding = |slot: Slot<'_>, tickets: &[&Ticket]| tickets::adding(&script::ENQUEUE, slot, &[], tickets);
            let known = self.spread(queue, tickets, |ticket| ticket.id, adding).await?;
            // A slot that knows nothing was emptied with its server. It may be one that the queue has no longer: then
            // nobody would look there, and the first slot knows better.
            if counted == 1 || known.iter().all(|known| *known) || self.ask_slots(queue).await? == counted {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Claim> {
        self.claim_slots(request).await
    }

    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> Result<Vec<bool>> {
        let extending =
            |slot: Slot<'_>, leases: &[&Lease]| tickets::extending(&script::EXTEND, slot, as_ms(lease), leases);
        self.spread(queue, leases, |lease| lease.id, extending).await
    }

    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> Result<()> {
        let settling = |slot: Slot<'_>, part: &[&Settlement]| tickets::settling(&script::SETTLE, slot, part);
        self.spread(queue, settlements, |settlement| settlement.lease.id, settling).await.map(drop)
    }

    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<()> {
        let removing = |slot: Slot<'_>, part: &[&(Kind, JobId)]| tickets::asking(&script::REMOVE, slot, part, "ok");
        self.spread(queue, tickets, |(_, id)| *id, removing).await.map(drop)
    }

    async fn configure(&self, queue: &QueueRef, settings: &QueueSettings) -> Result<()> {
        let configure = |slot: Slot<'_>| {
            let mut call = Call::new(&script::CONFIGURE, slot, []);
            call.arg(word(settings.paused)).arg(settings.slots);
            call
        };
        let slots: u16 = self.link.call(configure(Slot::first(queue))).await?;
        self.slots.learn(queue, slots);
        let others =
            Slot::all(queue, slots).skip(1).map(|slot| self.link.call::<u16>(configure(Slot { of: 0, ..slot })));
        for answer in join_all(others).await {
            answer?;
        }
        Ok(())
    }

    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<QueueStats> {
        let replies: Vec<Vec<Value>> = self.each(queue, |slot| Call::new(&script::STATS, slot, kinds)).await?;
        let parts = replies.iter().map(|reply| replies::stats(reply));
        parts
            .collect::<Option<Vec<_>>>()
            .map(|parts| parts.into_iter().fold(QueueStats::default(), add))
            .ok_or_else(unreadable)
    }

    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<Vec<bool>> {
        let asking = |slot: Slot<'_>, part: &[&(Kind, JobId)]| tickets::asking(&script::LEASED, slot, part, "leased");
        self.spread(queue, tickets, |(_, id)| *id, asking).await
    }

    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> Result<Vec<JobId>> {
        let running = |slot: Slot<'_>| {
            let mut call = Call::new(&script::RUNNING, slot, kinds);
            call.arg(limit);
            call
        };
        let replies: Vec<Vec<Value>> = self.each(queue, running).await?;
        let parts =
            replies.iter().map(|reply| replies::ids(reply)).collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
        Ok(parts.into_iter().flatten().take(limit).collect())
    }

    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> Result<ScanPage> {
        let cursor = match cursor {
            Some(cursor) => Cursor::read(cursor).ok_or_else(unreadable)?,
            // The first slot says whether the number is right; nothing else was read yet.
            None => Cursor { slot: 0, of: self.ask_slots(queue).await?, position: Position::begin() },
        };
        let Cursor { slot: number, of, position } = &cursor;
        if position.kinds(kinds).is_empty() {
            return Ok(ScanPage::default());
        }
        let call = position.call(Slot { queue, number: *number, of: *of }, kinds, limit);
        let reply: Vec<Value> = self.link.call(call).await?;
        let (tickets, next) = position.page(kinds, &reply).ok_or_else(unreadable)?;
        Ok(cursor.page(tickets, next))
    }

    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        self.wakeups.wait(worker, at_most).await
    }

    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<()> {
        for slot in self.rotation(queue) {
            // Whatever a slot that this process should not know says: the worker looks into all of them.
            let slot = Slot { of: 0, ..slot };
            if self.link.call::<String>(Call::new(&script::WAKE, slot, kinds)).await? == "woken" {
                break;
            }
        }
        Ok(())
    }

    async fn turn(&self, chore: Chore, every: Duration) -> Result<bool> {
        let mut call = Call::on_turn(&script::TURN, chore);
        call.arg(as_ms(every));
        let word: String = self.link.call(call).await?;
        Ok(word == "yours")
    }

    async fn lost(&self, queues: &[QueueRef]) -> Result<Vec<QueueRef>> {
        let firsts: Vec<_> = queues.iter().map(Slot::first).collect();
        let answers = self.look(&firsts).await?;
        let mut others = Vec::new();
        for (queue, (_, slots)) in queues.iter().zip(&answers) {
            if *slots > 0 {
                self.slots.learn(queue, *slots);
            }
            others.extend(Slot::all(queue, *slots).skip(1));
        }
        let of_others = self.look(&others).await?;
        // A slot that counts otherwise was left out when the queue was rebuilt.
        let is_kept = |slot: &Slot<'_>, (kept, slots): &(bool, u16)| *kept && *slots == slot.of;
        let broken: HashSet<&QueueRef> = others
            .iter()
            .zip(&of_others)
            .filter(|(slot, told)| !is_kept(slot, told))
            .map(|(slot, _)| slot.queue)
            .collect();
        let lost = queues.iter().zip(&answers).filter(|(queue, (kept, _))| !kept || broken.contains(queue));
        Ok(lost.map(|(queue, _)| queue.clone()).collect())
    }

    async fn begin_rebuild(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        settings: &QueueSettings,
        hold: Duration,
    ) -> Result<Option<RebuildToken>> {
        let (token, slots) = (RebuildToken(Uuid::new_v4()), settings.slots.clamp(1, SLOTS_MAX));
        let begin = |number: u16, place: &str| {
            let mut call = Call::new(&script::BEGIN_REBUILD, Slot { queue, number, of: 0 }, kinds);
            call.bytes(token.0.as_bytes()).arg(as_ms(hold)).arg(slots).arg(place);
            self.link.call::<(String, u16)>(call)
        };
        // The first slot before all others: from then on, nobody who counts otherwise is let in there.
        let (word, most) = begin(0, "first").await?;
        if word != "begun" {
            return Ok(None);
        }
        let others = (1..most.max(slots)).map(|number| begin(number, if number < slots { "next" } else { "beyond" }));
        for answer in join_all(others).await {
            answer?;
        }
        self.slots.learn(queue, slots);
        Ok(Some(token))
    }

    async fn rebuild(&self, queue: &QueueRef, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> Result<bool> {
        let hold_ms = as_ms(hold).to_string();
        let head = [token.0.as_bytes().as_slice(), hold_ms.as_bytes()];
        let adding = |slot: Slot<'_>, tickets: &[&Ticket]| tickets::adding(&script::REBUILD, slot, &head, tickets);
        if tickets.is_empty() {
            let words: Vec<String> = self.each(queue, |slot| adding(slot, &[]).call).await?;
            return Ok(words.iter().all(|word| word == "ok"));
        }
        let added = self.spread(queue, tickets, |ticket| ticket.id, adding).await?;
        Ok(added.into_iter().all(|added| added))
    }

    async fn finish_rebuild(&self, queue: &QueueRef, token: RebuildToken, settings: &QueueSettings) -> Result<bool> {
        // The first slot last: until then the rebuild is somebody's, who has to begin anew should this end in the middle.
        let slots: Vec<_> = Slot::all(queue, self.slots.of(queue)).collect();
        for slot in slots.into_iter().rev() {
            let mut call = Call::new(&script::FINISH_REBUILD, slot, []);
            call.bytes(token.0.as_bytes()).arg(word(settings.paused));
            match self.link.call::<String>(call).await {
                Ok(word) if word == "ok" => {}
                Ok(_) => return Ok(false),
                Err(CallError::Slots(slots)) => {
                    self.slots.learn(queue, slots);
                    return Ok(false);
                }
                Err(CallError::Failed(error)) => return Err(error),
            }
        }
        if settings.slots != self.slots.of(queue) {
            // It was changed meanwhile: lost again, for the next rebuild.
            self.configure(queue, settings).await?;
        }
        Ok(true)
    }
}

impl RedisDispatch {
    /// Asks slots whether they were kept, and over how many their queue is split (0 when they do not know).
    async fn look(&self, slots: &[Slot<'_>]) -> Result<Vec<(bool, u16)>> {
        // On a cluster each slot is asked about on the node that owns it.
        let together = if self.link.is_cluster() { 1 } else { CALL_TICKETS_MAX };
        let ask = async |slots: &[Slot<'_>]| {
            let answers: Vec<(String, u16)> = self.link.call(Call::on_states(&script::LOST, slots)).await?;
            Ok(answers.into_iter().map(|(word, slots)| (word == "kept", slots)).collect::<Vec<_>>())
        };
        stream::iter(slots.chunks(together)).map(ask).buffered(CLUSTER_CALLS_MAX).try_concat().await
    }

    /// Asks the first slot how many there are. When it does not know, what this process has heard holds.
    async fn ask_slots(&self, queue: &QueueRef) -> Result<u16> {
        if let [(_, slots @ 1..)] = self.look(&[Slot::first(queue)]).await?[..] {
            self.slots.learn(queue, slots);
        }
        Ok(self.slots.of(queue))
    }
}

fn add(sum: QueueStats, part: QueueStats) -> QueueStats {
    QueueStats {
        ready: sum.ready + part.ready,
        delayed: sum.delayed + part.delayed,
        leased: sum.leased + part.leased,
        oldest_ready: sum.oldest_ready.into_iter().chain(part.oldest_ready).min(),
    }
}

fn word(paused: bool) -> &'static str {
    if paused { "paused" } else { "running" }
}

/// Whole milliseconds, at least one: nothing lasts for no time in Redis.
pub(crate) fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 50)
}

pub(crate) fn unreadable() -> DispatchError {
    DispatchError::Unavailable(RedisError::from((ErrorKind::Parse, "a script's reply cannot be read")).into())
}
