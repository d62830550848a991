//! One queue of the reference dispatch: what waits, what is leased, who rebuilds. Plain and single-threaded.

use haul_core::{
    JobId, Kind, Priority, QueueSettings, Timestamp,
    dispatch::{
        Claim, ClaimRequest, Claimed, Lease, LeaseToken, Next, Place, QueueState, QueueStats, RebuildToken, Settlement,
        Ticket,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// A line of ready tickets: lines with a lower number go first, those of expired leases before others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    priority: Priority,
    turn: Turn,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Suspect,
    Regular,
}

#[derive(Debug, Clone)]
struct Delayed {
    id: JobId,
    kind: Kind,
    priority: Priority,
}

#[derive(Debug, Clone)]
struct Held {
    token: LeaseToken,
    priority: Priority,
    expires_at: Timestamp,
}

#[derive(Debug, Clone)]
struct Rebuild {
    token: RebuildToken,
    ends_at: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct QueueTickets {
    lost: bool,
    paused: bool,
    /// With how many it was rebuilt.
    slots: u16,
    ready: BTreeMap<Line, VecDeque<JobId>>,
    /// By time, then in the order given.
    delayed: BTreeMap<(Timestamp, u64), Delayed>,
    given: u64,
    held: BTreeMap<(Kind, JobId), Held>,
    rebuild: Option<Rebuild>,
}

impl Default for QueueTickets {
    fn default() -> Self {
        let (ready, delayed, held) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { lost: true, paused: false, slots: 1, ready, delayed, given: 0, held, rebuild: None }
    }
}

impl QueueTickets {
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Goes on on another server.
    pub(super) fn restored(&mut self) {
        self.lost = true;
        self.rebuild = None;
    }

    pub(super) fn state(&self) -> QueueState {
        match (self.lost, self.paused) {
            (true, _) => QueueState::Lost,
            (false, true) => QueueState::Paused,
            (false, false) => QueueState::Ready,
        }
    }

    pub(super) fn enqueue(&mut self, tickets: &[Ticket]) {
        for Ticket { id, kind, priority, due } in tickets.iter().cloned() {
            if self.held.contains_key(&(kind.clone(), id)) {
                continue;
            }
            match due {
                Some(due) => self.delay(due, Delayed { id, kind, priority }),
                None => self.line(priority, Turn::Regular, kind).push_back(id),
            }
        }
    }

    fn line(&mut self, priority: Priority, turn: Turn, kind: Kind) -> &mut VecDeque<JobId> {
        self.ready.entry(Line { priority, turn, kind }).or_default()
    }

    fn delay(&mut self, due: Timestamp, ticket: Delayed) {
        self.given += 1;
        self.delayed.insert((due, self.given), ticket);
    }

    /// Leases tickets. The second answer: the kinds of ready tickets that are left behind.
    pub(super) fn claim(&mut self, now: Timestamp, request: &ClaimRequest<'_>) -> (Claim, BTreeSet<Kind>) {
        let state = self.state();
        if state != QueueState::Ready {
            return (Claim { state, tickets: Vec::new(), next_in: None }, BTreeSet::new());
        }
        self.promote(now);
        let mut room: BTreeMap<&Kind, usize> = request.kinds.iter().map(|(kind, room)| (kind, *room)).collect();
        let mut tickets = Vec::new();
        while tickets.len() < request.limit {
            let Some((line, id)) = self.take_first(&room) else { break };
            let Line { priority, turn, kind } = line;
            if let Some(room) = room.get_mut(&kind) {
                *room -= 1;
            }
            let held = Held { token: request.token, priority, expires_at: now.plus(request.lease) };
            self.held.insert((kind.clone(), id), held);
            tickets.push(Claimed { id, kind, priority, suspect: turn == Turn::Suspect });
        }
        self.ready.retain(|_, tickets| !tickets.is_empty());
        let left_behind = self.ready.keys().map(|line| &line.kind).filter(|kind| room.contains_key(kind)).cloned();
        let left_behind = left_behind.collect();
        let asked: BTreeSet<&Kind> = room.into_keys().collect();
        (Claim { state, tickets, next_in: self.next_in(now, &asked) }, left_behind)
    }

    /// Lowest priority number first; within it what came back by expiry; then the oldest among the heads of the kinds.
    fn take_first(&mut self, room: &BTreeMap<&Kind, usize>) -> Option<(Line, JobId)> {
        for (line, tickets) in &mut self.ready {
            // A duplicate of what is leased costs nothing: here it goes.
            while tickets.front().is_some_and(|id| self.held.contains_key(&(line.kind.clone(), *id))) {
                tickets.pop_front();
            }
        }
        let wanted = self.ready.iter().filter(|(line, _)| room.get(&line.kind).is_some_and(|room| *room > 0));
        let heads = wanted.filter_map(|(line, tickets)| Some((line, *tickets.front()?)));
        let (line, id) = heads.min_by_key(|(line, id)| (line.priority, line.turn, *id))?;
        let line = line.clone();
        self.ready.get_mut(&line)?.pop_front();
        Some((line, id))
    }

    /// What has become due joins the end of its line; expired leases come back as suspects.
    fn promote(&mut self, now: Timestamp) {
        while let Some(due) = self.delayed.first_entry().filter(|due| due.key().0 <= now) {
            let Delayed { id, kind, priority } = due.remove();
            self.line(priority, Turn::Regular, kind).push_back(id);
        }
        let expired: Vec<_> = self.held.extract_if(.., |_, held| held.expires_at <= now).collect();
        for ((kind, id), held) in expired {
            self.line(held.priority, Turn::Suspect, kind).push_back(id);
        }
    }

    fn next_in(&self, now: Timestamp, kinds: &BTreeSet<&Kind>) -> Option<Duration> {
        let delayed = self.delayed.iter().filter(|(_, ticket)| kinds.contains(&ticket.kind)).map(|((due, _), _)| *due);
        let held = self.held.iter().filter(|((kind, _), _)| kinds.contains(kind)).map(|(_, held)| held.expires_at);
        delayed.chain(held).min().map(|time| time.since(now))
    }

    pub(super) fn extend(&mut self, now: Timestamp, leases: &[Lease], lease: Duration) -> Vec<bool> {
        let expires_at = now.plus(lease);
        let lost = self.lost;
        let mut extend = |Lease { id, kind, priority, token }: &Lease| {
            let slot = (kind.clone(), *id);
            if let Some(held) = self.held.get_mut(&slot) {
                let ours = held.token == *token;
                held.expires_at = if ours { expires_at } else { held.expires_at };
                return ours;
            }
            if lost {
                self.held.insert(slot, Held { token: *token, priority: *priority, expires_at });
            }
            lost
        };
        leases.iter().map(&mut extend).collect()
    }

    /// Ends leases. The answer: the kinds of the tickets that went back.
    pub(super) fn settle(&mut self, settlements: &[Settlement]) -> BTreeSet<Kind> {
        let mut went_back = BTreeSet::new();
        for Settlement { lease, next } in settlements {
            let slot = (lease.kind.clone(), lease.id);
            let Some(held) = self.held.get(&slot).filter(|held| held.token == lease.token) else { continue };
            let priority = held.priority;
            self.held.remove(&slot);
            let (id, kind) = (lease.id, lease.kind.clone());
            match next {
                Next::Done => continue,
                Next::Park(due) => self.delay(*due, Delayed { id, kind, priority }),
                Next::Release => self.line(priority, Turn::Regular, kind).push_front(id),
            }
            went_back.insert(lease.kind.clone());
        }
        went_back
    }

    pub(super) fn remove(&mut self, tickets: &[(Kind, JobId)]) {
        let removed: BTreeSet<(&Kind, JobId)> = tickets.iter().map(|(kind, id)| (kind, *id)).collect();
        for (line, tickets) in &mut self.ready {
            tickets.retain(|id| !removed.contains(&(&line.kind, *id)));
        }
        self.delayed.retain(|_, ticket| !removed.contains(&(&ticket.kind, ticket.id)));
    }

    /// Keeps no slots, but behaves as one that does: parted anew, everything waits for a rebuild.
    pub(super) fn configure(&mut self, settings: &QueueSettings) {
        self.paused = settings.paused;
        self.lost |= self.slots != settings.slots;
    }

    pub(super) fn stats(&self, now: Timestamp, kinds: &[Kind]) -> QueueStats {
        let mut stats = QueueStats::default();
        let lines = self.ready.iter().filter(|(line, _)| kinds.contains(&line.kind));
        let mut ready: Vec<JobId> = lines.flat_map(|(_, tickets)| tickets).copied().collect();
        for ((due, _), ticket) in self.delayed.iter().filter(|(_, ticket)| kinds.contains(&ticket.kind)) {
            match *due > now {
                true => stats.delayed += 1,
                false => ready.push(ticket.id),
            }
        }
        for ((_, id), held) in self.held.iter().filter(|((kind, _), _)| kinds.contains(kind)) {
            match held.expires_at > now {
                true => stats.leased += 1,
                false => ready.push(*id),
            }
        }
        stats.ready = ready.len() as u64;
        stats.oldest_ready = ready.into_iter().min();
        stats
    }

    /// What waits, and whether it is delayed.
    pub(super) fn waiting(&self) -> BTreeMap<JobId, bool> {
        let ready = self.ready.values().flatten().map(|id| (*id, false));
        ready.chain(self.delayed.values().map(|ticket| (ticket.id, true))).collect()
    }

    /// Every ticket, and where it is.
    pub(super) fn places(&self, now: Timestamp) -> BTreeMap<(Kind, JobId), Place> {
        let delayed = self.delayed.iter().map(|((due, _), ticket)| {
            let place = if *due > now { Place::Delayed } else { Place::Ready };
            ((ticket.kind.clone(), ticket.id), place)
        });
        let ready = self.ready.iter().flat_map(|(line, ids)| ids.iter().map(|id| (line.kind.clone(), *id)));
        let held = self.held.iter().map(|(ticket, held)| {
            let expired_for = (held.expires_at <= now).then(|| now.since(held.expires_at));
            (ticket.clone(), Place::Leased { expired_for })
        });
        delayed.chain(ready.map(|ticket| (ticket, Place::Ready))).chain(held).collect()
    }

    pub(super) fn leased(&self, tickets: &[(Kind, JobId)]) -> Vec<bool> {
        tickets.iter().map(|ticket| self.held.contains_key(ticket)).collect()
    }

    pub(super) fn running(&self, kinds: &[Kind], limit: usize) -> Vec<JobId> {
        let held = self.held.keys().filter(|(kind, _)| kinds.contains(kind));
        held.map(|(_, id)| *id).take(limit).collect()
    }

    pub(super) fn begin_rebuild(
        &mut self,
        now: Timestamp,
        kinds: &[Kind],
        settings: &QueueSettings,
        hold: Duration,
    ) -> Option<RebuildToken> {
        if self.rebuild.as_ref().is_some_and(|rebuild| rebuild.ends_at > now) {
            return None;
        }
        let token = RebuildToken(uuid::Uuid::new_v4());
        self.rebuild = Some(Rebuild { token, ends_at: now.plus(hold) });
        self.lost = true;
        if std::mem::replace(&mut self.slots, settings.slots) != settings.slots {
            self.held.clear();
        }
        self.ready.retain(|line, _| !kinds.contains(&line.kind));
        self.delayed.retain(|_, ticket| !kinds.contains(&ticket.kind));
        Some(token)
    }

    pub(super) fn rebuild(&mut self, now: Timestamp, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> bool {
        let right = self.rebuild.as_mut().filter(|rebuild| rebuild.token == token && rebuild.ends_at > now);
        let Some(right) = right else { return false };
        right.ends_at = now.plus(hold);
        self.enqueue(tickets);
        true
    }

    pub(super) fn finish_rebuild(&mut self, now: Timestamp, token: RebuildToken, settings: &QueueSettings) -> bool {
        let right = self.rebuild.take_if(|rebuild| rebuild.token == token && rebuild.ends_at > now);
        if right.is_none() {
            return false;
        }
        // Changed meanwhile: parted anew once more.
        self.lost = self.slots != settings.slots;
        self.paused = settings.paused;
        true
    }
}
