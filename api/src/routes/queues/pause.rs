//! `POST /v1/queues/{queue}/pause` and `/resume`.
//!
//! The truth is in the ledger, and what workers ask is the dispatch. When the dispatch does not answer, it is told again
//! for [`TRIES`] seconds, each time with what the ledger says by then; later, repair tells it.

use super::{view, without_figures};
use crate::{
    app::{App, DISPATCH_WAIT_MAX},
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
    routes::{QueuePath, json},
    view::QueueView,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use haul_core::{Dispatch, Ledger, QueueChange, QueueRef, ledger::QueueInfo};
use http::StatusCode;
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// How often the dispatch is told again, a second apart.
const TRIES: usize = 60;

/// Pauses a queue.
///
/// Nothing more is started; what runs goes on, and submits are accepted.
#[utoipa::path(
    post,
    path = "/v1/queues/{queue}/pause",
    tag = "queues",
    operation_id = "pauseQueue",
    params(("queue" = String, Path, description = "The queue's name.")),
    responses(
        (status = OK, description = "The queue, now paused.", body = QueueView),
        (status = "4XX", description = "There is no such queue.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    QueuePath(queue): QueuePath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Query::none(query.as_deref())?;
    let pause = QueueChange { paused: Some(true), ..QueueChange::default() };
    change(&app, QueueRef { tenant: app.tenant.clone(), queue }, pause).await
}

/// Resumes a queue.
///
/// What waited is started again.
#[utoipa::path(
    post,
    path = "/v1/queues/{queue}/resume",
    tag = "queues",
    operation_id = "resumeQueue",
    params(("queue" = String, Path, description = "The queue's name.")),
    responses(
        (status = OK, description = "The queue, no longer paused.", body = QueueView),
        (status = "4XX", description = "There is no such queue.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    QueuePath(queue): QueuePath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Query::none(query.as_deref())?;
    let resume = QueueChange { paused: Some(false), ..QueueChange::default() };
    change(&app, QueueRef { tenant: app.tenant.clone(), queue }, resume).await
}

/// Changes a queue's settings, has the dispatch told, and shows the queue.
pub(super) async fn change(app: &Arc<App>, queue: QueueRef, change: QueueChange) -> Result<Response, Problem> {
    let missing = || Problem::new(ProblemType::QueueNotFound, "no job was ever submitted to a queue of this name");
    app.ledger.configure_queue(&queue, &change).await?.ok_or_else(missing)?;
    let info = find(&*app.ledger, &queue).await?.ok_or_else(missing)?;
    if !tell(&*app.dispatch, &info).await {
        tokio::spawn(tell_again(app.ledger.clone(), app.dispatch.clone(), queue));
    }
    let shown = timeout(DISPATCH_WAIT_MAX, view(app, &info)).await.unwrap_or_else(|_| without_figures(&info));
    json(StatusCode::OK, &shown)
}

async fn find(ledger: &dyn Ledger, queue: &QueueRef) -> haul_core::ledger::Result<Option<QueueInfo>> {
    Ok(ledger.queues().await?.into_iter().find(|info| info.queue == *queue))
}

async fn tell(dispatch: &dyn Dispatch, info: &QueueInfo) -> bool {
    match timeout(DISPATCH_WAIT_MAX, dispatch.configure(&info.queue, &info.settings)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(queue = %info.queue, %error, "the dispatch could not be told of changed settings");
            false
        }
        Err(_elapsed) => false,
    }
}

async fn tell_again(ledger: Arc<dyn Ledger>, dispatch: Arc<dyn Dispatch>, queue: QueueRef) {
    for _ in 0..TRIES {
        sleep(Duration::from_secs(1)).await;
        if let Ok(Some(info)) = find(&*ledger, &queue).await
            && tell(&*dispatch, &info).await
        {
            return;
        }
    }
    tracing::warn!(%queue, "the dispatch was not told of changed settings; repair will tell it");
}
