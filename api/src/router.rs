//! The table of contents: every path and what serves it.

use crate::{
    app::{App, RequestId},
    gate::gate,
    openapi, ops,
    problem::{Problem, ProblemType},
    routes::{jobs, problem, queues},
};
use axum::{
    Router,
    extract::{Request, State},
    middleware,
    response::IntoResponse,
    routing::get,
};
use bytes::Bytes;
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
        .routes(routes!(queues::list::list))
        .routes(routes!(queues::pause::pause))
        .routes(routes!(queues::pause::resume))
}

/// Everything that the API serves.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (router, document) = documented().split_for_parts();
    let document = Bytes::from(document.to_json().unwrap_or_default());
    let openapi = move || async move { ([(header::CONTENT_TYPE, "application/json")], document) };
    router
        .route("/openapi.json", get(openapi))
        .route("/problems/{slug}", get(problem::explain))
        .route("/healthz", get(|| async { ops::healthz() }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(|State(app): State<Arc<App>>| async move { ops::metrics(&app.render_metrics) }))
        .fallback(|| async { Problem::new(ProblemType::NotFound, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(ProblemType::MethodNotAllowed, "the path does not take this method; see Allow")
        })
        .layer(middleware::from_fn_with_state(app.clone(), gate))
        .with_state(app)
}

async fn readyz(State(app): State<Arc<App>>, request: Request) -> impl IntoResponse {
    ops::readyz(&app.readiness, RequestId::of(&request).as_str())
}
