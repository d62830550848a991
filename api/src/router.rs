//! The table of contents: every path and what serves it.

use crate::{
    app::{App, RequestId},
    gate::gate,
    openapi, ops,
    problem::{Problem, ProblemBody, ProblemType},
    routes::{audit, destinations, endpoints, events, jobs, log, payments, problem, queues, schedules, workers},
};
use axum::{
    Router,
    extract::{Request, State},
    middleware,
    response::Response,
    routing::get,
};
use http::header;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// All routes that are documented.
fn documented() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(jobs::submit::submit, jobs::list::list))
        .routes(routes!(jobs::batch::batch))
        .routes(routes!(jobs::bulk::bulk))
        .routes(routes!(jobs::cancel_many::cancel_many))
        .routes(routes!(jobs::get::get))
        .routes(routes!(jobs::cancel::cancel))
        .routes(routes!(jobs::rerun::rerun))
        .routes(routes!(payments::create::create, payments::list::list))
        .routes(routes!(payments::balances::balances))
        .routes(routes!(payments::webhook::webhook))
        .routes(routes!(payments::get::get))
        .routes(routes!(payments::capture::capture))
        .routes(routes!(payments::refund::refund))
        .routes(routes!(queues::list::list))
        .routes(routes!(queues::configure::configure))
        .routes(routes!(queues::statistics::statistics))
        .routes(routes!(queues::pause::pause))
        .routes(routes!(queues::pause::resume))
        .routes(routes!(schedules::create::create, schedules::list::list))
        .routes(routes!(schedules::preview::preview))
        .routes(routes!(schedules::get::get, schedules::update::update, schedules::delete::delete))
        .routes(routes!(schedules::pause::pause))
        .routes(routes!(schedules::pause::resume))
        .routes(routes!(schedules::run::run))
        .routes(routes!(endpoints::create::create, endpoints::list::list))
        .routes(routes!(endpoints::get::get, endpoints::update::update, endpoints::delete::delete))
        .routes(routes!(endpoints::rotate::rotate))
        .routes(routes!(endpoints::test::test))
        .routes(routes!(endpoints::replay::replay))
        .routes(routes!(endpoints::deliveries::deliveries))
        .routes(routes!(events::submit))
        .routes(routes!(workers::list))
        .routes(routes!(destinations::list::list))
        .routes(routes!(destinations::get::get))
        .routes(routes!(destinations::reset::reset))
        .routes(routes!(audit::audit))
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(log::show, log::set, log::reset))
}

/// Everything that the API serves.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (router, document) = documented().split_for_parts();
    let document = openapi::write(document);
    let openapi = move || async move {
        let document = document.map_err(Problem::internal)?;
        Ok::<_, Problem>(([(header::CONTENT_TYPE, "application/json")], document))
    };
    router
        .route("/openapi.json", get(openapi))
        .route("/problems/{slug}", get(problem::explain))
        .fallback(|| async { Problem::new(ProblemType::NotFound, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(ProblemType::MethodNotAllowed, "the path does not take this method; see Allow")
        })
        .layer(middleware::from_fn_with_state(app.clone(), gate))
        .with_state(app)
}

/// Says that the process runs.
#[utoipa::path(
    get, path = "/healthz", tag = "ops", operation_id = "health",
    responses((status = OK, description = "It runs.", content_type = "application/json")),
)]
async fn healthz() -> Response {
    ops::healthz()
}

/// Says whether the process can be sent work.
#[utoipa::path(
    get, path = "/readyz", tag = "ops", operation_id = "readiness",
    responses(
        (status = OK, description = "It can.", body = ops::Ready),
        (
            status = SERVICE_UNAVAILABLE, description = "It cannot; `checks` says why.", body = ProblemBody,
            content_type = "application/problem+json",
        ),
    ),
)]
async fn readyz(State(app): State<Arc<App>>, request: Request) -> Response {
    ops::readyz(&app.readiness, RequestId::of(&request).as_str())
}

/// Shows the process's metrics, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "ops", operation_id = "metrics",
    responses((status = OK, description = "In Prometheus' text format.", body = String, content_type = "text/plain")),
)]
async fn metrics(State(app): State<Arc<App>>) -> Response {
    ops::metrics(&app.render_metrics)
}
