//! `PUT /v1/schedules/{name}`: give a schedule a new definition.

use super::{dry_run, find, shown};
use crate::{
    app::App,
    etag::Condition,
    fields::Fields,
    openapi::ScheduleChange,
    problem::{Problem, ProblemBody, ProblemType},
    routes::{SchedulePath, json},
    schedule::{
        read::{self, Form, Wish},
        view::ScheduleView,
    },
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::schedules::{Changed, Edit, Schedule};
use http::StatusCode;
use std::sync::Arc;

/// How often an edit is tried that meets a schedule which fires at the same moment.
const TRIES: usize = 20;

/// Gives a schedule a new definition.
///
/// The whole of it: what is not given is as by default. Ticks that are past do not fire under the new definition; if when
/// it fires stays the same, the schedule stays where it is. It stays paused if it is. `If-Match` is required. With
/// `dry_run=true` nothing is changed.
#[utoipa::path(
    put,
    path = "/v1/schedules/{name}",
    tag = "schedules",
    operation_id = "updateSchedule",
    params(
        ("name" = String, Path, description = "The schedule's name."),
        ("If-Match" = String, Header, description = "The `ETag` of the schedule that this is a change of, or `*` for whatever it is."),
        ("dry_run" = Option<bool>, Query, description = "`true`: answer with what it would become."),
    ),
    request_body(content = ScheduleChange, description = "The definition."),
    responses(
        (
            status = OK, description = "The schedule as it is now.", body = ScheduleView,
            headers(("ETag" = String, description = "Its version, for `If-Match`.")),
        ),
        (status = PRECONDITION_FAILED, description = "It was changed since.", body = ProblemBody, content_type = "application/problem+json"),
        (status = PRECONDITION_REQUIRED, description = "There is no `If-Match`.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", description = "Nothing was changed.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn update(
    State(app): State<Arc<App>>,
    SchedulePath(name): SchedulePath,
    request: Request,
) -> Result<Response, Problem> {
    let dry_run = dry_run(request.uri().query())?;
    let condition = Condition::required(request.headers())?;
    let body = app.json_body(request).await?;
    let wish = {
        let fields = Fields::parse(&body, app.rules.depth_max)?;
        read::wish(&fields, &Form::Change(name.clone()), &app.rules, app.now())?
    };
    for _ in 0..TRIES {
        let stored = find(&app, name.clone()).await?;
        condition.check(&stored)?;
        let edit = edit(&app, &stored, &wish);
        if dry_run {
            let edited = as_edited(&stored, edit);
            return json(StatusCode::OK, &ScheduleView::of(&edited, app.now(), super::NEXT));
        }
        let Some(edit) = edit else { return shown(&app, StatusCode::OK, &stored) };
        match app.schedules.edit(&edit).await? {
            Changed::Done(schedule) => return shown(&app, StatusCode::OK, &schedule),
            // It has fired, or was changed: the next look tells which.
            Changed::Stale => {}
            Changed::Unknown => return Err(super::missing()),
        }
    }
    Err(Problem::new(ProblemType::Overloaded, "the schedule fires too often to be changed; pause it first"))
}

/// The edit that makes of a schedule what is wished; `None` when it is that already.
fn edit(app: &App, stored: &Schedule, wish: &Wish) -> Option<Edit> {
    let Wish { definition, schedule, .. } = wish;
    if stored.definition == *definition && stored.problem.is_none() {
        return None;
    }
    // A schedule whose job alone changes has missed what it has missed.
    let moves = stored.definition.spec != definition.spec;
    let moved = moves.then(|| schedule.take_over(stored, app.now()));
    Some(Edit { id: stored.id, version: stored.version, definition: definition.clone(), moved })
}

/// What a store would make of it.
fn as_edited(stored: &Schedule, edit: Option<Edit>) -> Schedule {
    let Some(edit) = edit else { return stored.clone() };
    Schedule {
        version: stored.version + 1,
        definition: edit.definition,
        position: edit.moved.map_or_else(|| stored.position.clone(), |moved| moved.to),
        problem: None,
        ..stored.clone()
    }
}
