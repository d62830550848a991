//! One field of an expression: which values it allows.
//!
//! The grammar is that of crontab(5) and no more: `*`, values, ranges, lists, and steps behind `*` or a range. What other
//! crons add (`?`, `L`, `W`, `#`, `5/15`) is refused with the form to write instead, because each of them means something
//! else somewhere. Values that were read are echoed in errors; text that was not understood is not.

use std::fmt;

/// A field of an expression, in the order of `seconds: true`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// 0-59; only there when asked for.
    Second,
    /// 0-59.
    Minute,
    /// 0-23.
    Hour,
    /// 1-31.
    DayOfMonth,
    /// 1-12, or a name.
    Month,
    /// 0-7, where 0 and 7 are Sunday, or a name.
    DayOfWeek,
}

/// What is wrong with a field. Its text ends with the accepted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing stands before, between or behind commas, `-` or `/`.
    #[error("a value is missing; write for example 5, 1-5, 1,3 or */2")]
    Missing,
    /// Something that crontab(5) does not know.
    #[error("holds what crontab(5) does not know; write numbers (or names of months and days), `*`, `,`, `-` and `/`")]
    Unknown,
    /// The `?` of Quartz.
    #[error("`?` is not part of crontab(5); write `*`")]
    QuestionMark,
    /// Letters that are no name of this field.
    #[error("has a name that is none of {0}")]
    Name(&'static str),
    /// A value outside of the field's bounds.
    #[error("{value} is out of range; write {min} to {max}")]
    OutOfRange {
        /// What was read.
        value: u64,
        /// The lowest value of the field.
        min: u8,
        /// The highest value of the field.
        max: u8,
    },
    /// A range whose end comes before its start.
    #[error("the range {from}-{to} runs backwards; write {from}-{max},{min}-{to}")]
    Backwards {
        /// Where the range starts.
        from: u8,
        /// Where it ends.
        to: u8,
        /// The lowest value of the field.
        min: u8,
        /// The highest value of the field.
        max: u8,
    },
    /// A step of zero.
    #[error("a step of 0 goes nowhere; write a step of 1 to {0}")]
    StepZero(u8),
    /// A step that is past the range's end at once.
    #[error("a step of {step} is past its range at once; write a step of 1 to {max}")]
    StepPast {
        /// What was read.
        step: u64,
        /// The widest step that reaches a second value.
        max: u8,
    },
    /// A step behind a single value, which some crons read as a range.
    #[error("a step needs a range; write {from}-{max}/{step}")]
    StepAlone {
        /// The single value.
        from: u8,
        /// The highest value of the field.
        max: u8,
        /// The step.
        step: u64,
    },
}

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Field {
    /// The lowest and the highest value that may be written.
    pub const fn bounds(self) -> (u8, u8) {
        match self {
            Self::Second | Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => MONTHS,
            Self::DayOfWeek => DAYS,
            _ => &[],
        }
    }

    const fn names_in_words(self) -> &'static str {
        match self {
            Self::Month => "JAN, FEB, MAR, APR, MAY, JUN, JUL, AUG, SEP, OCT, NOV and DEC",
            Self::DayOfWeek => "SUN, MON, TUE, WED, THU, FRI and SAT",
            _ => "those of months and days: this field has numbers only",
        }
    }

    /// The values that `text` allows.
    pub(crate) fn parse(self, text: &str) -> Result<Values, Problem> {
        let mut bits = 0;
        for item in text.split(',') {
            bits |= self.item(item)?;
        }
        if self == Self::DayOfWeek && bits & SUNDAY_AS_7 != 0 {
            bits = bits & !SUNDAY_AS_7 | 1;
        }
        Ok(Values { field: self, bits, starred: text.starts_with('*') })
    }

    fn item(self, item: &str) -> Result<u64, Problem> {
        let (min, max) = self.bounds();
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(number(step)?)),
            None => (item, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (min, max),
            Some((from, to)) => self.ends(from, to)?,
            None => {
                let value = self.value(range)?;
                match step {
                    Some(step) => return Err(Problem::StepAlone { from: value, max, step }),
                    None => (value, value),
                }
            }
        };
        if from > to {
            return Err(Problem::Backwards { from, to, min, max });
        }
        let widest = (to - from).max(1);
        let step = match step {
            None => 1,
            Some(0) => return Err(Problem::StepZero(widest)),
            Some(step) if step > u64::from(widest) => return Err(Problem::StepPast { step, max: widest }),
            Some(step) => step as usize,
        };
        Ok((from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    /// Both ends of a range. `SUN` at the end of one is the Sunday after, as in `FRI-SUN`.
    fn ends(self, from: &str, to: &str) -> Result<(u8, u8), Problem> {
        let start = self.value(from)?;
        let end = self.value(to)?;
        let sunday_after = self == Self::DayOfWeek && end == 0 && start > 0 && to.eq_ignore_ascii_case("SUN");
        Ok((start, if sunday_after { 7 } else { end }))
    }

    fn value(self, text: &str) -> Result<u8, Problem> {
        let (min, max) = self.bounds();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic()) {
            let place = self.names().iter().position(|name| name.eq_ignore_ascii_case(text));
            return place.map(|place| min + place as u8).ok_or(Problem::Name(self.names_in_words()));
        }
        let value = number(text)?;
        match u8::try_from(value) {
            Ok(value) if (min..=max).contains(&value) => Ok(value),
            _ => Err(Problem::OutOfRange { value, min, max }),
        }
    }
}

/// A run of digits. More of them than fit are far out of every range, and stay so.
fn number(text: &str) -> Result<u64, Problem> {
    match text {
        "" => Err(Problem::Missing),
        "?" => Err(Problem::QuestionMark),
        _ if text.bytes().all(|b| b.is_ascii_digit()) => Ok(text.parse().unwrap_or(u64::MAX)),
        _ => Err(Problem::Unknown),
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day-of-month",
            Self::Month => "month",
            Self::DayOfWeek => "day-of-week",
        })
    }
}

const SUNDAY_AS_7: u64 = 1 << 7;

/// The values that a field allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Values {
    field: Field,
    /// Bit n is value n; Sunday is 0.
    bits: u64,
    /// Whether the text began with `*`: then the field is not "restricted" in the words of crontab(5).
    pub(crate) starred: bool,
}

impl Values {
    /// Every value of the field.
    pub(crate) fn all(field: Field) -> Self {
        let (min, max) = field.bounds();
        let max = if field == Field::DayOfWeek { 6 } else { max };
        Self { field, bits: (min..=max).fold(0, |bits, value| bits | 1 << value), starred: true }
    }

    /// As the `cron` crate writes it: `*` or a list, with Sunday as 1.
    pub(crate) fn for_cron(self) -> String {
        if self.bits == Self::all(self.field).bits {
            return "*".to_owned();
        }
        let shift = u32::from(self.field == Field::DayOfWeek);
        let values = (0..u64::BITS).filter(|value| self.bits & 1 << value != 0);
        values.map(|value| (value + shift).to_string()).collect::<Vec<_>>().join(",")
    }
}
