//! Ticks: one firing of a schedule, and its name.
//!
//! A tick is named by what a wall clock in its zone shows, and not by its instant: governments change the rules of clocks
//! on short notice, and then two processes with different zone data disagree about *when* nine o'clock is, though never about
//! *which* nine o'clock is meant. A ledger that remembers names fires it once.

use crate::zone;
use chrono::{Datelike, NaiveDateTime, Timelike};
use chrono_tz::Tz;
use haul_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The years in which ticks have names: those of the `cron` crate.
pub(crate) const YEARS: std::ops::RangeInclusive<i32> = 1970..=2100;

/// One firing of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// Which one it is, the same for every process.
    pub name: TickName,
    /// When it is due, by this process's zone data.
    pub at: Timestamp,
}

/// The name of a tick, written as text.
///
/// - `2026-11-01T01:30:00[America/New_York]`: nominal local time and zone. A time that comes twice means its first coming.
/// - `2026-11-01T01:30:00[America/New_York]+fold`: the second coming of a time that comes twice ("fold" as in Python's
///   PEP 495).
/// - `2026-11-01T05:30:00Z`: an instant; ticks of an interval, and points of time that are no tick.
///
/// Every name has exactly one text, so texts may be compared. Names have no order of their own: [`TickName::at`] has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TickName {
    pub(crate) local: NaiveDateTime,
    /// None: `local` is UTC itself.
    pub(crate) zone: Option<Tz>,
    pub(crate) fold: bool,
}

/// Why a text is not the name of a tick.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TickNameError {
    /// Another form.
    #[error(
        "is not a tick; write for example 2026-11-01T01:30:00[America/New_York], with +fold behind it, or 2026-11-01T05:30:00Z"
    )]
    Syntax,
    /// A zone that this process has no data about.
    #[error("is in a time zone that is not known here")]
    UnknownZone,
}

impl TickName {
    /// The name of an instant, in whole seconds, kept within the years that have names. Where a schedule starts from
    /// before it has fired.
    pub fn of_instant(at: Timestamp) -> Self {
        let at = at.clamp(Timestamp::from_ms(0), Timestamp::from_ms(INSTANT_MS_MAX));
        Self { local: zone::wall(Tz::UTC, at), zone: None, fold: false }
    }

    /// A nominal time in a zone.
    pub(crate) fn of_local(local: NaiveDateTime, zone: Tz, fold: bool) -> Self {
        Self { local, zone: Some(zone), fold }
    }

    /// What clocks show then, without a zone: `2026-11-01T01:30:00`. In UTC for an instant.
    pub fn local(&self) -> String {
        self.local.format(FORMAT).to_string()
    }

    /// The zone whose clocks show it; `None` for an instant.
    pub fn zone(&self) -> Option<&'static str> {
        self.zone.map(Tz::name)
    }

    /// Whether it is the second coming of a time that comes twice.
    pub fn fold(&self) -> bool {
        self.fold
    }

    /// When it is, by this process's zone data. A time that does not exist here is the end of its gap; a second coming
    /// of a time that comes once here is that time.
    pub fn at(&self) -> Timestamp {
        match self.zone {
            None => self.local.and_utc().into(),
            Some(zone) => zone::read(zone, self.local).at(self.fold),
        }
    }
}

/// 2100-12-31T23:59:59Z.
pub(crate) const INSTANT_MS_MAX: i64 = 4_133_980_799_000;

const FORMAT: &str = "%Y-%m-%dT%H:%M:%S";

impl fmt::Display for TickName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.local.format(FORMAT);
        match self.zone {
            None => write!(f, "{time}Z"),
            Some(zone) if self.fold => write!(f, "{time}[{zone}]+fold"),
            Some(zone) => write!(f, "{time}[{zone}]"),
        }
    }
}

impl FromStr for TickName {
    type Err = TickNameError;

    fn from_str(text: &str) -> Result<Self, TickNameError> {
        let (time, zone, fold) = match text.split_once('[') {
            None => (text.strip_suffix('Z').ok_or(TickNameError::Syntax)?, None, false),
            Some((time, rest)) => {
                let (zone, fold) = rest.split_once(']').ok_or(TickNameError::Syntax)?;
                (time, Some(zone), fold == "+fold")
            }
        };
        let local = NaiveDateTime::parse_from_str(time, FORMAT).map_err(|_| TickNameError::Syntax)?;
        let zone = zone.map(Tz::from_str).transpose().map_err(|_| TickNameError::UnknownZone)?;
        let name = Self { local, zone, fold };
        // chrono also takes "2026-1-1", leap seconds and what stands behind: one name, one text.
        if name.to_string() != text || local.nanosecond() != 0 || !YEARS.contains(&local.year()) {
            return Err(TickNameError::Syntax);
        }
        Ok(name)
    }
}

impl TryFrom<String> for TickName {
    type Error = TickNameError;
    fn try_from(text: String) -> Result<Self, TickNameError> {
        text.parse()
    }
}
impl From<TickName> for String {
    fn from(name: TickName) -> String {
        name.to_string()
    }
}
