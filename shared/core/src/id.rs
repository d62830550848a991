//! Ids: UUIDv7 for jobs, so that an id's order is the order of acceptance and an id's time finds its partition.

use crate::time::{Clock, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};
use uuid::{ContextV7, Uuid};

/// A job's id: a UUIDv7 (RFC 9562) on the ledger's clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub Uuid);

impl JobId {
    /// The smallest id of a millisecond: a bound for ranges, never a job's own id.
    pub fn floor(time: Timestamp) -> Self {
        let ms = u128::from(time.as_ms().clamp(0, (1 << 48) - 1).unsigned_abs());
        Self(Uuid::from_u128(ms << 80))
    }

    /// The id just before, for ranges that begin *after* an id; `None` before the smallest.
    pub fn before(self) -> Option<Self> {
        self.0.as_u128().checked_sub(1).map(|before| Self(Uuid::from_u128(before)))
    }

    /// When the job was accepted, as its id tells it.
    pub fn created_at(self) -> Timestamp {
        Timestamp::from_ms(i64::try_from(self.0.as_u128() >> 80).unwrap_or(i64::MAX))
    }

    /// The 16 bytes, in the order that sorts.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl From<Uuid> for JobId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}
impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl std::str::FromStr for JobId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

/// An id of something that is made now and then: of the order of creation to the millisecond, without a mint.
pub(crate) fn made_at(now: Timestamp) -> Uuid {
    let mut random = [0; 10];
    random.copy_from_slice(&Uuid::new_v4().as_bytes()[6..]);
    let ms = now.as_ms().max(0).unsigned_abs();
    uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
}

/// Makes job ids that only grow within this process.
#[derive(Debug)]
pub struct IdMint {
    clock: Arc<Clock>,
    context: Mutex<ContextV7>,
}

impl IdMint {
    /// A mint on the given clock.
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, context: Mutex::new(ContextV7::new()) }
    }

    /// The next id.
    pub fn next(&self) -> JobId {
        let ms = self.clock.now().as_ms().max(0).unsigned_abs();
        let context = self.context.lock();
        let nanos = u32::try_from(ms % 1_000).unwrap_or(0) * 1_000_000;
        JobId(Uuid::new_v7(uuid::Timestamp::from_unix(&*context, ms / 1_000, nanos)))
    }

    /// The clock that the ids are made on.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }
}

/// A running process of ours: owner of receipts and leases. Made anew at every start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(pub Uuid);

impl ProcessId {
    /// "Nobody": the owner of receipts that any repairer may take at once.
    pub const NOBODY: Self = Self(Uuid::nil());

    /// A new process's id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_only_grow_and_carry_the_clock() {
        let clock = Arc::new(Clock::new());
        let mint = IdMint::new(clock.clone());
        let before = clock.now();
        let ids: Vec<_> = (0..100_000).map(|_| mint.next()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids[0].created_at() >= before);
        assert!(JobId::floor(before) <= ids[0]);
    }

    #[test]
    fn what_is_made_now_and_then_tells_its_time() {
        let now = Timestamp::from_ms(1_795_000_000_123);
        let (first, second) = (made_at(now), made_at(now));
        assert_ne!(first, second);
        assert_eq!((JobId(first).created_at(), first.get_version_num()), (now, 7));
    }
}
