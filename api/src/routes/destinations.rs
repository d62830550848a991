//! `/v1/destinations`: whom jobs call, and who is left alone just now.
//!
//! What is known is the store of pace's, which all workers share. The limits beside it are those of this process's settings:
//! workers with others go by theirs.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod reset;

use crate::{
    app::App,
    problem::{Problem, ProblemType},
};
use haul_core::{
    Timestamp,
    pace::{Destination, Sight},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A destination: scheme, host and port of who is called.
#[derive(Serialize, ToSchema)]
#[schema(as = Destination, example = json!({
    "destination": "https://api.example.com:443",
    "breaker": "open",
    "since": "2026-11-23T09:30:00Z",
    "until": "2026-11-23T09:30:08Z",
    "failures": 5,
    "in_flight": 0,
    "waiting": 117,
    "limits": {"rate": null, "burst": null, "in_flight": 32}
}))]
pub(crate) struct DestinationView {
    /// Its name.
    destination: String,
    /// `closed`: calls go through. `open`: none do. `half-open`: a few do, to find out.
    #[schema(pattern = "^(closed|open|half-open)$")]
    breaker: &'static str,
    /// Since when the breaker is like that.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When calls go through again, because the breaker is open or the destination has asked for a pause; null when they do. An open
    /// breaker whose time has come is half-open from the next call on.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Failures in a row.
    failures: u64,
    /// Calls in flight, of all workers.
    in_flight: u64,
    /// Jobs that wait for it. They use up no attempts.
    waiting: u64,
    /// What it may be called.
    limits: LimitsView,
}

/// What a destination may be called, by the settings `pace.*` of the process that answers.
#[derive(Serialize, ToSchema)]
#[schema(as = DestinationLimits)]
struct LimitsView {
    /// Requests per second; null for any number.
    rate: Option<u32>,
    /// How many of them at once; null where the rate is.
    burst: Option<u32>,
    /// Calls in flight.
    in_flight: u32,
}

impl DestinationView {
    fn of(app: &App, sight: Sight) -> Self {
        let (now, rules) = (app.now(), app.pace_rules.of(&sight.destination));
        let rate = (rules.rate > 0).then_some(rules.rate);
        Self {
            destination: sight.destination.to_string(),
            breaker: sight.breaker.as_str(),
            since: now.minus(sight.unchanged_for),
            until: sight.opens_in.map(|time| now.plus(time)),
            failures: sight.failures,
            in_flight: sight.in_flight,
            waiting: sight.waiting,
            limits: LimitsView { rate, burst: rate.map(|_| rules.burst), in_flight: rules.in_flight },
        }
    }
}

/// A destination as it is known now, or 404.
async fn find(app: &App, destination: &Destination) -> Result<DestinationView, Problem> {
    let sight = app.pace.look(destination).await?.ok_or_else(missing)?;
    Ok(DestinationView::of(app, sight))
}

fn missing() -> Problem {
    Problem::new(ProblemType::DestinationNotFound, "nothing is known of a destination of this name")
}
