//! One file per operation, by resource.

pub(crate) mod audit;
pub(crate) mod destinations;
pub(crate) mod endpoints;
pub(crate) mod events;
pub(crate) mod jobs;
pub(crate) mod log;
pub(crate) mod payments;
pub(crate) mod problem;
pub(crate) mod queues;
pub(crate) mod schedules;
pub(crate) mod workers;

use crate::problem::{Problem, ProblemType};
use axum::{
    body::Body,
    extract::{FromRequestParts, Path},
    response::Response,
};
use haul_core::{JobId, Queue, ScheduleName, endpoints::EndpointId, pace::Destination};
use http::{HeaderValue, StatusCode, header, request::Parts};
use serde::Serialize;
use std::str::FromStr;

/// A job's id in the path.
pub(crate) struct JobPath(pub(crate) JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await?;
        // Only the usual form of a UUID: others would be other names for the same job.
        let id = (text.len() == 36).then(|| JobId::from_str(&text).ok()).flatten();
        id.map(Self).ok_or_else(|| Problem::new(ProblemType::InvalidPath, "a job's id is a UUID of 36 characters"))
    }
}

/// An endpoint's id in the path.
pub(crate) struct EndpointPath(pub(crate) EndpointId);

impl<S: Send + Sync> FromRequestParts<S> for EndpointPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await?;
        let id = (text.len() == 36).then(|| EndpointId::from_str(&text).ok()).flatten();
        id.map(Self)
            .ok_or_else(|| Problem::new(ProblemType::InvalidPath, "an endpoint's id is a UUID of 36 characters"))
    }
}

/// A queue's name in the path.
pub(crate) struct QueuePath(pub(crate) Queue);

impl<S: Send + Sync> FromRequestParts<S> for QueuePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await?;
        let refuse = |error| Problem::new(ProblemType::InvalidPath, format!("a queue's name {error}"));
        Queue::new(text).map(Self).map_err(refuse)
    }
}

/// A destination's name in the path.
pub(crate) struct DestinationPath(pub(crate) Destination);

impl<S: Send + Sync> FromRequestParts<S> for DestinationPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await?;
        let refuse = |error| Problem::new(ProblemType::InvalidPath, format!("the path's last name {error}"));
        Destination::new(text).map(Self).map_err(refuse)
    }
}

/// A schedule's name in the path.
pub(crate) struct SchedulePath(pub(crate) ScheduleName);

impl<S: Send + Sync> FromRequestParts<S> for SchedulePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await?;
        let refuse = |error| Problem::new(ProblemType::InvalidPath, format!("a schedule's name {error}"));
        ScheduleName::new(text).map(Self).map_err(refuse)
    }
}

pub(crate) async fn path_text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    match Path::<String>::from_request_parts(parts, state).await {
        Ok(Path(text)) => Ok(text),
        Err(_) => Err(Problem::new(ProblemType::InvalidPath, "the path holds a percent-encoding that is not UTF-8")),
    }
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body).map_err(Problem::internal)?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
