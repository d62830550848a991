//! A stretch of job ids that is compared at a time, so that memory is bounded however many jobs wait.
//!
//! Stretches follow each other in the order of ids, in which the ledger gives them: it is read once. The dispatch, which
//! knows no order, is scanned once for each stretch.

use super::Pace;
use haul_core::{
    JobId, Ledger,
    ledger::{self, Unsettled},
};
use tokio::time::Instant;

/// Jobs read at a time.
const JOBS_MAX: usize = 5_000;

/// The unsettled jobs with ids after `after`, up to and including `last`.
#[derive(Debug)]
pub(super) struct Stretch {
    after: Option<JobId>,
    last: JobId,
    /// In order.
    ids: Vec<JobId>,
    /// Which of them have a ticket.
    seen: Vec<bool>,
}

/// What becomes of a ticket that is held against a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Its job is unsettled.
    Unsettled,
    /// Its job is not among those that are.
    Unknown,
    /// Its id lies in another stretch.
    Elsewhere,
}

impl Stretch {
    /// Reads the stretch after `after`, of those jobs that `wanted` lets through: up to `ids_max`, give or take a page, at
    /// 17 bytes each. Returns it with the begin of the next.
    pub(super) async fn read(
        ledger: &dyn Ledger,
        after: Option<JobId>,
        end: JobId,
        pace: Pace,
        ids_max: usize,
        mut wanted: impl FnMut(&Unsettled) -> bool + Send,
    ) -> ledger::Result<(Self, Option<JobId>)> {
        let mut ids = Vec::new();
        let mut read_to = after;
        loop {
            let begun = Instant::now();
            let page = ledger.unsettled(read_to, Some(end), JOBS_MAX.min(ids_max)).await?;
            ids.extend(page.jobs.iter().filter(|job| wanted(job)).map(|job| job.id));
            match page.next {
                Some(next) if ids.len() < ids_max => read_to = Some(next),
                next => return Ok((Self::new(after, next.unwrap_or(end), ids), next)),
            }
            pace.pause(begun).await;
        }
    }

    fn new(after: Option<JobId>, last: JobId, ids: Vec<JobId>) -> Self {
        Self { after, last, seen: vec![false; ids.len()], ids }
    }

    /// Holds a ticket against the stretch.
    pub(super) fn hold(&mut self, id: JobId) -> Held {
        if id > self.last || self.after.is_some_and(|after| id <= after) {
            return Held::Elsewhere;
        }
        match self.ids.binary_search(&id) {
            Ok(at) => {
                self.seen[at] = true;
                Held::Unsettled
            }
            Err(_) => Held::Unknown,
        }
    }

    /// The jobs whose ticket nobody has seen.
    pub(super) fn missing(&self) -> Vec<JobId> {
        self.ids.iter().zip(&self.seen).filter(|(_, seen)| !**seen).map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_ticket_belongs_to_one_stretch_and_what_nobody_held_is_missing() {
        let id = |n: u128| JobId(Uuid::from_u128(n));
        let mut stretch = Stretch::new(Some(id(10)), id(20), vec![id(11), id(15), id(20)]);
        assert_eq!([9, 10, 21].map(|n| stretch.hold(id(n))), [Held::Elsewhere; 3]);
        assert_eq!(stretch.hold(id(12)), Held::Unknown);
        assert_eq!([15, 15].map(|n| stretch.hold(id(n))), [Held::Unsettled; 2]);
        assert_eq!(stretch.missing(), [id(11), id(20)]);
    }
}
