//! Entries found by job id and by time: what is delayed, and what is leased.
//!
//! A four-ary heap of (time, slot) over a dense table of entries, with a hash table from id to slot. An entry of a
//! delayed ticket costs some 50 bytes, half of what an ordered map beside a hash map takes, and every entry can be taken
//! out or moved in O(log n).

use super::scan::Part;
use hashbrown::{DefaultHashBuilder, HashTable};
use haul_core::{JobId, dispatch::Place};
use std::hash::BuildHasher;

/// Children per heap node: half the levels of a binary heap, and they share a cache line.
const ARITY: usize = 4;

/// From so many entries on the hash table is split: growing one of millions would hold the queue's lock for a second.
const SPLIT_AT: usize = 1 << 15;
/// Into how many.
const SHARDS: usize = 256;

/// Entries by id and by time; equal times are in order of id.
#[derive(Debug)]
pub(super) struct Timed<T, V> {
    /// The heap: no node is earlier than its parent, `(i - 1) / ARITY`.
    heap: Vec<Node<T>>,
    /// Dense; the order means nothing.
    entries: Vec<Entry<V>>,
    /// From the hash of an id to its slot in `entries`; one table, or many once there is much in them.
    slots: Vec<HashTable<u32>>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug, Clone, Copy)]
struct Node<T> {
    at: T,
    slot: u32,
}

#[derive(Debug)]
struct Entry<V> {
    id: JobId,
    /// Where the entry's node is in the heap.
    place: u32,
    value: V,
}

impl<T, V> Default for Timed<T, V> {
    fn default() -> Self {
        Self {
            heap: Vec::new(),
            entries: Vec::new(),
            slots: vec![HashTable::new()],
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl<T: Ord + Copy, V> Timed<T, V> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn contains(&self, id: JobId) -> bool {
        !self.entries.is_empty() && self.slot_of(id).is_some()
    }

    pub(super) fn get(&self, id: JobId) -> Option<(T, &V)> {
        let entry = &self.entries[self.slot_of(id)?];
        Some((self.heap[entry.place as usize].at, &entry.value))
    }

    /// The earliest time.
    pub(super) fn first(&self) -> Option<T> {
        self.heap.first().map(|node| node.at)
    }

    /// All ids, in no order.
    pub(super) fn ids(&self) -> impl Iterator<Item = (JobId, T)> {
        self.entries.iter().map(|entry| (entry.id, self.heap[entry.place as usize].at))
    }

    /// Up to `count` entries, the last one first, below what a part before told. An entry that is taken out is replaced by
    /// the last one: whoever reads on downwards misses none that stays.
    pub(super) fn part(&self, at: Option<usize>, count: usize, tell: impl Fn((JobId, T)) -> (JobId, Place)) -> Part {
        let end = at.unwrap_or(usize::MAX).min(self.entries.len());
        let begin = end.saturating_sub(count);
        let entries = self.entries[begin..end].iter().rev();
        let tickets = entries.map(|entry| tell((entry.id, self.heap[entry.place as usize].at))).collect();
        Part { tickets, next: Some(begin).filter(|begin| *begin > 0) }
    }

    /// Puts an entry in, or replaces the one of the same id.
    pub(super) fn insert(&mut self, id: JobId, at: T, value: V) {
        if let Some(slot) = self.slot_of(id) {
            self.entries[slot].value = value;
            self.move_to(slot, at);
            return;
        }
        let slot = self.entries.len();
        let place = self.heap.len();
        self.entries.push(Entry { id, place: index(place), value });
        self.heap.push(Node { at, slot: index(slot) });
        if self.slots.len() == 1 && self.entries.len() > SPLIT_AT {
            self.slots = vec![HashTable::new(); SHARDS];
            (0..slot).for_each(|slot| self.index(slot));
        }
        self.index(slot);
        self.sift_up(place);
    }

    /// Changes an entry's time. `false` when there is none.
    pub(super) fn postpone(&mut self, id: JobId, at: T) -> bool {
        let Some(slot) = self.slot_of(id) else { return false };
        self.move_to(slot, at);
        true
    }

    /// Takes the entry of an id out.
    pub(super) fn remove(&mut self, id: JobId) -> Option<V> {
        let slot = self.slot_of(id)?;
        Some(self.take(slot).1)
    }

    /// Takes the earliest entry out, unless it is later than `until`.
    pub(super) fn pop_until(&mut self, until: T) -> Option<(JobId, V)> {
        let node = *self.heap.first()?;
        (node.at <= until).then(|| self.take(node.slot as usize))
    }

    /// Makes the entry of a slot known by its id.
    fn index(&mut self, slot: usize) {
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash = |slot: &u32| hasher.hash_one(entries[*slot as usize].id);
        let hashed = hash(&index(slot));
        let shard = shard(hashed, self.slots.len());
        self.slots[shard].insert_unique(hashed, index(slot), hash);
    }

    fn slot_of(&self, id: JobId) -> Option<usize> {
        let hash = self.hasher.hash_one(id);
        let shard = &self.slots[shard(hash, self.slots.len())];
        Some(*shard.find(hash, |slot| self.entries[*slot as usize].id == id)? as usize)
    }

    /// The table that an id belongs into, and its hash.
    fn table(&mut self, id: JobId) -> (&mut HashTable<u32>, u64) {
        let hash = self.hasher.hash_one(id);
        let shard = shard(hash, self.slots.len());
        (&mut self.slots[shard], hash)
    }

    fn move_to(&mut self, slot: usize, at: T) {
        let place = self.entries[slot].place as usize;
        self.heap[place].at = at;
        let place = self.sift_up(place);
        self.sift_down(place);
    }

    fn take(&mut self, slot: usize) -> (JobId, V) {
        let place = self.entries[slot].place as usize;
        self.heap.swap_remove(place);
        if let Some(node) = self.heap.get(place) {
            self.entries[node.slot as usize].place = index(place);
            let place = self.sift_up(place);
            self.sift_down(place);
        }
        let (id, last) = (self.entries[slot].id, self.entries.len() - 1);
        let (table, hash) = self.table(id);
        if let Ok(found) = table.find_entry(hash, |other| *other as usize == slot) {
            found.remove();
        }
        if slot != last {
            // The last entry moves into the gap: its node and its hash slot follow.
            let Entry { id, place, .. } = self.entries[last];
            self.heap[place as usize].slot = index(slot);
            let (table, hash) = self.table(id);
            if let Some(found) = table.find_mut(hash, |other| *other as usize == last) {
                *found = index(slot);
            }
        }
        let entry = self.entries.swap_remove(slot);
        if self.entries.is_empty() && self.entries.capacity() > SPLIT_AT {
            // A burst of millions does not keep its memory once it is over.
            *self = Self::default();
        }
        (entry.id, entry.value)
    }

    fn is_before(&self, a: Node<T>, b: Node<T>) -> bool {
        a.at.cmp(&b.at).then_with(|| self.entries[a.slot as usize].id.cmp(&self.entries[b.slot as usize].id)).is_lt()
    }

    fn put(&mut self, place: usize, node: Node<T>) {
        self.heap[place] = node;
        self.entries[node.slot as usize].place = index(place);
    }

    fn sift_up(&mut self, mut place: usize) -> usize {
        let node = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if !self.is_before(node, self.heap[parent]) {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, node);
        place
    }

    fn sift_down(&mut self, mut place: usize) {
        let node = self.heap[place];
        loop {
            let children = place * ARITY + 1..(place * ARITY + 1 + ARITY).min(self.heap.len());
            let Some(first) = children.reduce(|a, b| if self.is_before(self.heap[b], self.heap[a]) { b } else { a })
            else {
                break;
            };
            if !self.is_before(self.heap[first], node) {
                break;
            }
            self.put(place, self.heap[first]);
            place = first;
        }
        self.put(place, node);
    }
}

/// The middle bits: a table uses the highest and the lowest itself.
fn shard(hash: u64, shards: usize) -> usize {
    (hash >> 32) as usize & (shards - 1)
}

/// Four thousand million entries would be 200 GB: memory ends long before the index does.
fn index(at: usize) -> u32 {
    debug_assert!(u32::try_from(at).is_ok());
    at as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    /// A small generator, so that a failure replays.
    struct Dice(u64);
    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % sides
        }
    }

    #[test]
    fn it_agrees_with_an_ordered_map_whatever_is_done_to_it() {
        for seed in 0..200 {
            let mut dice = Dice(seed);
            let mut timed = Timed::<u64, u64>::default();
            let mut model = BTreeMap::<JobId, (u64, u64)>::new();
            for _ in 0..300 {
                let id = JobId(Uuid::from_u128(u128::from(dice.roll(40))));
                let (at, value) = (dice.roll(30), dice.roll(1_000));
                match dice.roll(5) {
                    0 | 1 => {
                        timed.insert(id, at, value);
                        model.insert(id, (at, value));
                    }
                    2 => assert_eq!(timed.remove(id), model.remove(&id).map(|(_, value)| value)),
                    3 => {
                        let known = model.get_mut(&id).map(|entry| entry.0 = at).is_some();
                        assert_eq!(timed.postpone(id, at), known);
                    }
                    _ => {
                        let earliest =
                            model.iter().map(|(id, (at, _))| (*at, *id)).min().filter(|(first, _)| *first <= at);
                        let expected = earliest.and_then(|(_, id)| Some((id, model.remove(&id)?.1)));
                        assert_eq!(timed.pop_until(at), expected);
                    }
                }
                assert_eq!(timed.len(), model.len());
                assert_eq!(timed.first(), model.values().map(|(at, _)| *at).min());
                assert_eq!(timed.get(id).map(|(at, value)| (at, *value)), model.get(&id).copied());
            }
        }
    }

    #[test]
    fn nothing_is_lost_when_the_table_is_split() {
        let count = SPLIT_AT as u64 * 2;
        let id = |n: u64| JobId(Uuid::from_u128(u128::from(n)));
        let mut timed = Timed::<u64, ()>::default();
        (0..count).for_each(|n| timed.insert(id(n), count - n, ()));
        assert!((0..count).step_by(2).all(|n| timed.remove(id(n)).is_some()));
        for n in (0..count).rev().filter(|n| n % 2 == 1) {
            assert_eq!(timed.pop_until(count), Some((id(n), ())));
        }
        assert_eq!(timed.len(), 0);
    }
}
