//! Scans: every ticket of a queue, page by page, while the others go on.
//!
//! A line is read from its tail to its head: what is taken at the head moves nothing, what comes in at the tail is read
//! a second time. A table is read from its last entry down: the last one is what fills a gap.

use super::{
    line::{Line, Now},
    queue::Queue,
};
use haul_core::{
    JobId, Kind,
    dispatch::{Place, ScanCursor, ScanPage, Seen},
};

/// Tickets that one page holds at most.
const TICKETS_MAX: usize = 2_000;
/// Sections that one page looks at, most of which may be empty.
const SECTIONS_MAX: usize = 2_000;

/// A part of a section of a line.
pub(super) struct Part {
    pub(super) tickets: Vec<(JobId, Place)>,
    /// Where the section goes on; `None` at its end.
    pub(super) next: Option<usize>,
}

/// Where a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Position {
    /// Among the kinds that the scan names.
    kind: usize,
    /// Of [`Line::section`].
    section: usize,
    /// In the section; `None` at its begin.
    at: Option<usize>,
}

impl Position {
    /// `None` when the cursor is not one of ours.
    pub(super) fn read(cursor: Option<&ScanCursor>) -> Option<Self> {
        let Some(ScanCursor(cursor)) = cursor else { return Some(Self::default()) };
        let mut numbers = cursor.split(' ').map(|word| word.parse().ok());
        Some(Self { kind: numbers.next()??, section: numbers.next()??, at: numbers.next().flatten() })
    }

    fn cursor(self) -> ScanCursor {
        let Self { kind, section, at } = self;
        ScanCursor(at.map_or(format!("{kind} {section}"), |at| format!("{kind} {section} {at}")))
    }

    fn next_section(self) -> Self {
        let section = (self.section + 1) % Line::SECTIONS;
        Self { kind: self.kind + usize::from(section == 0), section, at: None }
    }
}

/// A page of the queue's tickets of these kinds.
pub(super) fn page(queue: &Queue, kinds: &[Kind], from: Position, limit: usize, now: Now) -> ScanPage {
    let limit = limit.clamp(1, TICKETS_MAX);
    let (mut page, mut at) = (ScanPage::default(), from);
    for _ in 0..SECTIONS_MAX {
        let Some(kind) = kinds.get(at.kind) else { return page };
        let Some(line) = queue.line(kind) else {
            at = Position { kind: at.kind + 1, ..Position::default() };
            continue;
        };
        let part = line.section(at.section, at.at, limit - page.tickets.len(), now);
        page.tickets.extend(part.tickets.into_iter().map(|(id, place)| Seen { id, kind: kind.clone(), place }));
        at = match part.next {
            Some(next) => Position { at: Some(next), ..at },
            None => at.next_section(),
        };
        if page.tickets.len() == limit {
            break;
        }
    }
    page.next = Some(at.cursor());
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        for position in [Position::default(), Position { kind: 7, section: 21, at: Some(9_000) }] {
            assert_eq!(Position::read(Some(&position.cursor())), Some(position));
        }
        assert_eq!(Position::read(Some(&ScanCursor("else".into()))), None);
    }
}
