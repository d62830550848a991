//! Places: how far a schedule is, as the ledger keeps it, and where it begins, goes on after an edit, or waits.
//!
//! The ledger keeps one text. It is the name of the tick up to which nothing is left to fire, and, while a tick's job waits
//! for an earlier one's outcome ([`Overlap::Queue`](crate::Overlap::Queue)), that tick's name too. Two texts are the same
//! place if and only if they are equal.

use crate::{
    missed::Progress,
    schedule::Schedule,
    tick::{TickName, TickNameError},
};
use haul_core::{
    Timestamp,
    schedules::{self, Move, Position},
};
use std::{fmt, str::FromStr};

/// How far a schedule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Every tick up to this one is done with, or waits.
    pub through: TickName,
    /// The tick whose job waits for an earlier one's outcome.
    pub waiting: Option<TickName>,
}

const WAITING: &str = " waiting ";

impl Place {
    /// The place of a schedule whose ticks up to `now` are none of its business.
    pub fn at(now: Timestamp) -> Self {
        Self { through: TickName::of_instant(now), waiting: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.waiting {
            None => write!(f, "{}", self.through),
            Some(waiting) => write!(f, "{}{WAITING}{waiting}", self.through),
        }
    }
}

impl FromStr for Place {
    type Err = TickNameError;
    fn from_str(text: &str) -> Result<Self, TickNameError> {
        match text.split_once(WAITING) {
            None => Ok(Self { through: text.parse()?, waiting: None }),
            Some((through, waiting)) => Ok(Self { through: through.parse()?, waiting: Some(waiting.parse()?) }),
        }
    }
}

impl Schedule {
    /// Where a schedule begins that is created at `now` (the ledger's clock): its first tick is the first one after.
    pub fn begin(&self, now: Timestamp) -> Position {
        self.position(Place::at(now), now)
    }

    /// Where a stored schedule goes on when it is given this new spec at `now`: past ticks of the new spec do not fire,
    /// neither up to now nor up to what has fired already. A job that waits goes on waiting.
    pub fn take_over(&self, stored: &schedules::Schedule, now: Timestamp) -> Move {
        let from = stored.position.fired_through.clone();
        let place = match from.parse::<Place>() {
            Ok(Place { through, waiting }) => {
                let progress = Progress { fired_through: through, runs: stored.runs };
                Place { through: progress.edited_at(now).fired_through, waiting }
            }
            // Of another version of ours: now is all that is known.
            Err(_) => Place::at(now),
        };
        Move { from, to: self.position(place, now) }
    }

    fn position(&self, place: Place, now: Timestamp) -> Position {
        let next = self.next(&place.through).map(|tick| tick.at);
        let next_at = if place.waiting.is_some() { Some(now) } else { next };
        Position { fired_through: place.to_string(), next_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScheduleSpec;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_place_has_one_text() {
        for text in [
            "2026-11-01T05:30:00Z",
            "2026-11-01T01:30:00[America/New_York]+fold",
            "2026-11-01T05:30:00Z waiting 2026-11-01T05:29:00Z",
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for text in ["", "2026-11-01T05:30:00Z waiting", "2026-11-01T05:30:00Z waiting ", "x waiting y"] {
            assert!(text.parse::<Place>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_schedule_begins_after_the_moment_of_its_creation() {
        let hourly = ScheduleSpec::cron("0 * * * *", "UTC").validate().unwrap();
        let position = hourly.begin(time("2026-11-01T05:00:00Z"));
        assert_eq!(position.next_at, Some(time("2026-11-01T06:00:00Z")));
    }

    #[test]
    fn an_edit_never_goes_back_over_what_has_fired() {
        let stored = |fired_through: &str| schedules::Schedule {
            position: Position { fired_through: fired_through.to_owned(), next_at: None },
            ..example()
        };
        let half_past = ScheduleSpec::cron("*/30 * * * *", "Europe/London").validate().unwrap();
        // The editor's clock is a little behind the one by which 06:00 has fired.
        let moved = half_past.take_over(&stored("2026-11-01T06:00:00[UTC]"), time("2026-11-01T05:59:59.900Z"));
        assert_eq!(moved.to.next_at, Some(time("2026-11-01T06:30:00Z")));
        // Nothing has fired for a day: what the new spec would have fired since is past.
        let moved = half_past.take_over(&stored("2026-10-31T06:00:00[UTC]"), time("2026-11-01T05:59:59.900Z"));
        assert_eq!(moved.to.next_at, Some(time("2026-11-01T06:00:00Z")));
        let waiting = "2026-11-01T05:00:00[UTC] waiting 2026-11-01T04:00:00[UTC]";
        let moved = half_past.take_over(&stored(waiting), time("2026-11-01T05:10:00Z"));
        assert_eq!(moved.to.fired_through, "2026-11-01T05:10:00Z waiting 2026-11-01T04:00:00[UTC]");
        assert_eq!(moved.to.next_at, Some(time("2026-11-01T05:10:00Z")), "it is looked at again at once");
    }

    fn example() -> schedules::Schedule {
        schedules::Schedule {
            id: schedules::ScheduleId(haul_core::JobId::floor(Timestamp::default()).0),
            key: schedules::ScheduleRef {
                tenant: haul_core::Tenant::default(),
                name: haul_core::ScheduleName::new("nightly").unwrap(),
            },
            version: 1,
            paused: false,
            definition: schedules::Definition { spec: String::new(), template: String::new(), source: None },
            position: Position { fired_through: String::new(), next_at: None },
            last_job: None,
            runs: 0,
            problem: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        }
    }
}
