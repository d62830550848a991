//! The lookout: of all schedulers, the one that looks at what is common to all processes, and shows it.
//!
//! It is the one that has been alive the longest; each of them finds that out by itself, from the heartbeats in the ledger. When it
//! is another's turn, or when that cannot be told for [`BLIND_MAX`], its figures vanish from `/metrics`. What cannot be read is
//! left out, never shown as it was. Nothing here costs more with ten million jobs than with ten. See `docs/decisions/0170`.

mod look;
mod sample;
mod sheets;

use crate::{chain::chain, stores::Stores, telemetry::Metrics};
use haul_core::{
    ProcessId,
    fleet::{GONE_AFTER, Member},
    ledger::Result,
};
use look::Glass;
use parking_lot::RwLock;
use sample::Sample;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long one look may take.
const LOOK_MAX: Duration = Duration::from_secs(8);
/// How long it stays the lookout without knowing whether it is.
const BLIND_MAX: Duration = GONE_AFTER;
/// Processes that are read at a time, and in all.
const MEMBERS_PAGE: usize = 1_000;
const MEMBERS_MAX: usize = 10_000;

/// One that may be the lookout.
pub(crate) struct Lookout {
    me: ProcessId,
    stores: Stores,
    glass: Glass,
    shown: Arc<RwLock<Option<Sample>>>,
}

impl Lookout {
    /// For the process `me`. What it sees is shown among these metrics.
    pub(crate) fn new(me: ProcessId, stores: Stores, metrics: &Metrics) -> Self {
        let shown: Arc<RwLock<Option<Sample>>> = Arc::default();
        let page_of = shown.clone();
        metrics.show(
            "lookout",
            Arc::new(move |page| {
                if let Some(sample) = &*page_of.read() {
                    sample.write(page);
                }
            }),
        );
        Self { me, glass: Glass::new(stores.clone()), stores, shown }
    }

    /// Looks, when it is its turn. Never ends.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sure_at = Instant::now();
        loop {
            ticks.tick().await;
            let members = match timeout(LOOK_MAX, self.members()).await {
                Ok(Ok(members)) => members,
                Ok(Err(error)) => {
                    tracing::debug!("who is alive cannot be told: {}", chain(&error));
                    self.withdraw_if(sure_at.elapsed() > BLIND_MAX);
                    continue;
                }
                Err(_elapsed) => {
                    self.withdraw_if(sure_at.elapsed() > BLIND_MAX);
                    continue;
                }
            };
            sure_at = Instant::now();
            if lookout_of(&members) != Some(self.me) {
                self.withdraw_if(true);
                continue;
            }
            if let Ok(sample) = timeout(LOOK_MAX, self.glass.look(&members)).await {
                *self.shown.write() = Some(sample);
            } else {
                self.withdraw_if(true);
            }
        }
    }

    fn withdraw_if(&self, it_is_time: bool) {
        if it_is_time {
            *self.shown.write() = None;
        }
    }

    async fn members(&self) -> Result<Vec<Member>> {
        let mut members: Vec<Member> = Vec::new();
        while members.len() < MEMBERS_MAX {
            let after = members.last().map(|member| member.report.id);
            let page = self.stores.fleet.alive(after, MEMBERS_PAGE).await?;
            let is_last = page.len() < MEMBERS_PAGE;
            members.extend(page);
            if is_last {
                break;
            }
        }
        Ok(members)
    }
}

/// Whose turn it is.
fn lookout_of(members: &[Member]) -> Option<ProcessId> {
    let candidates = members.iter().filter(|member| member.report.about.schedules);
    candidates.min_by_key(|member| (member.since, member.report.id)).map(|member| member.report.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::{
        Timestamp,
        fleet::{About, Report},
    };

    #[test]
    fn it_is_the_scheduler_that_has_been_alive_the_longest() {
        let member = |since, schedules| Member {
            report: Report {
                id: ProcessId::random(),
                role: "scheduler".to_owned(),
                about: About { schedules, ..About::default() },
            },
            since: Timestamp::from_ms(since),
            seen: Timestamp::from_ms(100),
        };
        let members = [member(3, true), member(1, false), member(2, true), member(4, true)];
        assert_eq!(lookout_of(&members), Some(members[2].report.id));
        assert_eq!(lookout_of(&members[1..2]), None);
        let twins = [member(1, true), member(1, true)];
        let reversed: Vec<Member> = twins.iter().rev().cloned().collect();
        assert_eq!(lookout_of(&twins), lookout_of(&reversed), "all reach the same answer");
    }
}
