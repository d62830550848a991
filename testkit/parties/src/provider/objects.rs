//! What the provider's API shows: PaymentIntents, refunds, errors.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A whole answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn ok(body: &Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_string().into() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A request that is not granted.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// Whether nothing had begun: then nothing is remembered under the key.
    pub(super) is_early: bool,
    error: Map<String, Value>,
}

impl Refusal {
    pub(super) fn new(status: u16, kind: &str, code: Option<&str>, message: impl Into<String>) -> Self {
        let mut error = Map::new();
        error.insert("type".to_owned(), json!(kind));
        if let Some(code) = code {
            error.insert("code".to_owned(), json!(code));
            error.insert("doc_url".to_owned(), json!(format!("https://stripe.com/docs/error-codes/{code}")));
        }
        error.insert("message".to_owned(), json!(message.into()));
        Self { status, is_early: false, error }
    }

    /// The request itself is wrong, in this parameter.
    pub(super) fn parameter(name: &str, code: &str, message: impl Into<String>) -> Self {
        Self {
            is_early: true,
            ..Self::new(400, "invalid_request_error", Some(code), message).noting("param", json!(name))
        }
    }

    pub(super) fn missing(what: &str, id: &str) -> Self {
        let message = format!("No such {what}: '{id}'");
        Self::new(404, "invalid_request_error", Some("resource_missing"), message).noting("param", json!(what))
    }

    pub(super) fn noting(mut self, name: &str, value: Value) -> Self {
        self.error.insert(name.to_owned(), value);
        self
    }

    pub(super) fn answer(&self) -> Answer {
        let body = json!({ "error": self.error }).to_string().into();
        Answer { status: self.status, headers: Vec::new(), body }
    }
}

/// Where a PaymentIntent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    RequiresConfirmation,
    RequiresPaymentMethod,
    RequiresCapture,
    Canceled,
    Succeeded,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresCapture => "requires_capture",
            Self::Canceled => "canceled",
            Self::Succeeded => "succeeded",
        }
    }
}

/// A PaymentIntent.
#[derive(Debug, Clone)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) created_ms: u64,
    pub(super) amount: u64,
    pub(super) currency: String,
    pub(super) status: Status,
    pub(super) is_manual: bool,
    pub(super) payment_method: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) transfer_group: Option<String>,
    pub(super) received: u64,
    pub(super) refunded: u64,
    /// Why it was declined, if it was.
    pub(super) decline: Option<&'static str>,
}

impl Intent {
    pub(super) fn charge_id(&self) -> String {
        self.id.replacen("pi_", "ch_", 1)
    }

    pub(super) fn json(&self) -> Value {
        let is_charged = !matches!(self.status, Status::RequiresConfirmation);
        let last_payment_error = self.decline.map(|code| decline(code, &self.charge_id()));
        let capturable = if self.status == Status::RequiresCapture { self.amount } else { 0 };
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": capturable,
            "amount_received": self.received,
            "capture_method": if self.is_manual { "manual" } else { "automatic" },
            "created": self.created_ms / 1_000,
            "currency": self.currency,
            "last_payment_error": last_payment_error,
            "latest_charge": is_charged.then(|| self.charge_id()),
            "livemode": false,
            "metadata": self.metadata,
            "payment_method": self.payment_method,
            "status": self.status.name(),
            "transfer_group": self.transfer_group,
        })
    }

    /// The charge that confirming it made; none before.
    pub(super) fn charge_json(&self) -> Option<Value> {
        let status = match self.status {
            Status::RequiresConfirmation => return None,
            Status::RequiresPaymentMethod => "failed",
            Status::RequiresCapture | Status::Canceled | Status::Succeeded => "succeeded",
        };
        let failure = self.decline.map(|code| decline(code, &self.charge_id()));
        Some(json!({
            "id": self.charge_id(),
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.received,
            "amount_refunded": self.refunded,
            "captured": self.received > 0,
            "created": self.created_ms / 1_000,
            "currency": self.currency,
            "failure_code": failure.as_ref().map(|failure| failure["code"].clone()),
            "failure_message": failure.as_ref().map(|failure| failure["message"].clone()),
            "livemode": false,
            "metadata": self.metadata,
            "paid": status == "succeeded",
            "payment_intent": self.id,
            "status": status,
            "transfer_group": self.transfer_group,
        }))
    }
}

/// The inner error of a declined charge.
pub(super) fn decline(code: &'static str, charge: &str) -> Value {
    let (error, decline_code) = match code {
        "insufficient_funds" => ("card_declined", "insufficient_funds"),
        "expired_card" => ("expired_card", "expired_card"),
        "authentication_required" => ("authentication_required", "authentication_required"),
        _ => ("card_declined", "generic_decline"),
    };
    json!({
        "type": "card_error",
        "code": error,
        "decline_code": decline_code,
        "charge": charge,
        "message": "Your card was declined.",
    })
}

/// A refund.
#[derive(Debug, Clone)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) created_ms: u64,
    pub(super) intent: String,
    pub(super) amount: u64,
    pub(super) currency: String,
    pub(super) metadata: BTreeMap<String, String>,
}

impl Refund {
    pub(super) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "charge": self.intent.replacen("pi_", "ch_", 1),
            "created": self.created_ms / 1_000,
            "currency": self.currency,
            "metadata": self.metadata,
            "payment_intent": self.intent,
            "status": "succeeded",
        })
    }
}
