//! Filters of job lists, as clients write them.

use crate::{
    query::Query,
    reader::{tag_name_fault, tag_value_fault},
};
use haul_core::{
    FinalState, JobState, Timestamp,
    ledger::{Filter, StateFilter},
};

/// Why a text names no state.
const STATES: &str = "must be scheduled, queued, running, retrying, succeeded, dead or cancelled";

/// Reads the filters of `GET /v1/jobs`; what is wrong is noted in the query. The state is kept apart: the ledger knows
/// only a part of it.
pub(crate) fn from_query(query: &mut Query<'_>) -> (Filter, Option<JobState>) {
    let state = query.text("state").and_then(|text| {
        let state = state(&text);
        if state.is_none() {
            query.fail("state", STATES);
        }
        state
    });
    let tag = query.text("tag").and_then(|text| match tag(&text) {
        Ok(tag) => Some(tag),
        Err(fault) => {
            query.fail("tag", fault);
            None
        }
    });
    let filter = Filter {
        queue: query.parse("queue"),
        kind: query.parse("kind"),
        tag,
        state: state.map(of_ledger),
        created_from: query.parse("created_from"),
        created_before: query.parse("created_before"),
    };
    (filter, state)
}

/// The state of this name.
fn state(name: &str) -> Option<JobState> {
    use JobState::{Cancelled, Dead, Queued, Retrying, Running, Scheduled, Succeeded};
    Some(match name {
        "scheduled" => Scheduled,
        "queued" => Queued,
        "running" => Running,
        "retrying" => Retrying,
        "succeeded" => Succeeded,
        "dead" => Dead,
        "cancelled" => Cancelled,
        _ => return None,
    })
}

/// What the ledger can tell of a state.
fn of_ledger(state: JobState) -> StateFilter {
    state.as_final().map_or(StateFilter::Unsettled, StateFilter::Final)
}

/// A tag written `name:value`.
pub(crate) fn tag(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("must be a name, a colon and a value")?;
    match tag_name_fault(name).or(tag_value_fault(value)) {
        Some(fault) => Err(fault),
        None => Ok((name.to_owned(), value.to_owned())),
    }
}

/// Tells a list from all others, for its cursors. Every part carries its length.
pub(crate) fn identity(list: &str, tenant: &str, filter: &Filter, state: Option<JobState>) -> String {
    let time = |time: Option<Timestamp>| time.map(|time| time.as_ms().to_string());
    let state = state.map(|state| format!("{state:?}")).or(filter.state.map(|state| match state {
        StateFilter::Final(state) => FinalState::as_str(state).to_owned(),
        StateFilter::Unsettled => "unsettled".to_owned(),
    }));
    let parts = [
        Some(list.to_owned()),
        Some(tenant.to_owned()),
        filter.queue.as_ref().map(ToString::to_string),
        filter.kind.as_ref().map(ToString::to_string),
        filter.tag.as_ref().map(|(name, _)| name.clone()),
        filter.tag.as_ref().map(|(_, value)| value.clone()),
        state,
        time(filter.created_from),
        time(filter.created_before),
    ];
    let spell = |part: Option<String>| part.map_or("-".to_owned(), |text| format!("{}:{text}", text.len()));
    parts.map(spell).join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_filters_are_different_lists() {
        let tag = |name: &str, value: &str| Filter { tag: Some((name.into(), value.into())), ..Filter::default() };
        let identity = |filter: &Filter| identity("jobs", "default", filter, None);
        assert_ne!(identity(&tag("a", "b,1:c")), identity(&tag("a,1:b", "c")));
        assert_ne!(identity(&Filter::default()), identity(&tag("a", "")));
    }

    #[test]
    fn a_tag_is_split_at_its_first_colon() {
        assert_eq!(super::tag("url:http://x"), Ok(("url".into(), "http://x".into())));
        assert!(super::tag("plain").is_err() && super::tag(":x").is_err() && super::tag("a:\u{0}").is_err());
    }
}
