//! What is sent for an operation, byte for byte: form-encoded, names in order.
//!
//! It depends on the payment alone, so that the same operation is always the same request; and it is stored before it is sent.

use super::amount;
use haul_core::payment::{
    METADATA_OPERATION, METADATA_PAYMENT, Operation, OperationKind, Payment, PaymentId, ProviderRequest,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;

/// Where charges are made. See decision 0156.
const INTENTS: &str = "/v1/payment_intents";
/// Where money is given back.
pub(super) const REFUNDS: &str = "/v1/refunds";
/// What the path of a capture ends with.
const CAPTURE: &str = "/capture";
/// All that is not unreserved (RFC 3986).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Our own names in an object's metadata begin so.
const OWN: &str = "haul_";

/// What a request or an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Charge,
    Capture,
    Refund,
}

impl About {
    /// By the path that it is posted to.
    pub(super) fn of(path: &str) -> Self {
        match path {
            REFUNDS => Self::Refund,
            path if path.ends_with(CAPTURE) => Self::Capture,
            _ => Self::Charge,
        }
    }
}

/// The group by which all charges of a payment are found again, whichever key they were sent under.
pub(super) fn group(payment: PaymentId) -> String {
    format!("haul_{payment}")
}

/// The path of what was charged.
pub(super) fn intent(id: &str) -> String {
    format!("{INTENTS}/{}", escaped(id))
}

/// What the first send of an operation says.
pub(super) fn of(payment: &Payment, operation: &Operation) -> ProviderRequest {
    let charged = payment.charged_object().unwrap_or_default();
    let amount = amount::sent(operation.amount, payment.amount.currency());
    let (path, form) = match operation.kind {
        OperationKind::Charge => (INTENTS.to_owned(), charge(payment, operation, amount)),
        // No metadata: it would overwrite the charge's, by which that is known.
        OperationKind::Capture => {
            (intent(charged) + CAPTURE, BTreeMap::from([("amount_to_capture".to_owned(), amount)]))
        }
        OperationKind::Refund => {
            let mut form = ours(payment, operation);
            form.insert("amount".to_owned(), amount);
            form.insert("payment_intent".to_owned(), charged.to_owned());
            (REFUNDS.to_owned(), form)
        }
    };
    ProviderRequest { path, body: encode(&form).into() }
}

fn charge(payment: &Payment, operation: &Operation, amount: String) -> BTreeMap<String, String> {
    let mut form = ours(payment, operation);
    let theirs = payment.metadata.iter().filter(|(name, _)| !name.starts_with(OWN));
    form.extend(theirs.map(|(name, value)| (format!("metadata[{name}]"), value.clone())));
    let currency = payment.amount.currency().as_str().to_ascii_lowercase();
    let capture = if payment.capture { "automatic" } else { "manual" };
    for (name, value) in [
        ("amount", amount.as_str()),
        // Nobody is there to be sent to another page, or to be asked.
        ("automatic_payment_methods[allow_redirects]", "never"),
        ("automatic_payment_methods[enabled]", "true"),
        ("capture_method", capture),
        ("confirm", "true"),
        ("currency", &currency),
        ("error_on_requires_action", "true"),
        ("payment_method", &payment.source),
        ("transfer_group", &group(payment.id)),
    ] {
        form.insert(name.to_owned(), value.to_owned());
    }
    if let Some(description) = &payment.description {
        form.insert("description".to_owned(), description.clone());
    }
    form
}

fn ours(payment: &Payment, operation: &Operation) -> BTreeMap<String, String> {
    let named = |name: &str| format!("metadata[{name}]");
    BTreeMap::from([
        (named(METADATA_PAYMENT), payment.id.to_string()),
        (named(METADATA_OPERATION), operation.number.to_string()),
    ])
}

fn encode(form: &BTreeMap<String, String>) -> String {
    let pairs = form.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
