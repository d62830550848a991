//! Which queue to ask next. Pure: no I/O, and time is passed in.
//!
//! A lane is a queue as this worker sees it: hot (it may have tickets for us) or asleep until a time or a wake-up. Hot
//! lanes take turns by stride scheduling (Waldspurger and Weihl, 1995): over time each gets claims in proportion to its
//! weight.

use haul_core::{Kind, Queue, QueueRef, ledger::QueueInfo};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use tokio::time::Instant;

/// The longest that a lane sleeps: a dispatch forgets who is idle a little later, and a wake-up may get lost.
const SLEEP_MAX: Duration = Duration::from_secs(5);
/// Up to so many kinds, a worker names all of them in every claim; with more it names those that the queue has had.
const KINDS_ALWAYS_NAMED: usize = 16;
const STRIDE: u64 = 1 << 20;

/// A queue as this worker sees it.
pub(crate) struct Lane {
    pub(crate) queue: QueueRef,
    pub(crate) kinds: Vec<Kind>,
    weight: u64,
    /// What it has had so far, in strides.
    pass: u64,
    /// `None` while it is hot.
    asleep_until: Option<Instant>,
}

/// All queues of this worker.
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    by_queue: HashMap<QueueRef, usize>,
    /// By pass: the first is next.
    hot: BTreeSet<(u64, usize)>,
    hot_weight: u64,
    /// By the time at which they wake.
    asleep: BTreeSet<(Instant, usize)>,
    /// Those that sleep because a kind was at its limit: there may be more once that kind has room.
    with_more: BTreeSet<usize>,
    /// Weights by name; empty for all queues.
    wanted: HashMap<Queue, u32>,
    handled: Vec<Kind>,
}

impl Lanes {
    pub(crate) fn new(wanted: &[(Queue, u32)], handled: Vec<Kind>) -> Self {
        Self {
            lanes: Vec::new(),
            by_queue: HashMap::new(),
            hot: BTreeSet::new(),
            hot_weight: 0,
            asleep: BTreeSet::new(),
            with_more: BTreeSet::new(),
            wanted: wanted.iter().cloned().collect(),
            handled,
        }
    }

    /// Takes over what the ledger knows of queues. New ones are hot.
    pub(crate) fn refresh(&mut self, infos: Vec<QueueInfo>) {
        for info in infos {
            let Some(weight) = self.weight(&info.queue) else { continue };
            let mut kinds = self.handled.clone();
            if kinds.len() > KINDS_ALWAYS_NAMED {
                kinds.retain(|kind| info.kinds.contains(kind));
            }
            match self.by_queue.get(&info.queue) {
                Some(&index) => {
                    let lane = &mut self.lanes[index];
                    if lane.kinds.len() != kinds.len() {
                        lane.kinds = kinds;
                        self.make_hot(index);
                    }
                }
                None => {
                    let index = self.lanes.len();
                    let pass = self.least_pass();
                    self.by_queue.insert(info.queue.clone(), index);
                    self.lanes.push(Lane { queue: info.queue, kinds, weight, pass, asleep_until: None });
                    self.hot.insert((pass, index));
                    self.hot_weight += weight;
                }
            }
        }
    }

    /// Makes a queue hot. `false` when it is one of ours, but not known yet.
    pub(crate) fn wake(&mut self, queue: &QueueRef) -> bool {
        match self.by_queue.get(queue) {
            Some(&index) => {
                self.make_hot(index);
                true
            }
            None => self.weight(queue).is_none(),
        }
    }

    /// Makes those hot of which a kind was at its limit.
    pub(crate) fn room_was_made(&mut self) {
        while let Some(index) = self.with_more.first().copied() {
            self.make_hot(index);
        }
    }
    /// Whether there are such.
    pub(crate) fn wait_for_room(&self) -> bool {
        !self.with_more.is_empty()
    }

    /// The hot lane whose turn it is, and its share of the room, at least 1.
    pub(crate) fn next(&mut self, room: usize, now: Instant) -> Option<(usize, usize)> {
        while let Some((_, index)) = self.asleep.first().copied().filter(|(until, _)| *until <= now) {
            self.make_hot(index);
        }
        let (_, index) = *self.hot.first()?;
        let share = (room as u64).saturating_mul(self.lanes[index].weight).div_ceil(self.hot_weight.max(1));
        Some((index, usize::try_from(share).unwrap_or(room).clamp(1, room.max(1))))
    }

    pub(crate) fn get(&self, index: usize) -> &Lane {
        &self.lanes[index]
    }

    /// Charges a hot lane for what was claimed from it.
    pub(crate) fn charge(&mut self, index: usize, tickets: usize) {
        let lane = &mut self.lanes[index];
        let was_hot = self.hot.remove(&(lane.pass, index));
        lane.pass = lane.pass.saturating_add(tickets.max(1) as u64 * STRIDE / lane.weight);
        if was_hot {
            self.hot.insert((lane.pass, index));
        }
    }

    /// Lets a lane sleep: it has nothing more for us until then, or until it is woken.
    pub(crate) fn sleep(&mut self, index: usize, at_most: Option<Duration>, has_more: bool, now: Instant) {
        let until = now + at_most.map_or(SLEEP_MAX, |pause| pause.min(SLEEP_MAX));
        let lane = &mut self.lanes[index];
        match lane.asleep_until.replace(until) {
            Some(earlier) => {
                self.asleep.remove(&(earlier, index));
            }
            None => {
                self.hot.remove(&(lane.pass, index));
                self.hot_weight -= lane.weight;
            }
        }
        self.asleep.insert((until, index));
        if has_more {
            self.with_more.insert(index);
        } else {
            self.with_more.remove(&index);
        }
    }

    /// When the next sleeping lane wakes by itself.
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        self.asleep.first().map(|(until, _)| *until)
    }

    fn make_hot(&mut self, index: usize) {
        self.with_more.remove(&index);
        let least = self.least_pass();
        let lane = &mut self.lanes[index];
        let Some(until) = lane.asleep_until.take() else { return };
        self.asleep.remove(&(until, index));
        // Whoever slept has saved nothing up.
        lane.pass = lane.pass.max(least);
        self.hot.insert((lane.pass, index));
        self.hot_weight += lane.weight;
    }

    fn least_pass(&self) -> u64 {
        match self.hot.first() {
            Some((pass, _)) => *pass,
            None => self.lanes.iter().map(|lane| lane.pass).max().unwrap_or(0),
        }
    }

    /// `None` for a queue that is not ours.
    fn weight(&self, queue: &QueueRef) -> Option<u64> {
        match self.wanted.get(&queue.queue) {
            Some(weight) => Some(u64::from((*weight).max(1))),
            None => self.wanted.is_empty().then_some(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::{QueueSettings, Tenant, Timestamp};

    fn info(name: &str) -> QueueInfo {
        let queue = QueueRef { tenant: Tenant::default(), queue: Queue::new(name).unwrap() };
        QueueInfo { queue, settings: QueueSettings::default(), created_at: Timestamp::default(), kinds: Vec::new() }
    }

    fn lanes(wanted: &[(&str, u32)], known: &[&str]) -> Lanes {
        let wanted: Vec<_> = wanted.iter().map(|(name, weight)| (Queue::new(name).unwrap(), *weight)).collect();
        let mut lanes = Lanes::new(&wanted, vec![Kind::new("echo").unwrap()]);
        lanes.refresh(known.iter().map(|name| info(name)).collect());
        lanes
    }

    #[test]
    fn hot_queues_get_turns_by_weight() {
        let now = Instant::now();
        let mut lanes = lanes(&[("a", 1), ("b", 3)], &["a", "b", "other"]);
        let mut turns = HashMap::new();
        for _ in 0..400 {
            let (index, share) = lanes.next(1, now).unwrap();
            assert_eq!(share, 1);
            lanes.charge(index, 1);
            *turns.entry(lanes.get(index).queue.queue.to_string()).or_insert(0) += 1;
        }
        assert_eq!((turns["a"], turns["b"], turns.len()), (100, 300, 2));
    }

    #[test]
    fn a_queue_that_slept_does_not_catch_up() {
        let now = Instant::now();
        let mut lanes = lanes(&[], &["a", "b"]);
        lanes.sleep(0, None, false, now);
        for _ in 0..100 {
            lanes.charge(1, 1);
        }
        assert!(lanes.wake(&info("a").queue));
        let mut turns = [0, 0];
        for _ in 0..10 {
            let (index, _) = lanes.next(1, now).unwrap();
            lanes.charge(index, 1);
            turns[index] += 1;
        }
        assert_eq!(turns, [5, 5]);
    }

    #[test]
    fn only_queues_with_a_kind_at_its_limit_wake_when_room_is_made() {
        let now = Instant::now();
        let mut lanes = lanes(&[], &["a", "b"]);
        lanes.sleep(0, None, true, now);
        lanes.sleep(1, Some(Duration::from_millis(7)), false, now);
        assert_eq!(lanes.next(5, now), None);
        assert_eq!(lanes.wakes_at(), Some(now + Duration::from_millis(7)));
        lanes.room_was_made();
        assert_eq!(lanes.next(5, now), Some((0, 5)));
    }
}
