//! The calendar behind an expression: the `cron` crate, kept away from zones.
//!
//! The crate searches days and times well, but has its own ideas at the edges: it wants seconds, counts Sunday as 1, asks
//! for day-of-month *and* day-of-week, and leaves out what falls into a gap. So it is given lists of numbers in its own
//! counting, is asked in UTC, where no time is missing or doubled, and "or" is the union of two of its schedules.
//! What UTC carries here is a *nominal* time: what a wall clock shows. [`crate::ticks`] puts it into a zone.

use crate::{
    expression::ExpressionError,
    field::{Field, Values},
    tick::INSTANT_MS_MAX,
};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use std::str::FromStr;

#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    by_day: cron::Schedule,
    /// The other half of "day-of-month or day-of-week", when both are restricted.
    by_weekday: Option<cron::Schedule>,
}

impl Calendar {
    /// From the values of second, minute and hour, and of the days.
    pub(crate) fn new(
        time: [Values; 3],
        day_of_month: Values,
        month: Values,
        day_of_week: Values,
    ) -> Result<Self, ExpressionError> {
        let schedule = |day_of_month: Values, day_of_week: Values| {
            let fields = [time[0], time[1], time[2], day_of_month, month, day_of_week];
            // Lists of numbers within their bounds: the crate takes all of them.
            let text = fields.map(Values::for_cron).join(" ");
            cron::Schedule::from_str(&text).map_err(|_| ExpressionError::NeverFires)
        };
        let calendar = if day_of_month.starred || day_of_week.starred {
            Self { by_day: schedule(day_of_month, day_of_week)?, by_weekday: None }
        } else {
            let any_day = Values::all(Field::DayOfMonth);
            let any_weekday = Values::all(Field::DayOfWeek);
            Self { by_day: schedule(day_of_month, any_weekday)?, by_weekday: Some(schedule(any_day, day_of_week)?) }
        };
        match calendar.next(DateTime::UNIX_EPOCH.naive_utc()) {
            Some(_) => Ok(calendar),
            None => Err(ExpressionError::NeverFires),
        }
    }

    /// The first time after `after`. The crate looks as far as the year 2100.
    pub(crate) fn next(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let after = within(after);
        let next = |schedule: &cron::Schedule| Some(schedule.after(&after).next()?.naive_utc());
        match (next(&self.by_day), self.by_weekday.as_ref().and_then(next)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// The last time before `before`. The crate looks back as far as 1970.
    pub(crate) fn previous(&self, before: NaiveDateTime) -> Option<NaiveDateTime> {
        let before = within(before);
        let previous = |schedule: &cron::Schedule| Some(schedule.after(&before).next_back()?.naive_utc());
        previous(&self.by_day).max(self.by_weekday.as_ref().and_then(previous))
    }
}

/// From the day before the crate's calendar to the second after it. Elsewhere the crate takes a negative year for a late
/// one, adds beyond what chrono can hold, and looks for the last time of 2100 in the month of 2101 that it came from.
fn within(local: NaiveDateTime) -> DateTime<Utc> {
    let start = DateTime::UNIX_EPOCH - TimeDelta::days(1);
    let end = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(INSTANT_MS_MAX) + TimeDelta::seconds(1);
    local.and_utc().clamp(start, end)
}
