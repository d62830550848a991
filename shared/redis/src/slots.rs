//! The slots that a queue is split over, and which of them a job's ticket is in.
//!
//! How many a queue has is the ledger's to say, and the dispatch remembers it in every slot. Here is what this process has
//! heard of it. It may be out of date: then the call is refused, with the number that holds.

use haul_core::{JobId, QueueRef};
use parking_lot::RwLock;
use std::{collections::HashMap, fmt};

/// One slot of a queue, as a call addresses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot<'a> {
    pub(crate) queue: &'a QueueRef,
    /// From 0.
    pub(crate) number: u16,
    /// With how many slots the call counts; 0 for however many there are.
    pub(crate) of: u16,
}

impl<'a> Slot<'a> {
    /// The first slot, for a call that does not depend on how many there are.
    pub(crate) fn first(queue: &'a QueueRef) -> Self {
        Self { queue, number: 0, of: 0 }
    }

    /// All slots of a queue that has so many.
    pub(crate) fn all(queue: &'a QueueRef, of: u16) -> impl ExactSizeIterator<Item = Self> + Clone {
        (0..of).map(move |number| Self { queue, number, of })
    }
}

/// The slot's hash tag. A queue that is not split has today's and every day's.
impl fmt::Display for Slot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => write!(f, "{}", self.queue),
            number => write!(f, "{}:{number}", self.queue),
        }
    }
}

/// Which slot a job's ticket is in. Stable: every process and every version has to say the same.
pub(crate) fn slot_of(job: JobId, slots: u16) -> u16 {
    // The lower half of an id is random, or a count; multiplied by the golden ratio, either is spread over the upper bits.
    let low = job.0.as_u64_pair().1;
    let spread = low.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    u16::try_from(spread % u64::from(slots.max(1))).unwrap_or_default()
}

/// How many slots queues have, by what this process has heard.
#[derive(Default)]
pub(crate) struct Slots(RwLock<HashMap<QueueRef, u16>>);

impl Slots {
    /// Of a queue that was never heard of: one.
    pub(crate) fn of(&self, queue: &QueueRef) -> u16 {
        let known = self.0.read();
        if known.is_empty() { 1 } else { known.get(queue).copied().unwrap_or(1) }
    }

    /// A slot, or who rebuilt the queue, has told.
    pub(crate) fn learn(&self, queue: &QueueRef, slots: u16) {
        if self.of(queue) == slots {
            return;
        }
        let mut known = self.0.write();
        if slots > 1 {
            known.insert(queue.clone(), slots);
        } else {
            known.remove(queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn jobs_are_spread_evenly_and_for_ever_in_the_same_way() {
        for slots in [1, 2, 3, 4, 16, 64] {
            let mut counts = vec![0_u32; usize::from(slots)];
            for n in 0..64_000_u128 {
                counts[usize::from(slot_of(JobId(Uuid::from_u128((0x7 << 76) | (0x2 << 62) | n)), slots))] += 1;
            }
            let even = 64_000 / u32::from(slots);
            assert!(counts.iter().all(|&count| count > even * 9 / 10 && count < even * 11 / 10), "{slots}: {counts:?}");
        }
        let job = JobId(Uuid::from_u128(0x0199_0000_0000_7abc_8def_0123_4567_89ab));
        assert_eq!([1, 2, 4, 5, 64].map(|slots| slot_of(job, slots)), [0, 1, 3, 2, 15]);
    }

    #[test]
    fn what_was_heard_is_known_until_something_else_is_heard() {
        let (slots, queue) = (Slots::default(), QueueRef::default());
        for heard in [1, 4, 2, 1] {
            slots.learn(&queue, heard);
            assert_eq!(slots.of(&queue), heard);
        }
    }
}
