//! How tickets, leases and ids are laid out as arguments: grouped by kind, because everything in Redis is.

use crate::{
    script::{Call, Script},
    slots::Slot,
};
use haul_core::{
    JobId, Kind, Priority, Timestamp,
    dispatch::{Lease, Next, Settlement, Ticket},
};
use redis::Value;
use std::collections::HashMap;

/// The most that one call carries: a script runs alone in its server, for a millisecond or so.
pub(crate) const CALL_TICKETS_MAX: usize = 1_000;

/// The latest due time that a score holds exactly: `due_ms * 10 + priority` stays below 2^53. In the year 30,000.
const DUE_MS_MAX: i64 = 900_000_000_000_000;

/// Entries by kind, kinds and entries both in the order in which they came.
struct ByKind<'a, T> {
    kinds: Vec<&'a Kind>,
    groups: Vec<Vec<T>>,
    /// Where each entry went: the number of its kind.
    places: Vec<usize>,
}

impl<'a, T> ByKind<'a, T> {
    fn new(entries: impl IntoIterator<Item = (&'a Kind, T)>) -> Self {
        let mut by_kind = Self { kinds: Vec::new(), groups: Vec::new(), places: Vec::new() };
        let mut numbers = HashMap::new();
        for (kind, entry) in entries {
            let number = *numbers.entry(kind).or_insert_with(|| {
                by_kind.kinds.push(kind);
                by_kind.groups.push(Vec::new());
                by_kind.kinds.len() - 1
            });
            by_kind.groups[number].push(entry);
            by_kind.places.push(number);
        }
        by_kind
    }

    fn call(&self, script: &'static Script, slot: Slot<'_>) -> Call {
        Call::new(script, slot, self.kinds.iter().copied())
    }

    /// Each group with its kind's number as Lua counts, from 1.
    fn numbered(&self) -> impl Iterator<Item = (usize, &[T])> {
        self.groups.iter().enumerate().map(|(number, group)| (number + 1, group.as_slice()))
    }

    /// A call, whose answer is `yes` where there is one for each entry, or one for all.
    fn asked(self, call: Call, yes: &'static str) -> Asked {
        let counts = self.groups.iter().map(Vec::len).collect();
        Asked { call, yes, order: Order { places: self.places, counts } }
    }
}

/// In which order the entries of a call stood before they were grouped.
pub(crate) struct Order {
    /// The number of each one's kind.
    places: Vec<usize>,
    /// How many there are of each kind.
    counts: Vec<usize>,
}

impl Order {
    /// Answers that came kind by kind, in the order of the entries. `None` when there are not as many.
    fn restore<A: Copy>(&self, answers: &[A]) -> Option<Vec<A>> {
        let mut starts: Vec<usize> = Vec::with_capacity(self.counts.len());
        let mut total = 0;
        for count in &self.counts {
            starts.push(total);
            total += count;
        }
        let next = |number: &usize| {
            let answer = answers.get(starts[*number]).copied();
            starts[*number] += 1;
            answer
        };
        if answers.len() == total { self.places.iter().map(next).collect() } else { None }
    }
}

/// A call about entries.
pub(crate) struct Asked {
    pub(crate) call: Call,
    pub(crate) yes: &'static str,
    pub(crate) order: Order,
}

impl Order {
    /// Whether each entry was answered with `yes`: there is an answer for each, kind by kind, or one for all. `None` when
    /// that cannot be read.
    pub(crate) fn read(&self, reply: &Value, yes: &str) -> Option<Vec<bool>> {
        let is_yes = |word: &Value| match word {
            Value::BulkString(word) => Some(word == yes.as_bytes()),
            _ => None,
        };
        match reply {
            Value::Array(words) => self.restore(&words.iter().map(is_yes).collect::<Option<Vec<_>>>()?),
            word => Some(vec![is_yes(word)?; self.places.len()]),
        }
    }
}

/// A call that adds tickets; `head` are the arguments before them.
pub(crate) fn adding(script: &'static Script, slot: Slot<'_>, head: &[&[u8]], tickets: &[&Ticket]) -> Asked {
    let by_kind = ByKind::new(tickets.iter().map(|ticket| (&ticket.kind, *ticket)));
    let mut call = by_kind.call(script, slot);
    for arg in head {
        call.bytes(arg);
    }
    for (kind, tickets) in by_kind.numbered() {
        if tickets.iter().any(|ticket| ticket.due.is_some()) {
            // Together, because some of them may be due, and their order is then the one given.
            call.arg(kind).arg("due").arg(tickets.len());
            for ticket in tickets {
                let due_ms = ticket.due.map_or(0, due_ms);
                call.arg(due_ms * 10 + i64::from(ticket.priority.get())).bytes(ticket.id.as_bytes());
            }
            continue;
        }
        let mut ready: [Vec<&Ticket>; Priority::COUNT] = Default::default();
        for ticket in tickets {
            ready[usize::from(ticket.priority.get())].push(ticket);
        }
        for (priority, tickets) in ready.iter().enumerate().filter(|(_, tickets)| !tickets.is_empty()) {
            call.arg(kind).arg(priority).arg(tickets.len());
            for ticket in tickets {
                call.bytes(ticket.id.as_bytes());
            }
        }
    }
    by_kind.asked(call, "ok")
}

/// A call about jobs; `script` answers for each of them, or for all.
pub(crate) fn asking(script: &'static Script, slot: Slot<'_>, tickets: &[&(Kind, JobId)], yes: &'static str) -> Asked {
    let by_kind = ByKind::new(tickets.iter().map(|(kind, id)| (kind, id)));
    let mut call = by_kind.call(script, slot);
    for (kind, ids) in by_kind.numbered() {
        call.arg(kind).arg(ids.len());
        for id in ids {
            call.bytes(id.as_bytes());
        }
    }
    by_kind.asked(call, yes)
}

/// A call that makes leases last.
pub(crate) fn extending(script: &'static Script, slot: Slot<'_>, lease_ms: u64, leases: &[&Lease]) -> Asked {
    let by_kind = ByKind::new(leases.iter().map(|lease| (&lease.kind, *lease)));
    let mut call = by_kind.call(script, slot);
    call.arg(lease_ms);
    for (kind, leases) in by_kind.numbered() {
        call.arg(kind).arg(leases.len());
        for lease in leases {
            call.bytes(lease.id.as_bytes());
        }
        for lease in leases {
            let mut value = [0; 17];
            value[..16].copy_from_slice(lease.token.0.as_bytes());
            value[16] = b'0' + lease.priority.get();
            call.bytes(&value);
        }
    }
    by_kind.asked(call, "held")
}

/// A call that ends leases.
pub(crate) fn settling(script: &'static Script, slot: Slot<'_>, settlements: &[&Settlement]) -> Asked {
    let by_kind = ByKind::new(settlements.iter().map(|settlement| (&settlement.lease.kind, *settlement)));
    let mut call = by_kind.call(script, slot);
    for (kind, settlements) in by_kind.numbered() {
        for word in ["done", "release", "park"] {
            let group: Vec<_> = settlements.iter().filter(|settlement| word_of(settlement.next) == word).collect();
            if group.is_empty() {
                continue;
            }
            call.arg(kind).arg(group.len());
            for settlement in &group {
                call.bytes(settlement.lease.id.as_bytes());
            }
            for settlement in &group {
                call.bytes(settlement.lease.token.0.as_bytes());
            }
            call.arg(word);
            for settlement in &group {
                if let Next::Park(due) = settlement.next {
                    call.arg(due_ms(due));
                }
            }
        }
    }
    by_kind.asked(call, "ok")
}

fn word_of(next: Next) -> &'static str {
    match next {
        Next::Done => "done",
        Next::Release => "release",
        Next::Park(_) => "park",
    }
}

fn due_ms(time: Timestamp) -> i64 {
    time.as_ms().clamp(0, DUE_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_in_the_order_asked() {
        let (a, b) = (Kind::new("a").unwrap(), Kind::new("b").unwrap());
        let by_kind = ByKind::new([(&a, ()), (&b, ()), (&a, ()), (&b, ())]);
        let order = by_kind.asked(Call::new(&crate::script::LEASED, Slot::first(&Default::default()), []), "yes").order;
        let words = |words: &[&str]| Value::Array(words.iter().map(|word| Value::BulkString((*word).into())).collect());
        assert_eq!(order.read(&words(&["yes", "yes", "no", "no"]), "yes"), Some(vec![true, false, true, false]));
        assert_eq!(order.read(&words(&["yes", "yes", "no"]), "yes"), None);
        assert_eq!(order.read(&Value::BulkString("yes".into()), "yes"), Some(vec![true; 4]));
    }
}
