//! From the calendar to ticks: nominal times, one after the other, put into a zone.
//!
//! The walk follows the wall clock. It goes through nominal times in their order, jumps over gaps, and goes back once at
//! the end of a fold whose times run twice. So instants only ever rise, nothing has to be sorted or remembered, and a tick's
//! name (or any instant) is enough to go on from.

use crate::{
    dst::{Dst, Gap, Repeat},
    expression::Expression,
    tick::{Tick, TickName},
    zone::{self, Reading},
};
use chrono::{NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use std::ops::Range;

/// An expression in a zone.
#[derive(Debug, Clone)]
pub(crate) struct Clockwork {
    pub(crate) expression: Expression,
    pub(crate) zone: Tz,
    pub(crate) dst: Dst,
}

/// How far a walk has come: every tick up to here is behind it.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    local: NaiveDateTime,
    pass: Pass,
}

/// Which coming of a nominal time the walk is in.
#[derive(Debug, Clone)]
enum Pass {
    /// Its only one, or the only one that fires.
    Only,
    /// The first of the times in a fold, which all come again.
    First(Range<NaiveDateTime>),
    /// The second.
    Second(Range<NaiveDateTime>),
}

const SECOND: TimeDelta = TimeDelta::seconds(1);

impl Clockwork {
    /// A walk over the ticks after `name`, which may be of another zone, or no tick at all.
    pub(crate) fn start(&self, name: &TickName) -> Cursor {
        let (local, at) = match name.zone {
            Some(zone) if zone == self.zone => (name.local, name.at()),
            _ => (zone::wall(self.zone, name.at()), name.at()),
        };
        let Reading::Twice { second, fold, .. } = zone::read(self.zone, local) else {
            return Cursor { local, pass: Pass::Only };
        };
        let (before, last) = (fold.start - SECOND, fold.end - SECOND);
        match (self.dst.overlap, at >= second) {
            (Repeat::First, false) | (Repeat::Second, true) => Cursor { local, pass: Pass::Only },
            (Repeat::First, true) => Cursor { local: last, pass: Pass::Only },
            (Repeat::Second, false) => Cursor { local: before, pass: Pass::Only },
            (Repeat::Both, false) => Cursor { local, pass: Pass::First(fold) },
            (Repeat::Both, true) => Cursor { local, pass: Pass::Second(fold) },
        }
    }

    /// The next tick of a walk. Each round but the last leaves a gap or a fold behind, and the calendar has an end.
    pub(crate) fn advance(&self, cursor: &mut Cursor) -> Option<Tick> {
        loop {
            let next = self.expression.next(cursor.local);
            let leaves = |fold: &Range<NaiveDateTime>| next.is_none_or(|next| next >= fold.end);
            match &cursor.pass {
                Pass::First(fold) if leaves(fold) => {
                    *cursor = Cursor { local: fold.start - SECOND, pass: Pass::Second(fold.clone()) };
                    continue;
                }
                Pass::Second(fold) if leaves(fold) => cursor.pass = Pass::Only,
                _ => {}
            }
            let local = next?;
            cursor.local = local;
            match zone::read(self.zone, local) {
                Reading::Once(at) => return Some(self.tick(local, false, at)),
                Reading::Gap { end, at } => {
                    let last = self.expression.previous(end);
                    cursor.local = end - SECOND;
                    if self.dst.gap == Gap::RunOnceAfter && self.expression.next(cursor.local) != Some(end) {
                        return Some(self.tick(last.unwrap_or(local), false, at));
                    }
                }
                Reading::Twice { first, second, fold } => {
                    let again = match (&cursor.pass, self.dst.overlap) {
                        (Pass::Second(_), _) | (_, Repeat::Second) => true,
                        (_, Repeat::First) => false,
                        (_, Repeat::Both) => {
                            cursor.pass = Pass::First(fold);
                            false
                        }
                    };
                    return Some(self.tick(local, again, if again { second } else { first }));
                }
            }
        }
    }

    fn tick(&self, local: NaiveDateTime, fold: bool, at: haul_core::Timestamp) -> Tick {
        Tick { name: TickName::of_local(local, self.zone, fold), at }
    }
}
