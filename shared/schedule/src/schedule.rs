//! A schedule that was checked: when it fires, and under which policies.

use crate::{
    interval::Interval,
    missed::CatchUp,
    overlap::Overlap,
    tick::{Tick, TickName},
    ticks::{Clockwork, Cursor},
    zone,
};
use chrono::TimeDelta;
use haul_core::{Span, Timestamp};
use std::time::Duration;

/// When something fires. Made by [`crate::ScheduleSpec::validate`].
#[derive(Debug, Clone)]
pub struct Schedule {
    pub(crate) timing: Timing,
    pub(crate) missed: CatchUp,
    pub(crate) overlap: Overlap,
    pub(crate) jitter: Span,
    pub(crate) start_at: Option<Timestamp>,
    pub(crate) end_at: Option<Timestamp>,
    pub(crate) max_runs: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) enum Timing {
    Cron(Box<Clockwork>),
    Every(Interval),
}

impl Schedule {
    /// The ticks after `after`, in the order of their instants: lazily, and none past the year 2100 or outside of
    /// `start_at` (inclusive) and `end_at` (exclusive). Nothing is known here of `max_runs`; [`Schedule::due`] does.
    ///
    /// `after` may be any tick, also one of another schedule, or [`TickName::of_instant`].
    pub fn ticks(&self, after: &TickName) -> Ticks<'_> {
        let after = match self.start_at {
            Some(start) if after.at() < start => TickName::of_instant(start.minus(Duration::from_millis(1))),
            _ => *after,
        };
        let walk = match &self.timing {
            Timing::Cron(clockwork) => Walk::Cron(clockwork, clockwork.start(&after)),
            Timing::Every(interval) => Walk::Every(*interval, after.at()),
        };
        Ticks { walk, end_at: self.end_at }
    }

    /// The first tick after `after`.
    pub fn next(&self, after: &TickName) -> Option<Tick> {
        self.ticks(after).next()
    }

    /// What a tick does while an earlier one's job is unfinished.
    pub fn overlap(&self) -> Overlap {
        self.overlap
    }

    /// After how many runs it ends.
    pub fn max_runs(&self) -> Option<u64> {
        self.max_runs
    }

    /// A moment before the last `steps` nominal times up to `at`: a place to look for them from. What `end_at` cuts off
    /// is none of them.
    pub(crate) fn back(&self, at: Timestamp, steps: usize) -> Timestamp {
        let at = self.end_at.map_or(at, |end| at.min(end));
        let clockwork = match &self.timing {
            Timing::Every(interval) => return interval.back(at, steps),
            Timing::Cron(clockwork) => clockwork,
        };
        let mut local = zone::wall(clockwork.zone, at) + TimeDelta::seconds(1);
        for _ in 0..steps {
            match clockwork.expression.previous(local) {
                Some(previous) => local = previous,
                None => return Timestamp::default(),
            }
        }
        zone::read(clockwork.zone, local).at(false).minus(Duration::from_secs(1))
    }
}

/// The ticks of a schedule; see [`Schedule::ticks`].
#[derive(Debug)]
pub struct Ticks<'a> {
    walk: Walk<'a>,
    end_at: Option<Timestamp>,
}

#[derive(Debug)]
enum Walk<'a> {
    Cron(&'a Clockwork, Cursor),
    Every(Interval, Timestamp),
}

impl Iterator for Ticks<'_> {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        let tick = match &mut self.walk {
            Walk::Cron(clockwork, cursor) => clockwork.advance(cursor),
            Walk::Every(interval, last) => interval.next(*last).inspect(|tick| *last = tick.at),
        }?;
        self.end_at.is_none_or(|end| tick.at < end).then_some(tick)
    }
}
