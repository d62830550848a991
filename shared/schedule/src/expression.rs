//! Expressions: the text of a cron schedule, with the meaning of crontab(5).
//!
//! An expression is read here, field by field, so that what is refused is refused with a reason; the days and times that it
//! means are found by the `cron` crate (see [`crate::calendar`]).

use crate::{
    calendar::Calendar,
    field::{Field, Problem, Values},
};
use chrono::NaiveDateTime;

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 512;

/// Why a text is not an expression. Its text names the field, what is wrong and the accepted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Nothing but blanks.
    #[error("is empty; write five fields such as \"0 2 * * *\", or @daily")]
    Empty,
    /// Longer than [`EXPRESSION_BYTES_MAX`].
    #[error("has {0} bytes, at most {EXPRESSION_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Six fields, and nobody asked for seconds.
    #[error(
        "has 6 fields; write 5 (minute hour day-of-month month day-of-week), or ask for seconds in front with \"seconds\": true"
    )]
    SecondsNotAskedFor,
    /// Any other number of fields.
    #[error("has {found} field(s); write {wanted}")]
    FieldCount {
        /// How many there are.
        found: usize,
        /// How many there must be, and which.
        wanted: &'static str,
    },
    /// `@reboot`.
    #[error(
        "@reboot is not a time: schedules outlive every restart; use @hourly, @daily, @weekly, @monthly or @yearly"
    )]
    Reboot,
    /// `@every`, as some crons write intervals.
    #[error("@every is not part of crontab(5); leave the expression out and write \"every\": \"90s\"")]
    Every,
    /// Another word behind an `@`.
    #[error("is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually")]
    Nickname,
    /// A zone in front, as some crons write it.
    #[error("has a time zone in front; write it as \"timezone\": \"Europe/London\"")]
    ZoneInFront,
    /// One field is wrong.
    #[error("{field}: {problem}")]
    Field {
        /// Which one.
        field: Field,
        /// What is wrong with it.
        problem: Problem,
    },
    /// No day has what is asked for, such as 31 February.
    #[error("never fires: no month that it names has such a day; write for example \"0 0 28 2 *\"")]
    NeverFires,
}

/// When a schedule fires by the calendar, in whatever zone.
///
/// | written             | means                                                                             |
/// |---------------------|-----------------------------------------------------------------------------------|
/// | `0 2 * * *`         | at 02:00 each day                                                                 |
/// | `*/15 9-17 * * 1-5` | every quarter of an hour from 09:00 to 17:45, Monday to Friday                    |
/// | `0 0 1,15 * MON`    | on the 1st, on the 15th, *and* on each Monday: both day fields are restricted     |
/// | `0 9 1-7 * */7`     | on the first Sunday of a month: a field that begins with `*` is not restricted, so both hold; the parser of Kubernetes sees that differently |
/// | `0 22-23,0-6 * * *` | each hour of the night; a range does not wrap                                     |
/// | `0 0 * * FRI-SUN`   | Sunday is 0 and 7, and ends a range as 7                                          |
/// | `@daily`            | `0 0 * * *`; also `@hourly @midnight @weekly @monthly @yearly @annually`          |
#[derive(Debug, Clone)]
pub struct Expression {
    calendar: Calendar,
    hour_by_hour: bool,
}

impl Expression {
    /// Reads an expression: five fields, or six with seconds in front when `seconds` is set, or a nickname.
    ///
    /// # Errors
    /// Everything that cron would refuse, never do, or understand differently from what was meant.
    pub fn parse(text: &str, seconds: bool) -> Result<Self, ExpressionError> {
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(ExpressionError::TooLong(text.len()));
        }
        let text = text.trim_matches(BLANKS);
        let (text, seconds) = match text.strip_prefix('@') {
            Some(nickname) => (expand(nickname)?, false),
            None => (text, seconds),
        };
        let [second, minute, hour, day_of_month, month, day_of_week] = split(text, seconds)?;
        let second = read(Field::Second, second)?;
        let minute = read(Field::Minute, minute)?;
        let hour = read(Field::Hour, hour)?;
        let day_of_month = read(Field::DayOfMonth, day_of_month)?;
        let month = read(Field::Month, month)?;
        let day_of_week = read(Field::DayOfWeek, day_of_week)?;

        let calendar = Calendar::new([second, minute, hour], day_of_month, month, day_of_week)?;
        Ok(Self { calendar, hour_by_hour: minute.starred || hour.starred })
    }

    /// The first time after `after`, on a clock that is never set. `None` past the year 2100.
    pub fn next(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        self.calendar.next(after)
    }

    /// The last time before `before`, on a clock that is never set. `None` before 1970.
    pub fn previous(&self, before: NaiveDateTime) -> Option<NaiveDateTime> {
        self.calendar.previous(before)
    }

    /// Whether the minute or the hour begins with `*`: the schedule follows the clock round, rather than naming the times
    /// of a day. What happens when clocks are set depends on it; see [`crate::Dst`].
    pub fn is_hour_by_hour(&self) -> bool {
        self.hour_by_hour
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

/// The fields of `text`, seconds first: 0 where nobody asked for them.
fn split(text: &str, seconds: bool) -> Result<[&str; 6], ExpressionError> {
    let wanted = if seconds { 6 } else { 5 };
    let mut fields = ["0"; 6];
    let mut found = 0;
    for field in text.split(BLANKS).filter(|field| !field.is_empty()) {
        if let Some(place) = fields.get_mut(6 - wanted + found) {
            *place = field;
        }
        found += 1;
    }
    match found {
        0 => Err(ExpressionError::Empty),
        _ if fields[6 - wanted].contains('=') => Err(ExpressionError::ZoneInFront),
        _ if found == wanted => Ok(fields),
        6 => Err(ExpressionError::SecondsNotAskedFor),
        _ if seconds => Err(ExpressionError::FieldCount {
            found,
            wanted: "6 with \"seconds\": true (second minute hour day-of-month month day-of-week)",
        }),
        _ => Err(ExpressionError::FieldCount { found, wanted: "5 (minute hour day-of-month month day-of-week)" }),
    }
}

fn read(field: Field, text: &str) -> Result<Values, ExpressionError> {
    field.parse(text).map_err(|problem| ExpressionError::Field { field, problem })
}

fn expand(nickname: &str) -> Result<&'static str, ExpressionError> {
    match nickname.to_ascii_lowercase().as_str() {
        "hourly" => Ok("0 * * * *"),
        "daily" | "midnight" => Ok("0 0 * * *"),
        "weekly" => Ok("0 0 * * 0"),
        "monthly" => Ok("0 0 1 * *"),
        "yearly" | "annually" => Ok("0 0 1 1 *"),
        "reboot" => Err(ExpressionError::Reboot),
        other if other == "every" || other.starts_with("every ") => Err(ExpressionError::Every),
        _ => Err(ExpressionError::Nickname),
    }
}
