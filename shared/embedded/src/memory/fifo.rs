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
    chunks: VecDeque<Chunk>,
}

#[derive(Debug)]
struct Chunk {
    ids: VecDeque<JobId>,
    /// The lowest id; `None` when it was taken out and nobody has looked for the next.
    oldest: Option<JobId>,
}

impl Chunk {
    fn of(id: JobId) -> Self {
        Self { ids: VecDeque::from([id]), oldest: Some(id) }
    }

    fn has_room(&self) -> bool {
        self.ids.len() < CHUNK_IDS
    }

    fn added(&mut self, id: JobId) {
        self.oldest = self.oldest.map(|oldest| oldest.min(id));
    }
}

impl Fifo {
    pub(super) fn head(&self) -> Option<JobId> {
        self.chunks.front()?.ids.front().copied()
    }

    /// The lowest id, wherever it stands. Reads one entry per chunk.
    pub(super) fn oldest(&self) -> Option<JobId> {
        self.chunks.iter().filter_map(|chunk| chunk.oldest.or_else(|| chunk.ids.iter().min().copied())).min()
    }

    /// Up to `count` ids towards the head, but for the `read` last ones. Goes over the chunks, not over the ids, to begin.
    pub(super) fn before_last(&self, read: usize, count: usize) -> Vec<JobId> {
        let (mut ids, mut left) = (Vec::new(), read);
        for chunk in self.chunks.iter().rev() {
            if left >= chunk.ids.len() {
                left -= chunk.ids.len();
                continue;
            }
            ids.extend(chunk.ids.iter().rev().skip(left).take(count - ids.len()));
            left = 0;
            if ids.len() == count {
                break;
            }
        }
        ids
    }

    pub(super) fn push_back(&mut self, id: JobId) {
        match self.chunks.back_mut().filter(|chunk| chunk.has_room()) {
            Some(chunk) => {
                chunk.ids.push_back(id);
                chunk.added(id);
            }
            None => self.chunks.push_back(Chunk::of(id)),
        }
    }

    pub(super) fn push_front(&mut self, id: JobId) {
        match self.chunks.front_mut().filter(|chunk| chunk.has_room()) {
            Some(chunk) => {
                chunk.ids.push_front(id);
                chunk.added(id);
            }
            None => self.chunks.push_front(Chunk::of(id)),
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<JobId> {
        let chunk = self.chunks.front_mut()?;
        let id = chunk.ids.pop_front()?;
        chunk.oldest = chunk.oldest.filter(|oldest| *oldest != id);
        if chunk.ids.is_empty() {
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
            if n % 100 == 0 {
                assert_eq!(line.oldest(), (n < 4_999).then(|| id(n + 1)));
            }
        }
        assert!(line.pop_front().is_none() && line.chunks.is_empty());
    }

    #[test]
    fn the_line_is_read_from_its_tail() {
        let id = |n: usize| JobId(Uuid::from_u128(n as u128));
        let mut line = Fifo::default();
        (0..2_000).for_each(|n| line.push_back(id(n)));
        for (read, count) in [(0, 1), (0, 3_000), (511, 2), (1_000, 700), (1_999, 5), (2_000, 5), (9_000, 5), (3, 0)] {
            let expected: Vec<_> = (0..2_000).rev().skip(read).take(count).map(id).collect();
            assert_eq!(line.before_last(read, count), expected);
        }
    }

    #[test]
    fn the_oldest_is_found_wherever_it_stands() {
        let id = |n: u128| JobId(Uuid::from_u128(n));
        let mut line = Fifo::default();
        // Multiplied by a unit modulo 2,003, a prime: each number once, in no order.
        let ids: Vec<_> = (1..2_003).map(|n| id(n * 1_234 % 2_003)).collect();
        ids.iter().for_each(|id| line.push_back(*id));
        for at in 0..ids.len() {
            assert_eq!(line.oldest(), ids[at..].iter().min().copied());
            assert_eq!(line.pop_front(), Some(ids[at]));
        }
        assert_eq!(line.oldest(), None);
    }
}
