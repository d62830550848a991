//! `/v1/queues`.

pub(crate) mod configure;
pub(crate) mod list;
pub(crate) mod pause;
pub(crate) mod statistics;

use crate::{app::App, view::QueueView};
use haul_core::ledger::QueueInfo;

/// A queue with its live figures; without them when the dispatch does not answer.
pub(crate) async fn view(app: &App, info: &QueueInfo) -> QueueView {
    let stats = match app.dispatch.stats(&info.queue, &info.kinds).await {
        Ok(stats) => Some(stats),
        Err(error) => {
            tracing::debug!(queue = %info.queue, %error, "a queue's figures are not known");
            None
        }
    };
    let oldest = stats.as_ref().and_then(|stats| stats.oldest_ready);
    QueueView {
        ready: stats.as_ref().map(|stats| stats.ready),
        delayed: stats.as_ref().map(|stats| stats.delayed),
        running: stats.as_ref().map(|stats| stats.leased),
        oldest_age_seconds: oldest.map(|id| app.now().since(id.created_at()).as_secs_f64()),
        ..without_figures(info)
    }
}

/// A queue as the ledger alone knows it.
pub(crate) fn without_figures(info: &QueueInfo) -> QueueView {
    QueueView {
        name: info.queue.queue.to_string(),
        paused: info.settings.paused,
        slots: info.settings.slots,
        ready: None,
        delayed: None,
        running: None,
        oldest_age_seconds: None,
    }
}
