//! `/v1/schedules`.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod pause;
pub(crate) mod preview;
pub(crate) mod run;
pub(crate) mod update;

use crate::{
    app::App,
    etag::{self, Condition},
    problem::{Problem, ProblemType},
    query::Query,
    routes::json,
    schedule::view::ScheduleView,
};
use axum::response::Response;
use haul_core::{
    ScheduleName,
    schedules::{Schedule, ScheduleRef},
};
use http::{StatusCode, header};

/// Next ticks that come with a schedule unless told otherwise.
const NEXT: usize = 5;

/// The schedule of this name, or 404.
async fn find(app: &App, name: ScheduleName) -> Result<Schedule, Problem> {
    app.schedules.get(&key(app, name)).await?.ok_or_else(missing)
}

/// The version that a request is about, if it says so and the schedule has it.
async fn version(app: &App, name: &ScheduleName, condition: Option<Condition>) -> Result<Option<i64>, Problem> {
    let Some(condition) = condition else { return Ok(None) };
    let stored = find(app, name.clone()).await?;
    condition.check(&stored)?;
    Ok(Some(stored.version))
}

fn key(app: &App, name: ScheduleName) -> ScheduleRef {
    ScheduleRef { tenant: app.tenant.clone(), name }
}

fn missing() -> Problem {
    Problem::new(ProblemType::ScheduleNotFound, "no schedule has this name")
}

/// A schedule, with its tag.
fn shown(app: &App, status: StatusCode, schedule: &Schedule) -> Result<Response, Problem> {
    let mut response = json(status, &ScheduleView::of(schedule, app.now(), NEXT))?;
    response.headers_mut().insert(header::ETAG, etag::header_value(schedule)?);
    Ok(response)
}

/// Whether the request only asks what it would do.
fn dry_run(query: Option<&str>) -> Result<bool, Problem> {
    let mut query = Query::new(query);
    let dry_run = query.parse("dry_run").unwrap_or(false);
    query.finish()?;
    Ok(dry_run)
}
