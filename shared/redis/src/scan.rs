//! Scans: where one goes on, and how a page is read.

use crate::{
    script::{self, Call},
    slots::Slot,
};
use haul_core::{
    JobId, Kind,
    dispatch::{Place, ScanCursor, ScanPage, Seen},
};
use redis::Value;
use std::time::Duration;
use uuid::Uuid;

/// Entries that one call reads at most.
const ENTRIES_MAX: usize = 2_000;
/// Kinds that one call looks at, most of which may have nothing.
const KINDS_MAX: usize = 50;

/// Where a scan of a queue is: slot by slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) slot: u16,
    /// How many slots the queue had when the scan began.
    pub(crate) of: u16,
    pub(crate) position: Position,
}

impl Cursor {
    /// `None` when the cursor is not one of ours.
    pub(crate) fn read(ScanCursor(cursor): &ScanCursor) -> Option<Self> {
        let (slots, position) = cursor.split_once(' ')?;
        let (slot, of) = slots.split_once('/')?;
        let (slot, of) = (slot.parse().ok()?, of.parse().ok()?);
        (slot < of).then_some(Self { slot, of, position: Position::read(position)? })
    }

    fn write(&self) -> ScanCursor {
        ScanCursor(format!("{}/{} {}", self.slot, self.of, self.position.words()))
    }

    /// A page of this slot, and where the next one is: in this slot, or in the one after it.
    pub(crate) fn page(&self, tickets: Vec<Seen>, position: Option<Position>) -> ScanPage {
        let next = match position {
            Some(position) => Some(Self { position, ..*self }),
            None => {
                let next = Self { slot: self.slot + 1, of: self.of, position: Position::begin() };
                (next.slot < next.of).then_some(next)
            }
        };
        ScanPage { tickets, next: next.map(|next| next.write()) }
    }
}

/// Where a scan of a slot is: see `lua/scan.lua`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// From 0, among the kinds that the scan names.
    kind: usize,
    section: u8,
    position: String,
    last: Option<Uuid>,
}

impl Position {
    /// Where a scan of a slot begins.
    pub(crate) fn begin() -> Self {
        Self { kind: 0, section: 1, position: "0".into(), last: None }
    }

    /// `None` when that is not one of ours.
    fn read(cursor: &str) -> Option<Self> {
        let mut words = cursor.split(' ');
        let (kind, section) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let position = words.next()?.to_owned();
        let last = words.next().map(Uuid::try_parse).transpose().ok()?;
        Some(Self { kind, section, position, last })
    }

    fn words(&self) -> String {
        let Self { kind, section, position, last } = self;
        let last = last.map(|last| format!(" {}", last.simple())).unwrap_or_default();
        format!("{kind} {section} {position}{last}")
    }

    /// The kinds of which this page may tell.
    pub(crate) fn kinds<'a>(&self, kinds: &'a [Kind]) -> &'a [Kind] {
        let rest = kinds.get(self.kind..).unwrap_or_default();
        &rest[..rest.len().min(KINDS_MAX)]
    }

    pub(crate) fn call(&self, slot: Slot<'_>, kinds: &[Kind], limit: usize) -> Call {
        let mut call = Call::new(&script::SCAN, slot, self.kinds(kinds));
        call.arg(limit.clamp(1, ENTRIES_MAX)).arg(1).arg(self.section).arg(&self.position);
        call.bytes(self.last.as_ref().map_or(&[], |last| last.as_bytes().as_slice()));
        call
    }

    /// The reply of `scan.lua` to [`Position::call`]. `None`: not what the script promises.
    pub(crate) fn page(&self, kinds: &[Kind], reply: &[Value]) -> Option<(Vec<Seen>, Option<Self>)> {
        let [kind, section, position, last, runs @ ..] = reply else { return None };
        let next = Self {
            kind: self.kind + number(kind)?.checked_sub(1)?,
            section: u8::try_from(number(section)?).ok()?,
            position: text(position)?,
            last: match bytes(last)? {
                [] => None,
                last => Some(Uuid::from_slice(last).ok()?),
            },
        };
        let mut tickets = Vec::new();
        let (named, mut runs) = (self.kinds(kinds), runs.iter());
        while let Some(kind) = runs.next() {
            let kind = named.get(number(kind)?.checked_sub(1)?)?;
            let (place, ids) = (bytes(runs.next()?)?, bytes(runs.next()?)?);
            let mut ages = match place {
                b"expired" => ages(runs.next()?)?,
                _ => Vec::new(),
            }
            .into_iter();
            for id in ids.chunks(16) {
                let place = match place {
                    b"delayed" => Place::Delayed,
                    b"ready" => Place::Ready,
                    b"leased" => Place::Leased { expired_for: None },
                    b"expired" => Place::Leased { expired_for: Some(ages.next()?) },
                    _ => return None,
                };
                tickets.push(Seen { id: JobId(Uuid::from_slice(id).ok()?), kind: kind.clone(), place });
            }
        }
        let next = (next.kind < kinds.len()).then_some(next);
        Some((tickets, next))
    }
}

fn ages(list: &Value) -> Option<Vec<Duration>> {
    let Value::Array(list) = list else { return None };
    list.iter().map(|ms| Some(Duration::from_millis(number(ms)? as u64))).collect()
}

fn number(value: &Value) -> Option<usize> {
    match value {
        Value::Int(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}

/// A score comes as text, a count as a number.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Int(number) => Some(number.to_string()),
        _ => Some(std::str::from_utf8(bytes(value)?).ok()?.to_owned()),
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let positions = [
            Position { kind: 3, section: 5, position: "1200".into(), last: None },
            Position { kind: 0, section: 1, position: "17000000000005".into(), last: Some(Uuid::from_u128(7)) },
        ];
        for position in positions {
            let cursor = Cursor { slot: 2, of: 4, position };
            assert_eq!(Cursor::read(&cursor.write()), Some(cursor));
        }
        for other in ["else", "0/0 1 1 0", "1/1 1 1 0", "1 1 0"] {
            assert_eq!(Cursor::read(&ScanCursor(other.into())), None);
        }
    }
}
