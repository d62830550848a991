//! `GET /v1/payments`: payments, newest first.

use super::{PaymentPage, PaymentView};
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
use haul_core::payment::{PaymentId, PaymentState};
use http::StatusCode;
use std::sync::Arc;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 100;

/// Lists payments, newest first.
#[utoipa::path(
    get,
    path = "/v1/payments",
    tag = "payments",
    operation_id = "listPayments",
    params(
        ("state" = Option<String>, Query, description = "Only in this state: pending, succeeded, declined, unknown, refunded."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Payments in a page; 50 unless told otherwise."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before; with the same filters."),
    ),
    responses(
        (status = OK, description = "A page.", body = PaymentPage),
        (status = "4XX", description = "The query is wrong.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let mut query = Query::new(query.as_deref());
    let state = query.text("state");
    let wanted = state.as_deref().and_then(PaymentState::from_word);
    if state.is_some() && wanted.is_none() {
        query.fail("state", "must be pending, succeeded, declined, unknown or refunded");
    }
    let limit = query.number("limit", LIMIT_DEFAULT, 1, LIMIT_MAX);
    let cursor = query.text("cursor");
    query.finish()?;
    let identity = format!("GET /v1/payments\n{}\n{}", app.tenant, wanted.map_or("", PaymentState::as_str));
    let before = match cursor {
        None => None,
        Some(cursor) => {
            let position = app.cursors.read(&identity, &cursor)?;
            Some(PaymentId(uuid::Uuid::from_slice(&position).map_err(Problem::internal)?))
        }
    };
    // One more than is shown tells whether more follow.
    let mut payments = app.books.payments(&app.tenant, wanted, before, limit + 1).await?;
    let has_more = payments.len() > limit;
    payments.truncate(limit);
    let last = payments.last().filter(|_| has_more);
    let next_cursor = last.map(|payment| app.cursors.write(&identity, payment.id.0.as_bytes()));
    let data = payments.iter().map(|payment| PaymentView::of(payment, None)).collect();
    json(StatusCode::OK, &PaymentPage { data, has_more, next_cursor })
}
