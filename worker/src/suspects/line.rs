//! The line in which suspects wait for a process.
//!
//! It is bounded. What finds no room rests in the dispatch for a moment, where it loses its mark, as waiting tickets have
//! none; so the line remembers it. Nothing else waits behind it there meanwhile.

use crate::{
    attempt::Start,
    chance,
    claims::{Claims, Parting},
};
use haul_core::{JobId, Timestamp, dispatch::Next};
use parking_lot::Mutex;
use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};
use tokio::sync::Notify;

/// Suspects that one worker takes in, running ones included.
const SUSPECTS_MAX: usize = 1_000;
/// Suspects that are remembered although they went back.
const REMEMBERED_MAX: usize = 100_000;
/// How long at most a suspect rests that found no room.
const REST_MAX: Duration = Duration::from_secs(2);

/// Suspects in the order of their arrival.
#[derive(Default)]
pub(crate) struct Line {
    waiting: Mutex<VecDeque<Start>>,
    more: Notify,
    remembered: Mutex<HashSet<JobId>>,
}

impl Line {
    /// Takes suspects in. Gives back those for which there is no room.
    pub(crate) fn take_in(&self, suspects: Vec<Start>, claims: &Claims, now: Timestamp) -> Vec<Parting> {
        let mut without_room = Vec::new();
        for start in suspects {
            let claim = start.claim;
            if !claims.go_aside(claim, SUSPECTS_MAX) {
                let mut remembered = self.remembered.lock();
                if remembered.len() < REMEMBERED_MAX {
                    remembered.insert(claim.job);
                }
                let rest = REST_MAX.mul_f64(chance::share());
                without_room.extend(claims.close(claim, Next::Park(now.plus(rest))));
            } else if claims.wait(&[claim]) == [true] {
                let mut waiting = self.waiting.lock();
                waiting.push_back(start);
                // Those that went back for having waited too long are still in here.
                if waiting.len() > 2 * SUSPECTS_MAX {
                    waiting.retain(|start| claims.has(start.claim));
                }
            }
        }
        if !self.waiting.lock().is_empty() {
            self.more.notify_one();
        }
        without_room
    }

    /// Whether the job was here as a suspect and went back for want of room. Forgets it: it is here again.
    pub(crate) fn recalls(&self, job: JobId) -> bool {
        let mut remembered = self.remembered.lock();
        !remembered.is_empty() && remembered.remove(&job)
    }

    /// The next one, when there is one. For one caller.
    pub(super) async fn next(&self) -> Start {
        loop {
            let next = self.waiting.lock().pop_front();
            match next {
                Some(start) => return start,
                None => self.more.notified().await,
            }
        }
    }
}
