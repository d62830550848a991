//! `POST /v1/payments/{id}/capture`: takes what a charge has held.

use super::{PaymentPath, PaymentView};
use crate::{
    app::App,
    openapi::PaymentAmount,
    problem::{Problem, ProblemBody},
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::payment::OperationKind;
use std::sync::Arc;

/// Takes what a charge has held.
///
/// A job does it; the payment tells what came of it. All that is left, unless an amount is given.
#[utoipa::path(
    post,
    path = "/v1/payments/{id}/capture",
    tag = "payments",
    operation_id = "capturePayment",
    params(
        ("id" = uuid::Uuid, Path, description = "The payment's id."),
        ("Idempotency-Key" = String, Header, max_length = 255, description = "Makes repeating safe, for 24 hours."),
    ),
    request_body(content = Option<PaymentAmount>, description = "How much."),
    responses(
        (status = CREATED, description = "It is committed, and will be done.", body = PaymentView),
        (status = "4XX", description = "Nothing was accepted.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again, with the same key.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn capture(
    State(app): State<Arc<App>>,
    PaymentPath(id): PaymentPath,
    request: Request,
) -> Result<Response, Problem> {
    super::further(&app, OperationKind::Capture, id, request).await
}
