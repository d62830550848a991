//! `POST /v1/endpoints/{id}/test`: an event for one endpoint only.

use super::{draft_of, find};
use crate::{
    app::App,
    commit::Row,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::{
        EndpointPath,
        jobs::{self, refuse_fields},
    },
    view::JobView,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::{
    JobId,
    endpoints::jobs::{DELIVER_KIND, Delivery, Event},
};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// The type of an event that says nothing.
const TEST_TYPE: &str = "haul.test";
const TEST_DATA: &str = r#"{"message":"If you can read this and its signature is right, deliveries reach you."}"#;

/// Sends an endpoint a test event.
///
/// An ordinary delivery of the type `haul.test`, whichever events it wants. The answer is its job: what came of it is shown
/// there.
#[utoipa::path(
    post,
    path = "/v1/endpoints/{id}/test",
    tag = "webhooks",
    operation_id = "testEndpoint",
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id.")),
    responses(
        (status = CREATED, description = "The delivery is committed.", body = JobView, headers(("Location" = String, description = "The job's path."))),
        (status = "4XX", description = "Nothing was accepted.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    EndpointPath(id): EndpointPath,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let body = app.optional_json_body(request).await?;
    refuse_fields(&body, app.rules.depth_max, "is not a field of a test")?;
    let endpoint = find(&app, id).await?;
    let data: &RawValue = serde_json::from_str(TEST_DATA).map_err(Problem::internal)?;
    let r#type = TEST_TYPE.parse().map_err(Problem::internal)?;
    let event = Event { r#type, timestamp: app.now(), data };
    // It has no event's job: an id of its own tells it from others.
    let delivery = Delivery {
        endpoint: endpoint.id,
        event: JobId(uuid::Uuid::new_v4()),
        body: to_raw_value(&event).map_err(Problem::internal)?,
    };
    let payload = serde_json::to_vec(&delivery).map_err(Problem::internal)?;
    let draft = draft_of(DELIVER_KIND, Some(endpoint.id), Some(TEST_TYPE), payload)?;
    jobs::accept(&app, Row { draft, idempotency: None }).await
}
