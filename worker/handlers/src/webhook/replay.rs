//! Deliveries of the past, made again.

use super::{Stores, delivery, unavailable};
use haul_core::{
    Kind,
    endpoints::jobs::{DELIVER_KIND, Delivery, ENDPOINT_TAG, EVENT_TYPE_TAG, REPLAY_KIND, Replay},
    ledger::{Filter, StateFilter},
};
use haul_worker::{HandlerError, JobContext, NewJob};
use serde::Serialize;

/// Deliveries that one attempt accepts; what is left is another job's.
const DELIVERIES_MAX: usize = 500;
/// Jobs asked for at once.
const PAGE: usize = 100;

/// The result.
#[derive(Serialize)]
pub(super) struct Replayed {
    /// Deliveries that are made again.
    deliveries: usize,
    /// Whether another job goes on from here.
    more: bool,
}

/// Accepts a new delivery for each one of the past that was asked for, the newest first, together with the success of this
/// attempt; and the job that goes on, if there are too many for one.
pub(super) async fn replay(context: JobContext, replay: Replay) -> Result<Replayed, HandlerError> {
    let stores = context.data::<Stores>()?;
    let filter = Filter {
        queue: None,
        kind: Some(Kind::new(DELIVER_KIND).map_err(HandlerError::do_not_retry)?),
        tag: Some((ENDPOINT_TAG.to_owned(), replay.endpoint.to_string())),
        state: replay.state.map(StateFilter::Final),
        created_from: Some(replay.since),
        created_before: Some(replay.until),
    };
    let (mut deliveries, mut before) = (0, replay.before);
    loop {
        let limit = PAGE.min(DELIVERIES_MAX - deliveries);
        let page = stores.ledger.list(context.tenant(), &filter, before, limit).await.map_err(unavailable)?;
        for record in page.jobs.iter().filter(|record| record.outcome.is_some()) {
            let Ok(old) = serde_json::from_slice::<Delivery>(&record.job.payload) else { continue };
            let event_type = record.job.options.tags.get(EVENT_TYPE_TAG).map_or("", String::as_str);
            context.enqueue(delivery(old.endpoint, old.event, event_type, old.body))?;
            deliveries += 1;
        }
        before = page.next;
        if before.is_none() || deliveries >= DELIVERIES_MAX || context.is_cancelled() {
            break;
        }
    }
    if before.is_some() {
        context.enqueue(NewJob::new(REPLAY_KIND, &Replay { before, ..replay }))?;
    }
    Ok(Replayed { deliveries, more: before.is_some() })
}
