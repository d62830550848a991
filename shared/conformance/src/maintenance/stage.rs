//! What every promise of the maintenance suite begins with: the stage of the ledger suite, and maintenance.

use super::{MaintenanceHarness, MaintenanceWorld};
use crate::ledger::{self, LedgerHarness, LedgerWorld};
use async_trait::async_trait;
use haul_core::{
    Job, Maintenance,
    ledger::{Entry, Record},
    maintenance::{Retained, Retention},
};
use std::{ops::Deref, sync::Arc, time::Duration};

/// Steps that any amount of work in this suite takes at most.
const STEPS_MAX: usize = 2_000;

/// An empty ledger, who writes to it and who maintains it.
pub struct Stage {
    ledger_stage: ledger::Stage,
    maintained: Arc<dyn MaintenanceWorld>,
    /// Maintains it.
    pub maintenance: Arc<dyn Maintenance>,
}

/// The one ledger of this stage.
struct Only(Arc<dyn MaintenanceWorld>);

#[async_trait]
impl LedgerHarness for Only {
    async fn fresh(&self) -> Arc<dyn LedgerWorld> {
        self.0.clone()
    }
}

impl Deref for Stage {
    type Target = ledger::Stage;
    fn deref(&self) -> &ledger::Stage {
        &self.ledger_stage
    }
}

impl Stage {
    /// Sets the stage with a fresh ledger.
    pub async fn new(harness: Arc<dyn MaintenanceHarness>) -> Self {
        let world = harness.fresh().await;
        let ledger_stage = ledger::Stage::new(Arc::new(Only(world.clone()))).await;
        Self { ledger_stage, maintenance: world.maintenance(), maintained: world }
    }

    /// Another handle to the maintenance, as a second process has one.
    pub(crate) fn another(&self) -> Arc<dyn Maintenance> {
        self.maintained.maintenance()
    }

    /// Accepts a job so many days ago, by what its id says.
    pub(crate) async fn accepted_ago(&self, days: u32) -> Job {
        let job = self.job_ago(days_long(days));
        self.accept(std::slice::from_ref(&job)).await;
        job
    }

    /// Accepts a job that ended at once, so many days ago.
    pub(crate) async fn ended_ago(&self, days: u32) -> Job {
        let job = self.accepted_ago(days).await;
        let answers = self.record(&[self.early_success(&job)]).await;
        assert_eq!(answers, [haul_core::ledger::Recorded::Committed]);
        job
    }

    /// That a job succeeded a second after it was accepted.
    pub(crate) fn early_success(&self, job: &Job) -> Record {
        let at = job.created_at().plus(Duration::from_secs(1));
        Record { at, ..self.entry(job, 1, Entry::Succeeded(Some("\"done\"".into()))) }
    }

    /// Retains until nothing is left to do.
    pub(crate) async fn retain(&self, keep_days: u32) -> Retained {
        retain(&*self.maintenance, keep_days).await
    }
}

/// Retains until nothing is left to do.
pub(crate) async fn retain(maintenance: &dyn Maintenance, keep_days: u32) -> Retained {
    let mut retained = Retained::default();
    for _ in 0..STEPS_MAX {
        retained.add(&maintenance.retain(&Retention::days(keep_days)).await.expect("a step of retention is taken"));
        if !retained.more {
            return retained;
        }
    }
    panic!("retention does not end");
}

pub(crate) fn days_long(days: u32) -> Duration {
    Duration::from_secs(24 * 3_600) * days
}
