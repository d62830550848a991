//! `GET /v1/payments/balances`: what the accounts hold.

use super::{BalanceList, BalanceView};
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

/// Tells what the accounts hold, by currency.
///
/// `provider:receivable` is what the provider has for us: charged and captured, less what was given back.
#[utoipa::path(
    get,
    path = "/v1/payments/balances",
    tag = "payments",
    operation_id = "getPaymentBalances",
    responses(
        (status = OK, description = "The balances.", body = BalanceList),
        (status = "4XX", description = "The query is wrong.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn balances(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Query::none(query.as_deref())?;
    let data = app.books.balances(&app.tenant).await?.into_iter().map(BalanceView::of).collect();
    json(StatusCode::OK, &BalanceList { data })
}
