//! What every promise of the fleet suite begins with: an empty ledger, and processes that tell of themselves.

use super::{FleetHarness, FleetWorld};
use crate::ledger::plain;
use bytes::Bytes;
use haul_core::{
    Fleet, IdMint, Job, JobId, JobOptions, Kind, Ledger, Priority, ProcessId, Queue, Tenant,
    fleet::{About, Member, Report, Work},
    ledger::ReceiptId,
};
use std::{sync::Arc, time::Duration};

/// An empty ledger, and its fleet.
pub struct Stage {
    /// What the suite does behind the ledger's back.
    pub world: Arc<dyn FleetWorld>,
    /// The fleet.
    pub fleet: Arc<dyn Fleet>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    mint: IdMint,
}

impl Stage {
    /// Sets the stage with a fresh ledger.
    pub async fn new(harness: Arc<dyn FleetHarness>) -> Self {
        let world = harness.fresh().await;
        let (fleet, ledger) = (world.fleet(), world.ledger());
        let clock = haul_core::Clock::new();
        clock.sync(ledger.now().await.expect("a fresh ledger tells the time"), Duration::ZERO);
        Self { world, fleet, ledger, mint: IdMint::new(Arc::new(clock)) }
    }

    pub(crate) async fn report(&self, report: &Report) {
        self.fleet.report(report).await.expect("a report is taken");
    }

    /// Everybody who is alive, by pages of so many.
    pub(crate) async fn alive(&self, page: usize) -> Vec<Member> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let members = self.fleet.alive(after, page).await.expect("the fleet is shown");
            assert!(members.len() <= page, "a page has {} members, {page} were asked for", members.len());
            let Some(last) = members.last() else { return all };
            after = Some(last.report.id);
            all.extend(members);
            assert!(all.len() <= 1_000, "pages have no end");
        }
    }

    /// Accepts a job; gives its receipt and its id.
    pub(crate) async fn accept(&self, owner: ProcessId) -> (ReceiptId, JobId) {
        let id = self.mint.next();
        let job = Job {
            id,
            tenant: Tenant::default(),
            queue: Queue::default(),
            kind: Kind::new("work").expect("a valid kind"),
            priority: Priority::default(),
            run_at: id.created_at(),
            payload: Bytes::from_static(b"{}"),
            options: JobOptions::shared_default(),
        };
        let accepted = self.ledger.accept(&[plain(job)], owner, &[]).await.expect("a job is accepted");
        (accepted.receipt.expect("there is a receipt"), id)
    }
}

/// A worker that tells everything.
pub(crate) fn worker(busy: u32) -> Report {
    let queues = vec!["mail".to_owned(), "default".to_owned()];
    let work = Work { queues, slots: 100, busy };
    let about =
        About { host: "box \"7\"".into(), pid: 4_711, version: "1.2.3".into(), work: Some(work), schedules: true };
    Report { id: ProcessId::random(), role: "worker".into(), about }
}
