//! `POST /v1/payments/webhook`: the provider says that something happened.
//!
//! An event is believed to come from the provider, and nothing else of it is: it never sets a state. It makes a job look up the
//! operations that it may be about and that are open, as a rerun does, at most one at a time; so the order and the number of
//! events do not matter. The signature is the authentication: this path wants no key. What is not signed, or was signed too
//! long ago, is refused before its body is read.

mod look_up;
mod signature;

use crate::{
    app::App,
    headers,
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
    routes::json,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use futures::future::BoxFuture;
use haul_core::payment::{METADATA_OPERATION, METADATA_PAYMENT, PaymentId};
use http::{HeaderName, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use signature::Signature;
use std::sync::Arc;
use utoipa::ToSchema;

/// Where the provider's events arrive.
pub(crate) const PATH: &str = "/v1/payments/webhook";
/// Bytes of an event: Stripe's have a few thousand.
const BODY_BYTES_MAX: usize = 256 * 1_024;
/// Characters of an event's id.
const ID_CHARS_MAX: usize = 255;
const SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");
/// What the group of a payment's charges is called at the provider, before its id.
const GROUP: &str = "haul_";

/// What the provider signs its events with, read anew for each; an error says what an operator can mend.
pub type WebhookSecret =
    Arc<dyn Fn() -> BoxFuture<'static, Result<SecretString, Box<dyn std::error::Error + Send + Sync>>> + Send + Sync>;

/// What came of an event.
#[derive(Serialize, ToSchema)]
pub(crate) struct Received {
    /// `true`: it was taken in, now or before.
    received: bool,
    /// Whether it had been taken in before.
    duplicate: bool,
}

/// What is read of an event.
#[derive(Deserialize)]
struct Event {
    id: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

/// What an event may be about.
struct About {
    payment: PaymentId,
    /// `None`: any of them.
    operation: Option<u32>,
}

/// Takes in an event of the payment provider.
///
/// For the provider alone, which signs what it sends (`Stripe-Signature`): no key is needed. What it says is looked up; an
/// event that came before changes nothing.
#[utoipa::path(
    post,
    path = "/v1/payments/webhook",
    tag = "payments",
    operation_id = "receivePaymentEvent",
    params(("Stripe-Signature" = String, Header, description = "`t=SECONDS,v1=HEX`, not older than five minutes.")),
    request_body(content = Object, description = "The provider's event."),
    responses(
        (status = OK, description = "It was taken in.", body = Received),
        (status = "4XX", description = "It was not taken in.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn webhook(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let refuse = |why: &str| Problem::new(ProblemType::UntrustedEvent, format!("{SIGNATURE} {why}"));
    let unset = || refuse("cannot be checked: payments.webhook_secret is not set");
    let secret = app.webhook_secret.as_ref().ok_or_else(unset)?;
    let header = headers::one(request.headers(), &SIGNATURE)?.ok_or_else(|| refuse("is missing"))?.to_owned();
    let signature = Signature::read(&header).map_err(refuse)?;
    if !signature.is_recent(app.now()) {
        return Err(refuse("was made more than five minutes ago, or by a clock that is off by as much"));
    }
    let body = app.json_body_within(request, BODY_BYTES_MAX).await?;
    let secret = secret().await.map_err(Problem::internal)?;
    if !signature.is_of(&body, secret.expose_secret().as_bytes()) {
        return Err(refuse("is not of this body and our secret"));
    }
    let event = read(&body)?;
    let duplicate = app.books.is_noted(&event.id).await?;
    if !duplicate {
        if let Some(about) = about(&event.data.object) {
            look_up::wake(&app, about.payment, about.operation).await?;
        }
        // Noted last: an event that is cut off here comes again, and a look-up more does no harm.
        app.books.note(&event.id).await?;
    }
    json(StatusCode::OK, &Received { received: true, duplicate })
}

fn read(body: &[u8]) -> Result<Event, Problem> {
    let malformed = |what: &'static str| Problem::new(ProblemType::MalformedJson, what);
    let event: Event = serde_json::from_slice(body).map_err(|_| malformed("the body is no event of the provider's"))?;
    let is_plain = event.id.len() <= ID_CHARS_MAX && event.id.bytes().all(|byte| byte.is_ascii_graphic());
    if event.id.is_empty() || !is_plain {
        return Err(malformed("the event's id is not 1 to 255 visible ASCII characters"));
    }
    Ok(event)
}

/// Which payment of ours an event names, if it names one.
fn about(object: &Value) -> Option<About> {
    let noted = |name: &str| object["metadata"][name].as_str();
    let group = || object["transfer_group"].as_str().and_then(|group| group.strip_prefix(GROUP));
    let payment = noted(METADATA_PAYMENT).or_else(group)?.parse().ok()?;
    // What was charged stands for its captures and refunds, too; only a refund is an operation of its own.
    let is_refund = object["object"] == "refund";
    let operation = noted(METADATA_OPERATION).filter(|_| is_refund).and_then(|number| number.parse().ok());
    Some(About { payment, operation })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "0192f0c1-2b3c-7d4e-8f50-123456789abc";

    #[test]
    fn an_event_names_a_payment_by_its_metadata_or_its_group() {
        let named = |object: Value| about(&object).map(|about| (about.payment.to_string(), about.operation));
        let own = |kind: &str| json!({"object": kind, "metadata": {"haul_payment": ID, "haul_operation": "3"}});
        assert_eq!(named(own("refund")), Some((ID.to_owned(), Some(3))));
        assert_eq!(named(own("payment_intent")), Some((ID.to_owned(), None)));
        let grouped = json!({"object": "charge", "transfer_group": format!("haul_{ID}")});
        assert_eq!(named(grouped), Some((ID.to_owned(), None)));
        for foreign in
            [json!({}), json!(null), json!({"metadata": {"haul_payment": "7"}}), json!({"transfer_group": ID})]
        {
            assert_eq!(named(foreign), None);
        }
    }

    #[test]
    fn an_event_without_an_id_that_can_be_kept_is_refused() {
        let read = |id: &str| read(json!({"id": id, "data": {"object": {}}}).to_string().as_bytes()).is_ok();
        assert!(read("evt_1") && read(&"e".repeat(255)));
        assert!(!read("") && !read("evt 1") && !read("evt\u{0}") && !read(&"e".repeat(256)));
    }
}
