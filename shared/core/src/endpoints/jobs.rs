//! The jobs that events are made of: what those who accept them and those who run them agree on.
//!
//! An event is a job whose payload is, byte for byte, what endpoints receive. Running it accepts one delivery, a job too, for
//! each endpoint that wants it, together with its success: all of them or none. So events and deliveries are kept,
//! listed, retried, cancelled and run again as jobs are.

use super::{EndpointId, EventType};
use crate::{id::JobId, outcome::FinalState, policy::RetryPolicy, span::Span, time::Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

/// An event that is to be delivered to everyone who wants it.
pub const EVENT_KIND: &str = "webhook.event";
/// An event that is to be delivered to one endpoint.
pub const DELIVER_KIND: &str = "webhook.deliver";
/// Deliveries of the past that are to be made again.
pub const REPLAY_KIND: &str = "webhook.replay";
/// Where all of them wait.
pub const WEBHOOKS_QUEUE: &str = "webhooks";
/// The tag that names the endpoint of a delivery.
pub const ENDPOINT_TAG: &str = "haul.endpoint";
/// The tag that names the event of a delivery.
pub const EVENT_TAG: &str = "haul.event";
/// The tag that names an event's type.
pub const EVENT_TYPE_TAG: &str = "haul.event_type";

/// Bytes of an event's data: a delivery's payload holds a few more, and has to fit too.
pub const EVENT_BYTES_MAX: usize = 255 * 1_024;
/// How long every delivery to an endpoint may fail until it is disabled.
pub const FAILING_MAX: Duration = Duration::from_secs(5 * 24 * 3_600);

/// When a delivery is tried again: soon at first, then less and less often, for three days.
pub fn delivery_retry() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 40,
        base: Span::from_secs(5),
        cap: Span::from_secs(6 * 3_600),
        max_age: Span::from_secs(3 * 24 * 3_600),
    }
}

/// What endpoints receive, as Standard Webhooks wants it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event<'a> {
    /// What happened.
    pub r#type: EventType,
    /// When.
    pub timestamp: Timestamp,
    /// What there is to know about it, byte for byte as it was submitted.
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// The payload of a delivery.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// To whom.
    pub endpoint: EndpointId,
    /// The event's job; also what the receiver knows it by, however often it comes.
    pub event: JobId,
    /// What is sent, byte for byte.
    pub body: Box<RawValue>,
}

/// The payload of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Whose deliveries.
    pub endpoint: EndpointId,
    /// Those that were accepted at or after.
    pub since: Timestamp,
    /// Those that were accepted before.
    pub until: Timestamp,
    /// Only those that ended so; `None`: all that have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FinalState>,
    /// Where it goes on, from the newest to the oldest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<JobId>,
}

/// What came of one attempt of a delivery: its job's result, or the detail of its failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryAttempt {
    /// The HTTP status of the answer; `None`: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long the answer took.
    pub latency_ms: u64,
    /// The beginning of the answer's body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}
