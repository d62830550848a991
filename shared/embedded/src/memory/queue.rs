//! One queue: its lines, its idle workers, and whether it gives out tickets at all.
//!
//! Everything here is synchronous and happens under the queue's one lock: an idle worker is registered in the same
//! breath in which its claim found too little, so no enqueue can fall between the two.

use super::{
    line::{Held, Line, Now, Stir},
    wake::Mailbox,
};
use haul_core::{
    JobId, Kind, Priority, ProcessId, QueueRef, QueueSettings,
    dispatch::{Claim, ClaimRequest, Claimed, Lease, Next, QueueState, QueueStats, RebuildToken, Settlement, Ticket},
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use uuid::Uuid;

/// Tickets that one claim gives out at most.
const CLAIM_MAX: usize = 1_000;
/// Rounds of promotion before the figures of a queue are read: they are exact up to this many thousand due tickets.
const STATS_ROUNDS: usize = 100;

#[derive(Debug)]
pub(super) struct Queue {
    name: QueueRef,
    lines: Vec<Line>,
    by_kind: HashMap<Kind, usize>,
    /// Who found too little, the longest idle first.
    idle: Vec<Idle>,
    paused: bool,
    /// Whether a rebuild has brought the tickets of the ledger here.
    rebuilt: bool,
    rebuild: Option<Rebuild>,
}

#[derive(Debug)]
struct Idle {
    mailbox: Arc<Mailbox>,
    /// The kinds that it asked for, and whether it has room left for each.
    kinds: Vec<(Kind, bool)>,
}

impl Idle {
    fn room_for(&self, kind: &Kind) -> Option<bool> {
        self.kinds.iter().find(|(other, _)| other == kind).map(|(_, room)| *room)
    }
}

#[derive(Debug, Clone, Copy)]
struct Rebuild {
    token: RebuildToken,
    until: Instant,
}

/// A kind that a claim may take from.
struct Candidate<'a> {
    line: usize,
    kind: &'a Kind,
    room: usize,
}

impl Queue {
    /// A queue that is lost: nobody has told yet what the ledger knows of it.
    pub(super) fn new(name: QueueRef) -> Self {
        Self {
            name,
            lines: Vec::new(),
            by_kind: HashMap::new(),
            idle: Vec::new(),
            paused: false,
            rebuilt: false,
            rebuild: None,
        }
    }

    /// Begins anew. What was known is returned, to be dropped without the lock.
    pub(super) fn lose(&mut self) -> Self {
        self.wake_all();
        std::mem::replace(self, Self::new(self.name.clone()))
    }

    pub(super) fn state(&self) -> QueueState {
        match (self.rebuilt, self.paused) {
            (false, _) => QueueState::Lost,
            (true, true) => QueueState::Paused,
            (true, false) => QueueState::Ready,
        }
    }

    pub(super) fn line(&self, kind: &Kind) -> Option<&Line> {
        Some(&self.lines[*self.by_kind.get(kind)?])
    }

    fn line_mut(&mut self, kind: &Kind) -> &mut Line {
        let at = match self.by_kind.get(kind) {
            Some(at) => *at,
            None => {
                self.lines.push(Line::default());
                self.by_kind.insert(kind.clone(), self.lines.len() - 1);
                self.lines.len() - 1
            }
        };
        &mut self.lines[at]
    }

    pub(super) fn enqueue(&mut self, tickets: &[Ticket], suspects: &HashSet<JobId>, now: Now) {
        let mut woken = Vec::new();
        for run in tickets.chunk_by(|a, b| a.kind == b.kind) {
            let kind = &run[0].kind;
            let line = self.line_mut(kind);
            let enqueue = |stir: Stir, ticket: &Ticket| {
                let suspect = !suspects.is_empty() && suspects.contains(&ticket.id);
                stir.max(line.enqueue(ticket, suspect, now))
            };
            let stir = run.iter().fold(Stir::Nothing, enqueue);
            self.stir(kind, stir, &mut woken, now);
        }
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest<'_>, mailbox: &Arc<Mailbox>, now: Now) -> Claim {
        self.idle.retain(|idle| idle.mailbox.worker != request.worker && !idle.mailbox.is_gone(now.here));
        let state = self.state();
        let limit = request.limit.min(CLAIM_MAX);
        let mut candidates = self.candidates(request.kinds);
        for candidate in &candidates {
            self.lines[candidate.line].promote(now);
        }
        let tickets = match state {
            QueueState::Ready => self.take(&mut candidates, limit, request, now),
            QueueState::Paused | QueueState::Lost => Vec::new(),
        };
        if tickets.len() < limit {
            let left = |kind: &Kind| candidates.iter().find(|candidate| candidate.kind == kind).map(|c| c.room > 0);
            let kinds = request.kinds.iter().map(|(kind, room)| (kind.clone(), left(kind).unwrap_or(*room > 0)));
            self.idle.push(Idle { mailbox: mailbox.clone(), kinds: kinds.collect() });
        }
        if state != QueueState::Ready {
            return Claim { state, tickets, next_in: None };
        }
        let mut woken = Vec::new();
        for candidate in candidates.iter().filter(|candidate| self.lines[candidate.line].waiting() > 0) {
            wake_for(&mut self.idle, &self.name, candidate.kind, Some(request.worker), &mut woken, now);
        }
        let next_in = candidates.iter().filter_map(|candidate| self.lines[candidate.line].next_in(now)).min();
        Claim { state, tickets, next_in }
    }

    /// The known kinds of a request, each once.
    fn candidates<'a>(&self, kinds: &'a [(Kind, usize)]) -> Vec<Candidate<'a>> {
        let known = |(kind, room): &'a (Kind, usize)| {
            let line = *self.by_kind.get(kind)?;
            Some(Candidate { line, kind, room: *room })
        };
        let mut candidates: Vec<_> = kinds.iter().filter_map(known).collect();
        candidates.sort_by_key(|candidate| candidate.line);
        candidates.dedup_by_key(|candidate| candidate.line);
        candidates
    }

    fn take(
        &mut self,
        candidates: &mut [Candidate<'_>],
        limit: usize,
        request: &ClaimRequest<'_>,
        now: Now,
    ) -> Vec<Claimed> {
        let mut taken = Vec::new();
        let filled: Vec<usize> =
            (0..candidates.len()).filter(|at| self.lines[candidates[*at].line].waiting() > 0).collect();
        if filled.is_empty() {
            return taken;
        }
        let until = now.until(request.lease);
        for (priority, suspect) in order() {
            let mut heads = BinaryHeap::new();
            for at in filled.iter().copied().filter(|at| candidates[*at].room > 0) {
                heads.extend(self.lines[candidates[at].line].head(priority, suspect).map(|id| Reverse((id, at))));
            }
            while let Some(Reverse((_, at))) = heads.pop() {
                if taken.len() == limit {
                    return taken;
                }
                let candidate = &mut candidates[at];
                let line = &mut self.lines[candidate.line];
                let Some(id) = line.take(Held { token: request.token, priority, suspect }, until) else { continue };
                taken.push(Claimed { id, kind: candidate.kind.clone(), priority, suspect });
                candidate.room -= 1;
                if candidate.room > 0 {
                    heads.extend(line.head(priority, suspect).map(|id| Reverse((id, at))));
                }
            }
        }
        taken
    }

    pub(super) fn extend(&mut self, leases: &[Lease], until: Instant) -> Vec<bool> {
        leases.iter().map(|lease| self.extend_one(lease, until)).collect()
    }

    fn extend_one(&mut self, lease: &Lease, until: Instant) -> bool {
        if let Some(at) = self.by_kind.get(&lease.kind).copied()
            && self.lines[at].extend(lease.id, lease.token, until)
        {
            return true;
        }
        let is_lost = self.state() == QueueState::Lost;
        is_lost && self.line_mut(&lease.kind).reassert(lease.id, lease.token, lease.priority, until)
    }

    pub(super) fn settle(&mut self, settlements: &[Settlement], now: Now) {
        let mut woken = Vec::new();
        // Released tickets go to the front one by one, the last one first: then they stand in the order given.
        let (released, others): (Vec<_>, Vec<_>) = settlements.iter().partition(|one| one.next == Next::Release);
        for settlement in others.into_iter().chain(released.into_iter().rev()) {
            let kind = &settlement.lease.kind;
            if let Some(at) = self.by_kind.get(kind).copied() {
                let stir = self.lines[at].settle(settlement, now);
                self.stir(kind, stir, &mut woken, now);
            }
        }
    }

    pub(super) fn remove(&mut self, tickets: &[(Kind, JobId)]) {
        for (kind, id) in tickets {
            if let Some(at) = self.by_kind.get(kind) {
                self.lines[*at].remove(*id);
            }
        }
    }

    /// Slots mean nothing here: one lock is as good as many.
    pub(super) fn configure(&mut self, settings: &QueueSettings) {
        if std::mem::replace(&mut self.paused, settings.paused) != settings.paused {
            self.wake_all();
        }
    }

    pub(super) fn stats(&mut self, kinds: &[Kind], now: Now) -> QueueStats {
        let mut stats = QueueStats::default();
        for kind in kinds {
            let Some(at) = self.by_kind.get(kind) else { continue };
            let line = &mut self.lines[*at];
            for _ in 0..STATS_ROUNDS {
                line.promote(now);
                if line.next_in(now) != Some(Duration::ZERO) {
                    break;
                }
            }
            stats.ready += line.waiting() as u64;
            stats.delayed += line.delayed() as u64;
            stats.leased += line.leased() as u64;
            stats.oldest_ready = stats.oldest_ready.into_iter().chain(line.oldest()).min();
        }
        stats
    }

    pub(super) fn leased(&self, tickets: &[(Kind, JobId)], now: Now) -> Vec<bool> {
        let leased = |(kind, id): &(Kind, JobId)| self.line(kind).is_some_and(|line| line.is_leased(*id, now));
        tickets.iter().map(leased).collect()
    }

    pub(super) fn running(&self, kinds: &[Kind], limit: usize, now: Now) -> Vec<JobId> {
        kinds.iter().filter_map(|kind| self.line(kind)).flat_map(|line| line.running(now)).take(limit).collect()
    }

    /// The lines that were cut off come back to be dropped without the lock: there may be millions of tickets in them.
    pub(super) fn begin_rebuild(
        &mut self,
        kinds: &[Kind],
        hold: Duration,
        now: Now,
    ) -> Option<(RebuildToken, Vec<Line>)> {
        if self.rebuild.is_some_and(|rebuild| rebuild.until > now.here) {
            return None;
        }
        let token = RebuildToken(Uuid::new_v4());
        self.rebuild = Some(Rebuild { token, until: now.until(hold) });
        self.rebuilt = false;
        let dropped = kinds.iter().filter_map(|kind| Some(self.lines[*self.by_kind.get(kind)?].take_waiting()));
        Some((token, dropped.collect()))
    }

    pub(super) fn rebuild(
        &mut self,
        token: RebuildToken,
        tickets: &[Ticket],
        suspects: &HashSet<JobId>,
        hold: Duration,
        now: Now,
    ) -> bool {
        let is_held = self.may_rebuild(token, now);
        if is_held {
            self.rebuild = Some(Rebuild { token, until: now.until(hold) });
            self.enqueue(tickets, suspects, now);
        }
        is_held
    }

    pub(super) fn finish_rebuild(&mut self, token: RebuildToken, settings: &QueueSettings, now: Now) -> bool {
        let is_held = self.may_rebuild(token, now);
        if is_held {
            self.rebuild = None;
            self.rebuilt = true;
            self.paused = settings.paused;
            self.wake_all();
        }
        is_held
    }

    fn may_rebuild(&self, token: RebuildToken, now: Now) -> bool {
        self.rebuild.is_some_and(|rebuild| rebuild.token == token && rebuild.until > now.here)
    }

    /// Wakes one idle worker that has room for any of the kinds.
    pub(super) fn wake(&mut self, kinds: &[Kind], now: Now) {
        wake_best(&mut self.idle, &self.name, now, |idle| {
            kinds.iter().any(|kind| idle.room_for(kind) == Some(true)).then_some(true)
        });
    }

    fn wake_all(&mut self) {
        for idle in self.idle.drain(..) {
            idle.mailbox.wake(&self.name);
        }
    }

    /// Tells idle workers what an enqueue changed; `woken` are those that this call has woken already.
    fn stir(&mut self, kind: &Kind, stir: Stir, woken: &mut Vec<Idle>, now: Now) {
        if self.idle.is_empty() || self.state() != QueueState::Ready {
            return;
        }
        match stir {
            Stir::Nothing => {}
            Stir::Ready => wake_for(&mut self.idle, &self.name, kind, None, woken, now),
            // Whoever handles the kind may be the one with room when the time comes: all of them learn of it.
            Stir::Earlier => {
                for idle in self.idle.extract_if(.., |idle| idle.room_for(kind).is_some()) {
                    idle.mailbox.wake(&self.name);
                    woken.push(idle);
                }
            }
        }
    }
}

/// Wakes one idle worker that handles the kind, unless one of those woken already has room for it. One that has room
/// comes first.
fn wake_for(
    idle: &mut Vec<Idle>,
    queue: &QueueRef,
    kind: &Kind,
    but: Option<ProcessId>,
    woken: &mut Vec<Idle>,
    now: Now,
) {
    if !woken.iter().any(|idle| idle.room_for(kind) == Some(true)) {
        let other = |idle: &Idle| idle.room_for(kind).filter(|_| but != Some(idle.mailbox.worker));
        woken.extend(wake_best(idle, queue, now, other));
    }
}

/// Wakes the idle worker with the highest rank; among equals one that waits at this moment, then the longest idle.
fn wake_best(idle: &mut Vec<Idle>, queue: &QueueRef, now: Now, rank: impl Fn(&Idle) -> Option<bool>) -> Option<Idle> {
    idle.retain(|idle| !idle.mailbox.is_gone(now.here));
    let full_rank = |(at, idle): (usize, &Idle)| Some((rank(idle)?, idle.mailbox.is_waiting(), Reverse(at)));
    let (_, _, Reverse(at)) = idle.iter().enumerate().filter_map(full_rank).max()?;
    let idle = idle.remove(at);
    idle.mailbox.wake(queue);
    Some(idle)
}

/// What is claimed before what: lowest priority number first; within one, suspects first.
fn order() -> impl Iterator<Item = (Priority, bool)> {
    (0..=9).filter_map(Priority::new).flat_map(|priority| [(priority, true), (priority, false)])
}
