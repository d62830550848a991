//! What the provider says, by what is done next. Pure.
//!
//! Only a whole 2xx with an object that can be read is a success. What does not say for sure that nothing was done counts as
//! not known: it is looked up.

use super::{amount, request::About};
use haul_core::payment::{Answer, METADATA_OPERATION, METADATA_PAYMENT, Object, ObjectState};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use serde_json::Value;
use std::time::Duration;

/// Says that the answer was given before, under the same key.
const REPLAYED: &str = "idempotent-replayed";
/// The provider's advice.
const SHOULD_RETRY: &str = "stripe-should-retry";
/// The longest pause that a provider may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Characters of the provider's words that are kept.
const WORDS_MAX: usize = 300;

/// What a send came to.
pub(super) fn read(about: About, answer: &haul_outgoing::Answer) -> Answer {
    let haul_outgoing::Answer { status, headers, body, truncated } = answer;
    let (after, advice) = (retry_after(headers), header(headers, SHOULD_RETRY));
    let is_replayed = header(headers, REPLAYED) == Some("true");
    let value = || if *truncated { None } else { serde_json::from_slice::<Value>(body).ok() };
    match status.as_u16() {
        200..=299 => match value().and_then(|value| object(about, &value)) {
            Some(object) => Answer::Done(object),
            None => Answer::Unknown { after },
        },
        401 | 403 | 429 => Answer::TurnedAway { after },
        500..=599 if is_replayed || advice == Some("false") => Answer::Spent,
        400 | 402 | 404 | 422 => refused(about, value(), *status),
        // 409: an earlier send of the same key is under way, and may still be carried out, whatever the advice. Anything
        // else is not the provider itself.
        _ => Answer::Unknown { after },
    }
}

/// A request that the provider will not carry out.
fn refused(about: About, value: Option<Value>, status: StatusCode) -> Answer {
    let Some(error) = value.as_ref().and_then(|value| value.get("error")).filter(|error| error.is_object()) else {
        // Not the provider's words: something in between has answered.
        return Answer::Unknown { after: None };
    };
    let text = |name: &str| error[name].as_str().unwrap_or_default();
    match (text("type"), text("code")) {
        // The key belongs to another request: something was done under it, and it is of no use any more.
        ("idempotency_error", _) => Answer::Spent,
        // It may be captured already: by us.
        (_, "payment_intent_unexpected_state") if about == About::Capture => Answer::Unknown { after: None },
        _ => Answer::Declined { code: code(error, status), message: words(text("message")) },
    }
}

fn code(error: &Value, status: StatusCode) -> String {
    let said = ["decline_code", "code", "type"].into_iter().find_map(|name| error[name].as_str());
    said.map_or_else(|| format!("http_{}", status.as_u16()), words)
}

/// The object in an answer: a PaymentIntent, a charge or a refund. None when it is none, or not one of these.
pub(super) fn object(about: About, value: &Value) -> Option<Object> {
    let text = |name: &str| value[name].as_str();
    let (id, state, told) = match text("object")? {
        "payment_intent" => {
            (text("id")?, intent_state(value)?, if about == About::Capture { "amount_received" } else { "amount" })
        }
        // What is charged goes by its intent.
        "charge" => (text("payment_intent")?, charge_state(value)?, "amount"),
        "refund" => (text("id")?, refund_state(value)?, "amount"),
        _ => return None,
    };
    let metadata = |name: &str| value["metadata"][name].as_str();
    let currency = text("currency")?.to_owned();
    Some(Object {
        id: id.to_owned(),
        payment: metadata(METADATA_PAYMENT).and_then(|id| id.parse().ok()),
        // On an intent stands the charge's.
        operation: metadata(METADATA_OPERATION)
            .filter(|_| about != About::Capture)
            .and_then(|number| number.parse().ok()),
        state,
        amount: amount::received(value[told].as_i64()?, &currency)?,
        currency,
    })
}

fn intent_state(value: &Value) -> Option<ObjectState> {
    let error = &value["last_payment_error"];
    Some(match value["status"].as_str()? {
        "succeeded" | "requires_capture" => ObjectState::Done,
        "processing" => ObjectState::Processing,
        "canceled" => declined("canceled", "It was cancelled at the provider."),
        "requires_payment_method" | "requires_action" | "requires_confirmation" => ObjectState::Declined {
            code: code(error, StatusCode::PAYMENT_REQUIRED),
            message: words(error["message"].as_str().unwrap_or("It was not confirmed.")),
        },
        _ => return None,
    })
}

fn charge_state(value: &Value) -> Option<ObjectState> {
    Some(match value["status"].as_str()? {
        "succeeded" => ObjectState::Done,
        "pending" => ObjectState::Processing,
        "failed" => declined(
            value["failure_code"].as_str().unwrap_or("failed"),
            value["failure_message"].as_str().unwrap_or("The charge has failed."),
        ),
        _ => return None,
    })
}

fn refund_state(value: &Value) -> Option<ObjectState> {
    Some(match value["status"].as_str()? {
        "succeeded" => ObjectState::Done,
        "pending" | "requires_action" => ObjectState::Processing,
        "failed" | "canceled" => {
            declined(value["failure_reason"].as_str().unwrap_or("failed"), "The refund was not carried out.")
        }
        _ => return None,
    })
}

fn declined(code: &str, message: &str) -> ObjectState {
    ObjectState::Declined { code: words(code), message: words(message) }
}

/// What is kept of the provider's words.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect()
}

/// In seconds; a date is no use without the provider's clock.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(PAUSE_MAX))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use serde_json::json;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &Value) -> haul_outgoing::Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        let (status, body) = (StatusCode::from_u16(status).unwrap(), body.to_string().into());
        haul_outgoing::Answer { status, headers: headers.collect(), body, truncated: false }
    }

    fn error(kind: &str, code: &str) -> Value {
        json!({ "error": { "type": kind, "code": code, "message": "words" } })
    }

    #[test]
    fn each_answer_says_what_is_done_next() {
        let unknown = Answer::Unknown { after: None };
        let declined = |code: &str| Answer::Declined { code: code.to_owned(), message: "words".to_owned() };
        let nothing = json!({});
        for (about, status, headers, body, expected) in [
            (About::Charge, 402, &[][..], error("card_error", "card_declined"), declined("card_declined")),
            (
                About::Charge,
                400,
                &[],
                error("invalid_request_error", "parameter_unknown"),
                declined("parameter_unknown"),
            ),
            (About::Charge, 400, &[], nothing.clone(), unknown.clone()),
            (About::Charge, 400, &[], error("idempotency_error", ""), Answer::Spent),
            (About::Capture, 400, &[], error("", "payment_intent_unexpected_state"), unknown.clone()),
            (About::Charge, 401, &[], nothing.clone(), Answer::TurnedAway { after: None }),
            (
                About::Charge,
                429,
                &[("retry-after", "3")],
                nothing.clone(),
                Answer::TurnedAway { after: Some(Duration::from_secs(3)) },
            ),
            (About::Charge, 409, &[("stripe-should-retry", "true")], nothing.clone(), unknown.clone()),
            (About::Charge, 409, &[("stripe-should-retry", "false")], nothing.clone(), unknown.clone()),
            (About::Charge, 500, &[("stripe-should-retry", "false")], nothing.clone(), Answer::Spent),
            (About::Charge, 500, &[], nothing.clone(), unknown.clone()),
            (About::Charge, 503, &[("idempotent-replayed", "true")], nothing.clone(), Answer::Spent),
            (About::Charge, 302, &[], nothing.clone(), unknown.clone()),
            // A success of which nothing can be read is none, and no failure either.
            (About::Charge, 200, &[], nothing.clone(), unknown.clone()),
        ] {
            assert_eq!(read(about, &answer(status, headers, &body)), expected, "{about:?} {status} {headers:?} {body}");
        }
    }

    #[test]
    fn an_answer_that_was_cut_short_is_not_known() {
        let intent =
            json!({ "object": "payment_intent", "id": "pi_1", "status": "succeeded", "amount": 1, "currency": "eur" });
        let whole = answer(200, &[], &intent);
        assert!(matches!(read(About::Charge, &whole), Answer::Done(_)));
        let cut = haul_outgoing::Answer { truncated: true, ..whole };
        assert_eq!(read(About::Charge, &cut), Answer::Unknown { after: None });
    }

    #[test]
    fn objects_tell_whose_they_are_and_how_far_they_have_come() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let intent = |status: &str| {
            json!({
                "object": "payment_intent", "id": "pi_1", "status": status, "amount": 900, "amount_received": 500, "currency": "eur",
                "metadata": { "haul_payment": id, "haul_operation": "1" },
            })
        };
        let charged = object(About::Charge, &intent("requires_capture")).unwrap();
        assert_eq!((charged.payment, charged.operation), (Some(id.parse().unwrap()), Some(1)));
        assert_eq!((charged.state, charged.amount), (ObjectState::Done, 900));
        let captured = object(About::Capture, &intent("succeeded")).unwrap();
        assert_eq!((captured.operation, captured.amount), (None, 500));
        assert!(matches!(object(About::Charge, &intent("canceled")).unwrap().state, ObjectState::Declined { .. }));
        assert_eq!(object(About::Charge, &intent("a_new_one")), None, "a state that is not known is no success");

        let failed = json!({ "object": "charge", "payment_intent": "pi_1", "status": "failed", "failure_code": "card_declined",
            "amount": 900, "currency": "eur", "metadata": {} });
        let failed = object(About::Charge, &failed).unwrap();
        assert_eq!((failed.id.as_str(), failed.payment), ("pi_1", None));
        assert!(matches!(failed.state, ObjectState::Declined { code, .. } if code == "card_declined"));
    }
}
