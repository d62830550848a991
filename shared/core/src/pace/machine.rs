//! The rules of pace, as a state machine of one destination. Pure: time and chance are given to it.
//!
//! The store in memory runs it, the one in Redis does the same in Lua, and the suite compares them call by call; hence
//! whole numbers only, times in microseconds. The parts:
//!
//! - **Breaker** (Nygard, *Release It!*, 2007). Closed, it opens after so many failures in a row, or when a share of the
//!   calls within a window failed. Open, it lets nobody through for a time that doubles with each failed trial, up to a cap,
//!   spread by a fifth to both sides. Then it is half-open and lets a few probes through: the first that works closes it,
//!   one that fails opens it anew. Every change begins an *epoch*; what permits of an older one have learnt is not counted.
//! - **Rate**: a token bucket, kept as one number (GCRA, ITU-T I.371, 1993).
//! - **In flight**: permits that expire unless they are extended, so that those of a worker that was killed come back.
//! - **Line**: whoever has to wait gets a time of its own behind the last one given, at the rate at which the destination is
//!   expected to take calls. So however many wait, a bounded number per second asks again, and none of them spins. A
//!   newcomer waits behind the line, unless there is plenty of room. The line is at most [`LINE_MAX`] long; beyond, times are
//!   drawn by chance from its second half, and nobody's place is kept.

use super::{Breaker, Destination, Left, Permit, Rules, Sight, Verdict, Why};
use crate::{id::JobId, limits::LINE_JOBS_MAX};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use uuid::Uuid;

/// How long the line may get.
pub const LINE_MAX: Duration = Duration::from_secs(600);
/// A state that nobody has touched for so long, and the longest opening besides, may be forgotten.
pub const IDLE_MAX: Duration = Duration::from_secs(3_600);
/// Whoever comes so much too early may go all the same.
pub const EARLY_MAX: Duration = Duration::from_millis(100);
/// Whoever has not come so long after its time has lost its place.
pub const LATE_MAX: Duration = Duration::from_secs(60);
/// The shortest wait for a permit to become free.
pub const PATIENCE_MIN: Duration = Duration::from_millis(10);
/// The longest wait for a permit to become free.
pub const PATIENCE_MAX: Duration = Duration::from_secs(10);
/// The closest that two in the line follow each other, in microseconds.
pub const SPACING_MIN_US: u64 = 100;

const SECOND_US: u64 = 1_000_000;

/// What [`State::enter`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// A permit: its epoch, and whether it is a probe's.
    Go(u64, bool),
    /// Microseconds to stay away, and why.
    Wait(u64, Why),
}

/// All that is known of one destination. Times are microseconds on one clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    breaker: Breaker,
    epoch: u64,
    changed: u64,
    /// Failures in a row.
    failures: u64,
    /// Times it was opened since it was closed last.
    openings: u32,
    open_until: u64,
    asked_until: u64,
    window_from: u64,
    window_calls: u64,
    window_failures: u64,
    /// When the bucket will be full again.
    full_at: u64,
    /// How long calls take, smoothed.
    hold: u64,
    last_left: u64,
    /// The last time given to somebody who waits.
    tail: u64,
    permits: HashMap<Uuid, Held>,
    line: Line,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    expires: u64,
    epoch: u64,
    since: u64,
    is_probe: bool,
}

/// Who waits, by job and by time: each is asked for often, and the line may be long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Line {
    slots: HashMap<JobId, u64>,
    in_order: BTreeSet<(u64, JobId)>,
}

impl Line {
    fn insert(&mut self, job: JobId, slot: u64) {
        self.remove(job);
        self.slots.insert(job, slot);
        self.in_order.insert((slot, job));
    }

    fn remove(&mut self, job: JobId) {
        if let Some(slot) = self.slots.remove(&job) {
            self.in_order.remove(&(slot, job));
        }
    }

    fn drop_until(&mut self, late: u64) {
        while let Some((slot, job)) = self.in_order.first().copied().filter(|(slot, _)| *slot <= late) {
            self.in_order.remove(&(slot, job));
            self.slots.remove(&job);
        }
    }
}

impl State {
    /// A destination that was never called.
    pub fn new(now: u64) -> Self {
        Self { changed: now, last_left: now, window_from: now, ..Self::default() }
    }

    /// Lets a call through, or gives it a time in the line.
    pub fn enter(&mut self, now: u64, job: JobId, permit: Uuid, rules: &Rules) -> Entered {
        self.forget_what_is_over(now);
        if self.breaker == Breaker::Open && now >= self.open_until {
            self.change(Breaker::HalfOpen, now);
        }
        let own = self.line.slots.get(&job).copied();
        if let Some(slot) = own.filter(|slot| *slot > now + us(EARLY_MAX)) {
            return Entered::Wait(slot - now, self.refuses(now, rules).map_or(Why::Line, |(_, why)| why));
        }
        if let Some((from, why)) = self.refuses(now, rules) {
            // Whoever is a little early for its own token keeps its place.
            let keeps = own.is_some() && why == Why::Rate && from - now <= interval(rules);
            return self.wait(now, job, permit, from, why, keeps, rules);
        }
        let has_room = rules.rate == 0 && self.permits.len() * 2 < rules.in_flight as usize;
        if own.is_none() && self.tail > now && !has_room {
            return self.wait(now, job, permit, now, Why::Line, false, rules);
        }
        let is_probe = self.breaker == Breaker::HalfOpen;
        let held = Held { expires: now + us(rules.permit), epoch: self.epoch, since: now, is_probe };
        self.permits.insert(permit, held);
        self.full_at = self.full_at.max(now) + interval(rules);
        self.line.remove(job);
        Entered::Go(self.epoch, is_probe)
    }

    /// Makes a permit last its full time from now.
    pub fn extend(&mut self, now: u64, permit: Uuid, rules: &Rules) -> bool {
        self.forget_what_is_over(now);
        match self.permits.get_mut(&permit) {
            Some(held) => {
                held.expires = now + us(rules.permit);
                true
            }
            None => false,
        }
    }

    /// Takes a permit back, and counts what it has learnt.
    pub fn leave(&mut self, now: u64, permit: &Permit, verdict: Verdict, rules: &Rules) -> Left {
        self.forget_what_is_over(now);
        let Some(held) = self.permits.remove(&permit.id) else { return Left::NotHeld };
        self.last_left = now;
        if verdict == Verdict::Unknown {
            return Left::Done;
        }
        let took = now.saturating_sub(held.since);
        self.hold = if self.hold == 0 { took } else { self.hold - self.hold / 8 + took / 8 };
        if let Verdict::AtFault(Some(pause)) = verdict {
            self.asked_until = self.asked_until.max(now + us(pause.min(rules.open_cap)));
        }
        if held.epoch != self.epoch {
            return Left::Done;
        }
        let works = verdict == Verdict::Works;
        match self.breaker {
            Breaker::Open => Left::Done,
            Breaker::HalfOpen if works => {
                (self.failures, self.openings) = (0, 0);
                (self.window_from, self.window_calls, self.window_failures) = (now, 0, 0);
                self.change(Breaker::Closed, now);
                Left::Changed(Breaker::Closed)
            }
            Breaker::HalfOpen => {
                self.failures += 1;
                self.open(now, permit.id, rules)
            }
            Breaker::Closed => {
                if now >= self.window_from + us(rules.window) {
                    (self.window_from, self.window_calls, self.window_failures) = (now, 0, 0);
                }
                self.window_calls += 1;
                if works {
                    self.failures = 0;
                } else {
                    self.failures += 1;
                    self.window_failures += 1;
                }
                let share = self.window_failures * 100 >= self.window_calls * u64::from(rules.window_percent);
                let too_often = self.window_calls >= u64::from(rules.window_calls) && share;
                if !works && (self.failures >= u64::from(rules.failures) || too_often) {
                    self.open(now, permit.id, rules)
                } else {
                    Left::Done
                }
            }
        }
    }

    /// Forgets failures, pauses and the line; calls in flight stay counted.
    pub fn reset(&mut self, now: u64) {
        let (epoch, hold, permits) = (self.epoch, self.hold, std::mem::take(&mut self.permits));
        *self = Self { epoch, hold, permits, ..Self::new(now) };
        self.change(Breaker::Closed, now);
    }

    /// What there is to see of it.
    pub fn sight(&self, now: u64, destination: Destination) -> Sight {
        let late = us(LATE_MAX);
        let until = self.asked_until.max(if self.breaker == Breaker::Open { self.open_until } else { 0 });
        Sight {
            destination,
            breaker: self.breaker,
            unchanged_for: Duration::from_micros(now.saturating_sub(self.changed)),
            failures: self.failures,
            in_flight: self.permits.values().filter(|held| held.expires > now).count() as u64,
            waiting: self.line.slots.values().filter(|slot| **slot + late > now).count() as u64,
            opens_in: (until > now).then(|| Duration::from_micros(until - now)),
        }
    }

    /// Whether nothing would be lost with it: nobody is under way or waits, and nothing bad is known.
    pub fn is_idle(&self, now: u64) -> bool {
        self.permits.values().all(|held| held.expires <= now)
            && self.tail + us(LATE_MAX) <= now
            && self.failures == 0
            && self.breaker == Breaker::Closed
            && self.asked_until.max(self.full_at) <= now
    }

    /// From when on a call could go through, and why not now.
    fn refuses(&self, now: u64, rules: &Rules) -> Option<(u64, Why)> {
        // As long again as it has been quiet: asked again and again, that is a few times only.
        let quiet = now.saturating_sub(self.last_left.max(self.changed));
        let patience = now + quiet.clamp(us(PATIENCE_MIN), us(PATIENCE_MAX));
        let probes = || self.permits.values().filter(|held| held.is_probe && held.epoch == self.epoch).count();
        let bucket_free = self.full_at.saturating_sub(interval(rules) * u64::from(rules.burst.saturating_sub(1)));
        if self.breaker == Breaker::Open {
            Some((self.open_until, Why::Open))
        } else if self.asked_until > now {
            Some((self.asked_until, Why::Asked))
        } else if self.breaker == Breaker::HalfOpen && probes() >= rules.probes as usize {
            Some((patience, Why::Probing))
        } else if self.permits.len() >= rules.in_flight as usize {
            Some((patience, Why::Busy))
        } else if bucket_free > now {
            Some((bucket_free, Why::Rate))
        } else {
            None
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `enter`, cut out to be read")]
    fn wait(&mut self, now: u64, job: JobId, permit: Uuid, from: u64, why: Why, keeps: bool, rules: &Rules) -> Entered {
        if keeps {
            self.line.insert(job, from);
            return Entered::Wait(from - now, why);
        }
        let slowest = SECOND_US / u64::from(rules.returns);
        let spacing = match why {
            Why::Rate => SPACING_MIN_US,
            Why::Busy | Why::Line => {
                (self.hold / u64::from(rules.in_flight)).clamp(SPACING_MIN_US, slowest.max(SPACING_MIN_US))
            }
            Why::Open | Why::Probing | Why::Asked => slowest.max(SPACING_MIN_US),
        };
        let spacing = spacing.max(interval(rules));
        let slot = if self.tail > now { from.max(self.tail + spacing) } else { from };
        let line_us = us(LINE_MAX);
        // A pause that is asked for may be longer than the line: then the line begins behind it.
        let end = from + line_us;
        if slot > end || self.line.slots.len() >= LINE_JOBS_MAX {
            self.line.remove(job);
            let half = line_us / 2;
            return Entered::Wait(from + half + (half >> 16) * chance(permit) - now, why);
        }
        self.tail = slot;
        self.line.insert(job, slot);
        Entered::Wait(slot - now, why)
    }

    fn open(&mut self, now: u64, permit: Uuid, rules: &Rules) -> Left {
        let doublings = self.openings.min(30);
        let pause = us(rules.open_base).saturating_mul(1 << doublings).min(us(rules.open_cap));
        self.open_until = now + pause * (800 + chance(permit) * 400 / 65_536) / 1_000;
        self.openings += 1;
        self.change(Breaker::Open, now);
        Left::Changed(Breaker::Open)
    }

    fn change(&mut self, to: Breaker, now: u64) {
        self.breaker = to;
        self.epoch += 1;
        self.changed = now;
    }

    fn forget_what_is_over(&mut self, now: u64) {
        self.permits.retain(|_, held| held.expires > now);
        self.line.drop_until(now.saturating_sub(us(LATE_MAX)));
    }
}

/// Microseconds from one request to the next; 0 without a limit.
fn interval(rules: &Rules) -> u64 {
    if rules.rate == 0 { 0 } else { SECOND_US / u64::from(rules.rate) }
}

/// A number from 0 to 65,535: a permit's id is random.
pub fn chance(permit: Uuid) -> u64 {
    let bytes = permit.as_bytes();
    u64::from(bytes[0]) << 8 | u64::from(bytes[1])
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = SECOND_US;

    fn rules() -> Rules {
        Rules { failures: 3, in_flight: 4, returns: 100, open_base: Duration::from_secs(1), ..Rules::default() }
    }

    /// A destination, and ids that count up.
    struct World {
        state: State,
        now: u64,
        ids: u128,
        rules: Rules,
    }

    impl World {
        fn new(rules: Rules) -> Self {
            Self { state: State::new(SECOND), now: SECOND, ids: 0, rules }
        }

        fn job(&mut self) -> JobId {
            self.ids += 1;
            JobId(Uuid::from_u128(self.ids))
        }

        fn enter(&mut self, job: JobId) -> Result<Permit, (u64, Why)> {
            self.ids += 1;
            // In the middle of all chances: no pause is spread.
            let id = Uuid::from_u128(self.ids | 0x8000 << 112);
            match self.state.enter(self.now, job, id, &self.rules) {
                Entered::Go(epoch, is_probe) => {
                    let destination = Destination::new("http://a:80").unwrap();
                    Ok(Permit { destination, id, epoch, since_us: self.now, is_probe })
                }
                Entered::Wait(wait, why) => Err((wait, why)),
            }
        }

        fn leave(&mut self, permit: &Permit, verdict: Verdict) -> Left {
            self.state.leave(self.now, permit, verdict, &self.rules)
        }

        fn call(&mut self, verdict: Verdict) -> Left {
            let job = self.job();
            let permit = self.enter(job).unwrap();
            self.leave(&permit, verdict)
        }
    }

    #[test]
    fn ten_thousand_who_wait_for_a_dead_destination_ask_at_a_bounded_rate_and_a_bounded_number_of_times() {
        let mut world = World::new(Rules { open_cap: Duration::from_secs(60), ..rules() });
        for _ in 0..3 {
            world.call(Verdict::AtFault(None));
        }
        let mut waiting = BTreeSet::new();
        let (mut looks, mut probes) = (HashMap::<JobId, u32>::new(), 0);
        for _ in 0..10_000 {
            let job = world.job();
            let (wait, why) = world.enter(job).unwrap_err();
            assert_eq!(why, Why::Open);
            waiting.insert((world.now + wait, job));
        }
        // Ten minutes of it being dead: each probe takes a second to fail.
        let begun = world.now;
        let mut probing: Option<(u64, Permit)> = None;
        while let Some((at, job)) = waiting.pop_first().filter(|(at, _)| *at < begun + 600 * SECOND) {
            if let Some((ends, permit)) = probing.take_if(|(ends, _)| *ends <= at) {
                world.now = ends;
                assert_eq!(world.leave(&permit, Verdict::AtFault(None)), Left::Changed(Breaker::Open));
            }
            world.now = at;
            *looks.entry(job).or_default() += 1;
            match world.enter(job) {
                Ok(permit) => {
                    assert!(permit.is_probe && probing.is_none(), "one probe at a time");
                    probes += 1;
                    probing = Some((at + SECOND, permit));
                    waiting.insert((at + 2 * SECOND, job));
                }
                Err((wait, _)) => {
                    waiting.insert((at + wait, job));
                }
            }
        }
        let all: u32 = looks.values().sum();
        assert!(all <= 600 * 100, "no more than {} asked again in ten minutes", 600 * 100);
        assert!(looks.values().max() <= Some(&12), "somebody asked {:?} times", looks.values().max());
        assert!((10..=30).contains(&probes), "it was tried {probes} times");
    }

    #[test]
    fn those_who_wait_go_in_order_and_a_newcomer_behind_them() {
        let mut world = World::new(Rules { rate: 10, burst: 1, ..rules() });
        world.call(Verdict::Works);
        let jobs: Vec<JobId> = (0..5).map(|_| world.job()).collect();
        let begun = world.now;
        let times: Vec<u64> = jobs.iter().map(|job| begun + world.enter(*job).unwrap_err().0).collect();
        assert_eq!(times, (1..=5).map(|n| begun + n * SECOND / 10).collect::<Vec<_>>());
        for (time, job) in times.iter().zip(&jobs) {
            world.now = *time;
            let newcomer = world.job();
            if time < times.last().unwrap() {
                assert!(world.enter(newcomer).is_err(), "it came last");
            }
            let permit = world.enter(*job).unwrap();
            world.leave(&permit, Verdict::Works);
        }
    }

    #[test]
    fn a_hanging_destination_holds_so_many_calls_and_no_more() {
        let mut world = World::new(rules());
        for _ in 0..4 {
            let job = world.job();
            world.enter(job).unwrap();
        }
        let job = world.job();
        let mut asked = 0;
        let begun = world.now;
        while world.now < begun + 20 * SECOND && asked < 100 {
            let Err((wait, Why::Busy)) = world.enter(job) else { break };
            world.now += wait;
            asked += 1;
        }
        assert!((5..20).contains(&asked), "waits grow with the silence: asked {asked} times");
        world.now = begun + us(world.rules.permit);
        let next = world.job();
        assert!(world.enter(next).is_ok(), "permits that nobody extends come back");
    }

    #[test]
    fn a_state_without_anything_to_remember_is_idle() {
        let mut world = World::new(rules());
        assert!(world.state.is_idle(world.now) || world.now <= us(LATE_MAX));
        world.now += 100 * SECOND;
        world.call(Verdict::Works);
        assert!(world.state.is_idle(world.now + 1));
        world.call(Verdict::AtFault(None));
        assert!(!world.state.is_idle(world.now + 1));
    }
}
