//! The tickets of one kind in one queue.

use super::{fifo::Fifo, scan::Part, timed::Timed};
use haul_core::{
    JobId, Priority, Timestamp,
    dispatch::{LeaseToken, Next, Place, Settlement, Ticket},
};
use std::time::Duration;
use tokio::time::Instant;

/// Tickets and leases of a kind that one call promotes at most, each: more than a claim can take.
const PROMOTIONS_MAX: usize = 1_000;

/// Thirty years.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3_600);

/// One moment on both clocks: the ledger's for due times, tokio's for leases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) ledger: Timestamp,
    pub(super) here: Instant,
}

impl Now {
    /// The end of something that lasts `duration` from now; never, when it is longer than clocks go.
    pub(super) fn until(self, duration: Duration) -> Instant {
        self.here.checked_add(duration).unwrap_or_else(|| self.here + NEVER)
    }
}

/// What an enqueue changed, as far as idle workers care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stir {
    /// Nothing that anybody waits for.
    Nothing,
    /// There is a ticket to claim.
    Ready,
    /// The next due time is earlier than whoever waits for it knows.
    Earlier,
}

/// The tickets of one kind in one queue.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Claimable, by priority.
    ready: [Fifo; Priority::COUNT],
    /// Claimable after their lease expired, by priority.
    suspects: [Fifo; Priority::COUNT],
    /// Ids in `ready` and `suspects`.
    waiting: usize,
    /// Due later.
    delayed: Timed<Timestamp, Priority>,
    /// Leased, by expiry. A lease that has expired stays in force until it is promoted.
    leases: Timed<Instant, Held>,
}

/// What is remembered of a lease.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) token: LeaseToken,
    pub(super) priority: Priority,
    pub(super) suspect: bool,
}

impl Line {
    pub(super) fn enqueue(&mut self, ticket: &Ticket, suspect: bool, now: Now) -> Stir {
        if self.leases.contains(ticket.id) {
            return Stir::Nothing;
        }
        match ticket.due {
            Some(due) if due > now.ledger => self.park(ticket.id, ticket.priority, due),
            _ => {
                self.waiting += 1;
                let line = if suspect { &mut self.suspects } else { &mut self.ready };
                line[place(ticket.priority)].push_back(ticket.id);
                Stir::Ready
            }
        }
    }

    fn park(&mut self, id: JobId, priority: Priority, due: Timestamp) -> Stir {
        let first = self.delayed.first();
        self.delayed.insert(id, due, priority);
        if first.is_none_or(|first| due < first) { Stir::Earlier } else { Stir::Nothing }
    }

    /// Moves what is due, and what was leased for too long, to where claims take it.
    pub(super) fn promote(&mut self, now: Now) {
        for _ in 0..PROMOTIONS_MAX {
            let Some((id, held)) = self.leases.pop_until(now.here) else { break };
            self.waiting += 1;
            self.suspects[place(held.priority)].push_back(id);
        }
        for _ in 0..PROMOTIONS_MAX {
            let Some((id, priority)) = self.delayed.pop_until(now.ledger) else { break };
            if !self.leases.contains(id) {
                self.waiting += 1;
                self.ready[place(priority)].push_back(id);
            }
        }
    }

    /// The first id to claim at a priority. Ids that are leased are dropped on the way: they were enqueued twice.
    pub(super) fn head(&mut self, priority: Priority, suspect: bool) -> Option<JobId> {
        let line = if suspect { &mut self.suspects } else { &mut self.ready };
        let line = &mut line[place(priority)];
        while let Some(id) = line.head() {
            if !self.leases.contains(id) {
                return Some(id);
            }
            line.pop_front();
            self.waiting -= 1;
        }
        None
    }

    /// Leases what [`Line::head`] gave.
    pub(super) fn take(&mut self, held: Held, until: Instant) -> Option<JobId> {
        let line = if held.suspect { &mut self.suspects } else { &mut self.ready };
        let id = line[place(held.priority)].pop_front()?;
        self.waiting -= 1;
        self.leases.insert(id, until, held);
        Some(id)
    }

    /// Makes the lease last, if it is held under the token.
    pub(super) fn extend(&mut self, id: JobId, token: LeaseToken, until: Instant) -> bool {
        self.holds(id, token) && self.leases.postpone(id, until)
    }

    /// Takes up a lease that was lost, unless somebody holds one.
    pub(super) fn reassert(&mut self, id: JobId, token: LeaseToken, priority: Priority, until: Instant) -> bool {
        let free = !self.leases.contains(id);
        if free {
            self.leases.insert(id, until, Held { token, priority, suspect: false });
        }
        free
    }

    pub(super) fn settle(&mut self, settlement: &Settlement, now: Now) -> Stir {
        let lease = &settlement.lease;
        if !self.holds(lease.id, lease.token) {
            return Stir::Nothing;
        }
        let Some(held) = self.leases.remove(lease.id) else { return Stir::Nothing };
        match settlement.next {
            Next::Done => Stir::Nothing,
            Next::Park(due) if due > now.ledger => self.park(lease.id, held.priority, due),
            Next::Park(_) => {
                self.waiting += 1;
                self.ready[place(held.priority)].push_back(lease.id);
                Stir::Ready
            }
            Next::Release => {
                self.waiting += 1;
                // A suspect that was not tried is still one.
                let line = if held.suspect { &mut self.suspects } else { &mut self.ready };
                line[place(held.priority)].push_front(lease.id);
                Stir::Ready
            }
        }
    }

    fn holds(&self, id: JobId, token: LeaseToken) -> bool {
        self.leases.get(id).is_some_and(|(_, held)| held.token == token)
    }

    /// Takes a delayed ticket away. Looking for a ready one would read the whole line; it costs a read when it is claimed.
    pub(super) fn remove(&mut self, id: JobId) {
        self.delayed.remove(id);
    }

    /// Takes every waiting ticket away, for the caller to drop when it holds no lock.
    pub(super) fn take_waiting(&mut self) -> Self {
        let rest = Self { leases: std::mem::take(&mut self.leases), ..Self::default() };
        std::mem::replace(self, rest)
    }

    /// The number of sections that [`Line::section`] knows.
    pub(super) const SECTIONS: usize = 2 + 2 * Priority::COUNT;

    /// Up to `count` tickets of a section, from `at` on, as it told before. What is delayed is the first section, what is
    /// leased the last one.
    pub(super) fn section(&self, section: usize, at: Option<usize>, count: usize, now: Now) -> Part {
        let delayed = |(id, due)| (id, if due > now.ledger { Place::Delayed } else { Place::Ready });
        let leased = |(id, until): (JobId, Instant)| {
            let expired_for = (until <= now.here).then(|| now.here - until);
            (id, Place::Leased { expired_for })
        };
        match section {
            0 => self.delayed.part(at, count, delayed),
            ready if ready <= 2 * Priority::COUNT => {
                let line = self.suspects.iter().chain(&self.ready).nth(ready - 1);
                let read = at.unwrap_or(0);
                let ids = line.map(|line| line.before_last(read, count)).unwrap_or_default();
                let next = (ids.len() == count).then_some(read + count);
                Part { tickets: ids.into_iter().map(|id| (id, Place::Ready)).collect(), next }
            }
            _ => self.leases.part(at, count, leased),
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn delayed(&self) -> usize {
        self.delayed.len()
    }

    pub(super) fn leased(&self) -> usize {
        self.leases.len()
    }

    /// The oldest ticket that could be claimed: not always a head, as what was delayed comes in behind younger ones.
    pub(super) fn oldest(&self) -> Option<JobId> {
        self.ready.iter().chain(&self.suspects).filter_map(Fifo::oldest).min()
    }

    /// In how long the next ticket is due or the next lease expires.
    pub(super) fn next_in(&self, now: Now) -> Option<Duration> {
        let due = self.delayed.first().map(|due| due.since(now.ledger));
        let expiry = self.leases.first().map(|at| at.saturating_duration_since(now.here));
        due.into_iter().chain(expiry).min()
    }

    pub(super) fn is_leased(&self, id: JobId, now: Now) -> bool {
        self.leases.get(id).is_some_and(|(until, _)| until > now.here)
    }

    pub(super) fn running(&self, now: Now) -> impl Iterator<Item = JobId> {
        self.leases.ids().filter(move |(_, until)| *until > now.here).map(|(id, _)| id)
    }
}

fn place(priority: Priority) -> usize {
    usize::from(priority.get())
}
