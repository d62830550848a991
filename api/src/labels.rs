//! What is counted of requests. Handles are looked up once per route, method and status.

use haul_core::telemetry::{
    self,
    cap::{OTHER, ROUTES_MAX},
};
use http::{Method, StatusCode};
use metrics::{Counter, Histogram};
use parking_lot::RwLock;
use std::{collections::HashMap, time::Duration};

/// The route of what no route matched.
const NO_ROUTE: &str = "none";

/// Counts answered requests.
#[derive(Default)]
pub(crate) struct Requests(RwLock<HashMap<Box<str>, Route>>);

/// What is counted of a route, by method and status.
type Route = HashMap<(&'static str, StatusCode), Series>;

#[derive(Clone)]
struct Series {
    answered: Counter,
    seconds: Histogram,
}

impl Requests {
    /// Counts one. `took` is how long it took, unless it waited because it was asked to.
    pub(crate) fn count(&self, route: Option<&str>, method: &Method, status: StatusCode, took: Option<Duration>) {
        let (route, method) = (route.unwrap_or(NO_ROUTE), word(method));
        let series = self.series(route, method, status);
        series.answered.increment(1);
        if let Some(took) = took {
            series.seconds.record(took);
        }
    }

    fn series(&self, route: &str, method: &'static str, status: StatusCode) -> Series {
        if let Some(series) = self.0.read().get(route).and_then(|route| route.get(&(method, status))) {
            return series.clone();
        }
        let mut routes = self.0.write();
        let is_known = routes.contains_key(route) || routes.len() < ROUTES_MAX;
        let route = if is_known { route } else { OTHER };
        let labels = [("route", route.to_owned()), ("method", method.to_owned())];
        let seconds = metrics::histogram!(telemetry::HTTP_REQUEST_SECONDS, &labels);
        let [route_label, method_label] = labels;
        let labels = [route_label, method_label, ("status", status.as_str().to_owned())];
        let series = Series { answered: metrics::counter!(telemetry::HTTP_REQUESTS_TOTAL, &labels), seconds };
        routes.entry(route.into()).or_default().insert((method, status), series.clone());
        series
    }
}

/// Anybody may make up a method.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}
