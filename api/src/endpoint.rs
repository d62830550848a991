//! Endpoints of webhooks as requests describe them and as answers show them.

use crate::{
    draft::Rules,
    fields::{Fields, pointer_of},
    problem::{Problem, ProblemType},
    reader::Reader,
    refusals::Refusals,
};
use haul_core::{
    Timestamp,
    endpoints::{Disabled, Endpoint, EndpointSettings, Subscription},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Subscriptions of one endpoint.
const EVENTS_MAX: usize = 100;
/// Characters of a description.
const DESCRIPTION_CHARS_MAX: usize = 500;
/// Bytes of a URL.
const URL_BYTES_MAX: usize = 2_048;

/// An endpoint, without its keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointView {
    /// Its id.
    id: uuid::Uuid,
    /// Where deliveries go.
    #[schema(examples("https://example.com/hooks"))]
    url: String,
    /// For people.
    description: String,
    /// Which events it wants: types, or `words.*` for all that begin so; none: all.
    events: Vec<String>,
    /// Whether events are delivered to it.
    enabled: bool,
    /// Why not: `owner` (somebody said so), `failing` (every delivery failed, for five days) or `gone` (it answered 410).
    #[schema(value_type = Option<String>, examples("failing"))]
    disabled: Option<Disabled>,
    /// Since when every delivery has failed, if the last one did.
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<Timestamp>,
    /// Until when deliveries are signed with the key before the current one, too.
    #[schema(value_type = Option<String>, format = DateTime)]
    overlap_ends_at: Option<Timestamp>,
    /// What deliveries are signed with, `whsec_...`: only in the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl EndpointView {
    /// The endpoint as it is; with its newest key if that is to be shown.
    pub(crate) fn of(endpoint: &Endpoint, now: Timestamp, shows_key: bool) -> Self {
        let EndpointSettings { url, description, events } = &endpoint.settings;
        Self {
            id: endpoint.id.0,
            url: url.clone(),
            description: description.clone(),
            events: events.iter().map(ToString::to_string).collect(),
            enabled: endpoint.disabled.is_none(),
            disabled: endpoint.disabled,
            failing_since: endpoint.failing_since,
            overlap_ends_at: endpoint.keys.overlap_ends_at(now),
            secret: endpoint.keys.valid(now).next().filter(|_| shows_key).map(|key| key.reveal()),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

/// A page of endpoints.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointPage {
    /// In the order of their creation.
    pub(crate) data: Vec<EndpointView>,
    /// Whether more follow.
    pub(crate) has_more: bool,
    /// Where they follow.
    pub(crate) next_cursor: Option<String>,
}

/// An endpoint as a request wants it.
pub(crate) struct Wish {
    pub(crate) settings: EndpointSettings,
    pub(crate) enabled: Option<bool>,
}

/// Judges a body: everything that is wrong is told at once. `before`: what stays as it is unless the body says otherwise.
pub(crate) fn wish(
    fields: &Fields<'_>,
    before: Option<&EndpointSettings>,
    rules: &Rules,
    now: Timestamp,
) -> Result<Wish, Problem> {
    let mut reader = Reader::new("", now);
    let Fields::Object(members) = fields else {
        reader.fail("", "must be an object");
        return Err(reader.into_problem(ProblemType::InvalidRequest));
    };
    let nothing = EndpointSettings { url: String::new(), description: String::new(), events: Vec::new() };
    let mut settings = before.cloned().unwrap_or(nothing);
    let mut enabled = None;
    for (name, value) in members {
        match &**name {
            "url" => settings.url = url(&mut reader, value, &*rules.refusals).unwrap_or_default(),
            "description" if *value == "null" => settings.description = String::new(),
            "description" => settings.description = description(&mut reader, value).unwrap_or_default(),
            "events" if *value == "null" => settings.events = Vec::new(),
            "events" => settings.events = events(&mut reader, value),
            "enabled" if before.is_some() => enabled = reader.flag("/enabled", value),
            unknown => reader.fail(&pointer_of(unknown), "is not a field of an endpoint"),
        }
    }
    if before.is_none() && !members.iter().any(|(name, _)| name == "url") {
        reader.fail("/url", "is required");
    }
    if reader.errors.is_empty() {
        Ok(Wish { settings, enabled })
    } else {
        Err(reader.into_problem(ProblemType::InvalidRequest))
    }
}

/// A URL that something may be sent to, as far as can be told without looking its name up. Never echoed: it may hold a secret.
fn url(reader: &mut Reader<'_>, value: &str, refusals: &dyn Refusals) -> Option<String> {
    let text = reader.text("/url", value)?;
    if text.len() > URL_BYTES_MAX {
        reader.fail("/url", format!("has {} bytes, at most {URL_BYTES_MAX} are allowed", text.len()));
        return None;
    }
    match refusals.judge_url(&text) {
        Ok(()) => Some(text.into_owned()),
        Err(refusal) => {
            reader.fail("/url", refusal);
            None
        }
    }
}

fn description(reader: &mut Reader<'_>, value: &str) -> Option<String> {
    let text = reader.text("/description", value)?;
    let chars = text.chars().count();
    if chars > DESCRIPTION_CHARS_MAX {
        reader.fail("/description", format!("has {chars} characters, at most {DESCRIPTION_CHARS_MAX} are allowed"));
        return None;
    }
    Some(text.into_owned())
}

fn events(reader: &mut Reader<'_>, value: &str) -> Vec<Subscription> {
    let items = reader.array("/events", value);
    if items.len() > EVENTS_MAX {
        reader.fail("/events", format!("has {} items, at most {EVENTS_MAX} are allowed", items.len()));
        return Vec::new();
    }
    let read = |(n, item): (usize, &&str)| reader.parse::<Subscription>(&format!("/events/{n}"), item);
    items.iter().enumerate().filter_map(read).collect()
}
