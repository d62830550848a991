//! `POST /v1/schedules`: create a schedule.

use super::{dry_run, shown};
use crate::{
    app::App,
    fields::Fields,
    headers,
    openapi::ScheduleWish,
    problem::{FieldError, Problem, ProblemBody, ProblemType},
    routes::json,
    schedule::{
        read::{self, Form, Wish},
        view::ScheduleView,
    },
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::{
    Timestamp,
    ledger::LedgerError,
    schedules::{Created, NewSchedule, Schedule, ScheduleId},
};
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;

/// Creates a schedule.
///
/// Its first tick is the first one after now. With an `Idempotency-Key`, the same request under the same key answers the
/// schedule that it created, as it is by then, instead of creating another. With `dry_run=true` nothing is created.
#[utoipa::path(
    post,
    path = "/v1/schedules",
    tag = "schedules",
    operation_id = "createSchedule",
    params(
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "Makes repeating safe, for 24 hours."),
        ("dry_run" = Option<bool>, Query, description = "`true`: answer 200 with what would be created."),
    ),
    request_body(content = ScheduleWish, description = "The schedule."),
    responses(
        (
            status = CREATED, description = "It is committed.", body = ScheduleView,
            headers(
                ("Location" = String, description = "Its path."),
                ("ETag" = String, description = "Its version, for `If-Match`."),
                ("Idempotency-Replayed" = Option<String>, description = "`true` when it was created before."),
            ),
        ),
        (status = OK, description = "With `dry_run`: what would be created.", body = ScheduleView),
        (status = "4XX", description = "Nothing was created.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again, with a key.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let dry_run = dry_run(request.uri().query())?;
    let key = headers::idempotency_key(request.headers())?;
    let body = app.json_body(request).await?;
    let now = app.now();
    let new = {
        let fields = Fields::parse(&body, app.rules.depth_max)?;
        let Wish { name, paused, definition, schedule } = read::wish(&fields, &Form::New, &app.rules, now)?;
        let position = schedule.begin(now);
        if position.next_at.is_none() {
            let error = FieldError::new("/end_at", "leaves no tick from now on: the schedule would never fire");
            return Err(Problem::with_errors(ProblemType::InvalidSchedule, vec![error]));
        }
        let idempotency = match key {
            Some(key) => Some(app.rules.idempotency(key, &fields.canonical("/v1/schedules")?)),
            None => None,
        };
        let (id, key) = (ScheduleId::new(now), super::key(&app, name));
        NewSchedule { id, key, definition, position, paused, idempotency }
    };
    if dry_run {
        return match app.schedules.get(&new.key).await? {
            Some(_) => Err(exists()),
            None => json(StatusCode::OK, &ScheduleView::of(&as_created(new, now), now, super::NEXT)),
        };
    }
    match app.schedules.create(&new, app.limits.schedules_max).await {
        Ok(Created::New(schedule)) => created(&app, &schedule, false),
        Ok(Created::Replayed(id)) => match app.schedules.load(&[id]).await?.pop() {
            Some(schedule) if schedule.key.tenant == app.tenant => created(&app, &schedule, true),
            _ => {
                let detail = "the schedule that was created under this key has been deleted";
                Err(Problem::new(ProblemType::ScheduleNotFound, detail))
            }
        },
        Ok(Created::KeyReused) => {
            Err(Problem::new(ProblemType::IdempotencyKeyReused, "another request came under this key before"))
        }
        Ok(Created::NameTaken) => Err(exists()),
        Ok(Created::TooMany) => {
            let detail = format!("there are {} schedules, more are not allowed", app.limits.schedules_max);
            Err(Problem::new(ProblemType::LimitReached, detail))
        }
        Err(LedgerError::Contended(cause)) if new.idempotency.is_some() => {
            Err(Problem::new(ProblemType::IdempotencyKeyInUse, "a request under this key is being committed")
                .because(cause))
        }
        Err(error) => Err(error.into()),
    }
}

fn exists() -> Problem {
    Problem::new(ProblemType::ScheduleExists, "a schedule has this name already")
}

fn created(app: &App, schedule: &Schedule, replayed: bool) -> Result<Response, Problem> {
    let mut response = shown(app, StatusCode::CREATED, schedule)?;
    let location = format!("/v1/schedules/{}", schedule.key.name);
    let to = response.headers_mut();
    to.insert(header::LOCATION, HeaderValue::try_from(location).map_err(Problem::internal)?);
    if replayed {
        to.insert(headers::IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// What a store would make of it.
fn as_created(new: NewSchedule, now: Timestamp) -> Schedule {
    let NewSchedule { id, key, definition, position, paused, idempotency: _ } = new;
    Schedule {
        id,
        key,
        version: 1,
        paused,
        definition,
        position,
        last_job: None,
        runs: 0,
        problem: None,
        created_at: now,
        updated_at: now,
    }
}
