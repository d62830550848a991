//! A first-in-first-out line of job ids that costs 16 bytes an id, however long it is.
//!
//! In chunks, because one ring buffer would copy millions of ids under the queue's lock whenever it grows, and would
//! keep its largest size for ever. Chunks come and go as the line does.

use haul_core::JobId;
use std::collections::VecDeque;

/// Ids in a full chunk: 8 KiB.
const CHUNK_IDS: usize = 512;

/// A line of ids.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    /// None is empty.
    chunks: VecDeque<VecDeque<JobId>>,
}

impl Fifo {
    pub(super) fn head(&self) -> Option<JobId> {
        self.chunks.front()?.front().copied()
    }

    pub(super) fn push_back(&mut self, id: JobId) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_IDS => chunk.push_back(id),
            _ => self.chunks.push_back(VecDeque::from([id])),
        }
    }

    pub(super) fn push_front(&mut self, id: JobId) {
        match self.chunks.front_mut() {
            Some(chunk) if chunk.len() < CHUNK_IDS => chunk.push_front(id),
            _ => self.chunks.push_front(VecDeque::from([id])),
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<JobId> {
        let chunk = self.chunks.front_mut()?;
        let id = chunk.pop_front()?;
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_line_keeps_its_order_over_many_chunks() {
        let id = |n: u128| JobId(Uuid::from_u128(n));
        let mut line = Fifo::default();
        for n in 2_000..5_000 {
            line.push_back(id(n));
        }
        for n in (0..2_000).rev() {
            line.push_front(id(n));
        }
        for n in 0..5_000 {
            assert_eq!(line.head(), Some(id(n)));
            assert_eq!(line.pop_front(), Some(id(n)));
        }
        assert!(line.pop_front().is_none() && line.chunks.is_empty());
    }
}
