//! Caps on labels: whoever names queues and kinds, clients among them, cannot flood the metrics.
//!
//! The first names that are seen get series of their own; all further ones share the series `other`, so that sums stay
//! right. What was given to a name stays for the life of the process. A pair of queue and kind takes one of
//! [`ROUTES_MAX`] places, because the product of two caps would be no bound worth the name.

use parking_lot::RwLock;
use std::{collections::HashSet, sync::LazyLock};

/// Queues with series of their own.
pub const QUEUES_MAX: usize = 1_000;
/// Kinds with series of their own.
pub const KINDS_MAX: usize = 500;
/// Routes of HTTP with series of their own: more than there are.
pub const ROUTES_MAX: usize = 200;
/// Pairs of queue and kind with series of their own.
pub const PAIRS_MAX: usize = 2_000;
/// The name that all others share.
pub const OTHER: &str = "other";

static QUEUES: LazyLock<Cap> = LazyLock::new(|| Cap::new(QUEUES_MAX));
static KINDS: LazyLock<Cap> = LazyLock::new(|| Cap::new(KINDS_MAX));
static PAIRS: LazyLock<Cap> = LazyLock::new(|| Cap::new(PAIRS_MAX));

/// The value of a label `queue`, in this process.
pub fn queue_label(queue: &str) -> &str {
    if QUEUES.admit(queue) { queue } else { OTHER }
}

/// The value of a label `kind` without a queue, in this process.
pub fn kind_label(kind: &str) -> &str {
    if KINDS.admit(kind) { kind } else { OTHER }
}

/// The values of the labels `queue` and `kind` where both are given, in this process.
pub fn pair_labels<'a>(queue: &'a str, kind: &'a str) -> (&'a str, &'a str) {
    // A space is in no name.
    let is_admitted = QUEUES.admit(queue) && KINDS.admit(kind) && PAIRS.admit(&format!("{queue} {kind}"));
    if is_admitted { (queue, kind) } else { (OTHER, OTHER) }
}

/// So many names, first come, first served.
#[derive(Debug)]
struct Cap {
    names_max: usize,
    names: RwLock<HashSet<Box<str>>>,
}

impl Cap {
    fn new(names_max: usize) -> Self {
        Self { names_max, names: RwLock::default() }
    }

    /// Whether the name is, or becomes, one of those with series of their own.
    fn admit(&self, name: &str) -> bool {
        let names = self.names.read();
        let (is_known, is_full) = (names.contains(name), names.len() >= self.names_max);
        drop(names);
        if is_known || is_full {
            return is_known;
        }
        let mut names = self.names.write();
        // Another one may have been faster.
        names.contains(name) || names.len() < self.names_max && names.insert(name.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_cap_names_are_other_and_those_that_came_first_stay() {
        let cap = Cap::new(3);
        let admitted: Vec<bool> = ["a", "b", "a", "c", "d", "a", "d", "c"].iter().map(|name| cap.admit(name)).collect();
        assert_eq!(admitted, [true, true, true, true, false, true, false, true]);
    }

    #[test]
    fn two_at_once_do_not_pass_the_cap() {
        let cap = Cap::new(100);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let cap = &cap;
                scope.spawn(move || (0..100).filter(|n| cap.admit(&format!("{thread}.{n}"))).count());
            }
        });
        assert_eq!(cap.names.read().len(), 100);
    }

    #[test]
    fn queues_and_pairs_are_capped_for_the_whole_process() {
        for n in 0..QUEUES_MAX + 10 {
            let name = format!("queue-{n}");
            assert_eq!(queue_label(&name), if n < QUEUES_MAX { &name } else { OTHER });
        }
        assert_eq!(pair_labels("queue-0", "kind"), ("queue-0", "kind"));
        assert_eq!(pair_labels("queue-too-many", "kind"), (OTHER, OTHER));
        let pairs = (0..QUEUES_MAX).flat_map(|n| ["kind", "another", "third"].map(|kind| (format!("queue-{n}"), kind)));
        let own = pairs.filter(|(queue, kind)| pair_labels(queue, kind).0 != OTHER).count();
        assert_eq!(own, PAIRS_MAX);
    }
}
