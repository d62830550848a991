//! `GET /problems/{slug}`: what a problem's `type` leads to.

use crate::problem::{self, Problem, ProblemType};
use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::header;

/// Explains a type of problem, as docs/problems.md does.
pub(crate) async fn explain(slug: Result<Path<String>, axum::extract::rejection::PathRejection>) -> Response {
    let known = |slug: String| ProblemType::ALL.iter().find(|kind| kind.spec().slug == slug);
    match slug.ok().and_then(|Path(slug)| known(slug)) {
        Some(kind) => {
            ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], problem::section(*kind)).into_response()
        }
        None => Problem::new(ProblemType::NotFound, "there is no such type of problem").into_response(),
    }
}
