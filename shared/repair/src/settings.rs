//! What the ledger says of queues, told to the dispatch again.
//!
//! Whoever changes a setting tells the dispatch at once. It may have been away then, or two changes may have reached it in the wrong
//! order: what it was told is compared with the ledger, and now and then it is told all the same.

use crate::RepairError;
use haul_core::{Dispatch, Ledger, QueueRef, QueueSettings};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// How often the ledger is asked.
const EVERY: Duration = Duration::from_secs(5);
/// Queues that are told each time although nothing has changed, in turn.
const AGAIN_MAX: usize = 100;

/// What the dispatch was told by this process.
#[derive(Default)]
pub(crate) struct Settings {
    told: BTreeMap<QueueRef, QueueSettings>,
    told_at: Option<Instant>,
    /// Whose turn it was last.
    turn: Option<QueueRef>,
}

impl Settings {
    /// Tells what has changed, and some of what has not.
    pub(crate) async fn tell(&mut self, ledger: &dyn Ledger, dispatch: &dyn Dispatch) -> Result<(), RepairError> {
        if self.told_at.is_some_and(|at| at.elapsed() < EVERY) {
            return Ok(());
        }
        let mut known: BTreeMap<_, _> =
            ledger.queues().await?.into_iter().map(|info| (info.queue.clone(), info.settings)).collect();
        self.told.retain(|queue, _| known.contains_key(queue));
        let is_due = |queue: &&QueueRef| self.turn.as_ref().is_none_or(|turn| turn < *queue);
        let again: Vec<_> = known.keys().filter(is_due).take(AGAIN_MAX).cloned().collect();
        self.turn = if again.len() < AGAIN_MAX { None } else { again.last().cloned() };
        known.retain(|queue, settings| self.told.get(queue) != Some(settings) || again.binary_search(queue).is_ok());
        for (queue, settings) in known {
            dispatch.configure(&queue, &settings).await?;
            self.told.insert(queue, settings);
        }
        self.told_at = Some(Instant::now());
        Ok(())
    }
}
