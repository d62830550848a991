//! `GET /v1/payments/{id}`: one payment, with its postings.

use super::{PaymentPath, PaymentView};
use crate::{
    app::App,
    problem::{Problem, ProblemBody},
    query::Query,
    routes::json,
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use http::StatusCode;
use std::sync::Arc;

/// Tells everything about a payment.
#[utoipa::path(
    get,
    path = "/v1/payments/{id}",
    tag = "payments",
    operation_id = "getPayment",
    params(("id" = uuid::Uuid, Path, description = "The payment's id.")),
    responses(
        (status = OK, description = "The payment.", body = PaymentView),
        (status = "4XX", description = "There is no such payment.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    PaymentPath(id): PaymentPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Query::none(query.as_deref())?;
    let seen = super::payment(&app, id).await?;
    let postings = app.books.postings(id).await?;
    json(StatusCode::OK, &PaymentView::of(&seen.payment, Some(postings)))
}
