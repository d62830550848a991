//! Cancelling what runs: the ledger is asked about the running jobs, in one statement, twice a second.
//!
//! An outcome in the ledger decides, whoever committed it; so this works without the dispatch too. While nothing runs,
//! nothing is asked.

use crate::{claims::Claims, stop::Why};
use haul_core::Ledger;
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

const ASK_EVERY: Duration = Duration::from_millis(500);
/// Ids in one statement.
const CALL_MAX: usize = 10_000;

/// Watches over the running jobs until it is aborted.
pub(crate) async fn watch(ledger: Arc<dyn Ledger>, claims: Arc<Claims>) {
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for ids in claims.running().chunks(CALL_MAX) {
            match ledger.settled(ids).await {
                Ok(settled) => settled.into_iter().for_each(|(id, _)| claims.stop(id, Why::Settled)),
                // Those who read and write jobs report an outage; here the next tick is the next try.
                Err(error) => tracing::debug!(%error, "running jobs could not be looked up"),
            }
        }
    }
}
