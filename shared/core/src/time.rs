//! Points in time, and the one clock that everything of ours reads.
//!
//! The ledger's clock rules: a process keeps its offset to it in a [`Clock`], so that a machine whose own clock is off
//! makes ids, due times and deadlines that the others agree with. This file is the only home of `SystemTime::now`.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

/// A point in time: whole milliseconds since 1970, UTC. Written as RFC 3339 with three decimals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// Why a text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not an RFC 3339 time with an offset, such as \"2026-11-22T09:00:00Z\"")]
pub struct TimestampError;

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }
    /// Milliseconds since 1970.
    pub const fn as_ms(self) -> i64 {
        self.0
    }
    /// The minute since 1970 that it falls into.
    pub const fn minute(self) -> i64 {
        self.0.div_euclid(60_000)
    }
    /// As chrono's type. Times that chrono cannot hold become its latest.
    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
    /// Later by `duration`; saturates.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
    /// Earlier by `duration`; saturates.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
    /// How long after `earlier`; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_millis())
    }
}
impl std::str::FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| TimestampError)?;
        Ok(Self(time.timestamp_millis()))
    }
}
impl TryFrom<String> for Timestamp {
    type Error = TimestampError;
    fn try_from(text: String) -> Result<Self, TimestampError> {
        text.parse()
    }
}
impl From<Timestamp> for String {
    fn from(time: Timestamp) -> String {
        time.to_string()
    }
}
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_chrono().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The ledger's clock as this process knows it: the machine's clock plus an offset.
#[derive(Debug, Default)]
pub struct Clock {
    offset_ms: AtomicI64,
    /// Where a simulated clock began; what it began with is its offset.
    simulated_since: Option<tokio::time::Instant>,
}

impl Clock {
    /// The machine's own clock, until [`Clock::sync`] is told better.
    pub fn new() -> Self {
        Self::default()
    }

    /// A clock that shows `start` now and goes on as tokio's timers do, also when these are paused and moved: simulated
    /// time is the same for due times and for pauses.
    pub fn simulated(start: Timestamp) -> Self {
        Self { offset_ms: AtomicI64::new(start.as_ms()), simulated_since: Some(tokio::time::Instant::now()) }
    }

    /// Now, on the ledger's clock.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.own_ms() + self.offset_ms.load(Ordering::Relaxed))
    }

    /// Takes a reading of the ledger's clock into account, for which the process had waited `round_trip`.
    ///
    /// A reading is certain to half of its round trip only: the offset moves no further than that makes it. A ledger that
    /// answers after seconds would otherwise set every clock off by seconds.
    pub fn sync(&self, ledger_now: Timestamp, round_trip: Duration) {
        let half_trip_ms = i64::try_from(round_trip.as_millis() / 2).unwrap_or(0);
        let read_ms = ledger_now.as_ms() + half_trip_ms - self.own_ms();
        let offset_ms = self.offset_ms().clamp(read_ms - half_trip_ms, read_ms + half_trip_ms);
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// How far the machine's clock is behind the ledger's, in milliseconds.
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    fn own_ms(&self) -> i64 {
        match self.simulated_since {
            None => machine_ms(),
            Some(since) => i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one home of the machine's clock")]
fn machine_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Nanoseconds since 1970 by the machine's own clock: for what is told to other systems, and decides nothing here.
#[expect(clippy::disallowed_methods, reason = "the one home of the machine's clock")]
pub(crate) fn wall_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_an_offset_or_out_of_range_are_refused() {
        for text in ["2026-11-22T09:00:00", "infinity", "300000-01-01T00:00:00Z", "now", ""] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
        let time: Timestamp = "2026-11-22T10:00:00.123+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-22T09:00:00.123Z");
    }

    #[test]
    fn the_clock_follows_the_ledger() {
        let clock = Clock::new();
        let ahead = clock.now().plus(Duration::from_secs(600));
        clock.sync(ahead, Duration::ZERO);
        assert!(clock.now() >= ahead && clock.now().since(ahead) < Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reading_moves_the_clock_only_as_far_as_it_is_certain() {
        let start = Timestamp::from_ms(1_800_000_000_000);
        let clock = Clock::simulated(start);
        // Asked at `start`, answered at once, and five seconds under way: in agreement.
        tokio::time::advance(Duration::from_secs(5)).await;
        let now = clock.now();
        clock.sync(start, Duration::from_secs(5));
        assert_eq!(clock.now(), now);
        // A minute ahead, to five seconds.
        clock.sync(now.plus(Duration::from_secs(60)), Duration::from_secs(10));
        assert_eq!(clock.now(), now.plus(Duration::from_secs(60)));
        clock.sync(now, Duration::ZERO);
        assert_eq!(clock.now(), now);
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_goes_with_the_timers() {
        let start = Timestamp::from_ms(1_800_000_000_000);
        let clock = Clock::simulated(start);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), start.plus(Duration::from_secs(90)));
    }
}
