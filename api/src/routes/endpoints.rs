//! `/v1/endpoints`.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod deliveries;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod replay;
pub(crate) mod rotate;
pub(crate) mod test;
pub(crate) mod update;

use crate::{
    app::App,
    endpoint::EndpointView,
    etag,
    problem::{Problem, ProblemType},
    routes::json,
};
use axum::response::Response;
use haul_core::{
    JobOptions, Kind, Priority, Queue,
    endpoints::{
        Edit, Endpoint, EndpointId,
        jobs::{ENDPOINT_TAG, EVENT_TYPE_TAG, WEBHOOKS_QUEUE, delivery_retry},
    },
};
use http::{StatusCode, header};

/// The endpoint of this id, or 404.
async fn find(app: &App, id: EndpointId) -> Result<Endpoint, Problem> {
    app.endpoints.get(&app.tenant, id).await?.ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::new(ProblemType::EndpointNotFound, "no endpoint has this id")
}

/// An endpoint, with its tag; with its newest key if that is to be shown.
fn shown(app: &App, status: StatusCode, endpoint: &Endpoint, shows_key: bool) -> Result<Response, Problem> {
    let mut response = json(status, &EndpointView::of(endpoint, app.now(), shows_key))?;
    response.headers_mut().insert(header::ETAG, etag::header_value(endpoint)?);
    Ok(response)
}

/// A change of an endpoint that leaves everything as it is.
fn edit_of(endpoint: Endpoint) -> Edit {
    let Endpoint { id, tenant, version, settings, keys, disabled, .. } = endpoint;
    Edit { tenant, id, version, settings, keys, disabled }
}

/// Where the jobs of webhooks wait, what they are, and how they are told apart.
pub(super) fn draft_of(
    kind: &str,
    endpoint: Option<EndpointId>,
    event_type: Option<&str>,
    payload: Vec<u8>,
) -> Result<crate::draft::Draft, Problem> {
    let mut options = JobOptions { retry: delivery_retry(), ..JobOptions::default() };
    options.tags.extend(endpoint.map(|id| (ENDPOINT_TAG.to_owned(), id.to_string())));
    options.tags.extend(event_type.map(|event| (EVENT_TYPE_TAG.to_owned(), event.to_owned())));
    Ok(crate::draft::Draft {
        queue: Queue::new(WEBHOOKS_QUEUE).map_err(Problem::internal)?,
        kind: Kind::new(kind).map_err(Problem::internal)?,
        priority: Priority::default(),
        start: crate::draft::Start::Now,
        payload: payload.into(),
        options: std::sync::Arc::new(options),
    }
    .traced())
}
