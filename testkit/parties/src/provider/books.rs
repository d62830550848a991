//! What was really done: [`Books`].

use super::Fault;
use std::collections::BTreeMap;

/// What moves money, or promises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// An amount was charged and captured in one.
    Charge,
    /// An amount was authorised, to be captured later.
    Authorize,
    /// An authorised amount was captured.
    Capture,
    /// An authorisation was given up.
    Cancel,
    /// A captured amount was given back.
    Refund,
}

/// One amount that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    pub operation: Operation,
    /// The object that it made or changed: `pi_...` or `re_...`.
    pub object: String,
    /// The PaymentIntent that it belongs to.
    pub intent: String,
    /// The idempotency key of the request that did it; empty without one.
    pub idempotency_key: String,
    /// What the client noted on the object.
    pub metadata: BTreeMap<String, String>,
    /// In the currency's smallest unit.
    pub amount: u64,
    /// In lower case, such as `eur`.
    pub currency: String,
}

/// What was moved in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Charged, or authorised and captured.
    pub captured: u64,
    /// Given back.
    pub refunded: u64,
}

impl Totals {
    /// What is left with the merchant.
    #[must_use]
    pub fn net(&self) -> i128 {
        i128::from(self.captured) - i128::from(self.refunded)
    }
}

/// What a client noted on an object, by name.
type Noted<'a> = Vec<(&'a str, &'a str)>;

/// Everything that a provider was made to do.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// Every amount that was moved, in order.
    pub movements: Vec<Movement>,
    /// Requests that were received.
    pub requests: u64,
    /// Requests that were answered from memory, under their idempotency key.
    pub replayed: u64,
    /// Charges that were declined.
    pub declined: u64,
    /// How often each fault struck.
    pub faults: BTreeMap<Fault, u64>,
}

impl Books {
    /// What was moved, by currency.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<String, Totals> {
        let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
        for movement in &self.movements {
            let of_currency = totals.entry(movement.currency.clone()).or_default();
            match movement.operation {
                Operation::Charge | Operation::Capture => of_currency.captured += movement.amount,
                Operation::Refund => of_currency.refunded += movement.amount,
                Operation::Authorize | Operation::Cancel => {}
            }
        }
        totals
    }

    /// What was done more than once: an operation on things that the client noted the same `metadata` on, leaving out the
    /// names of `except`; with the idempotency keys under which it was done. Objects without metadata are not compared.
    #[must_use]
    pub fn applied_twice(&self, except: &[&str]) -> Vec<(Operation, Vec<String>)> {
        let mut done: BTreeMap<(Operation, Noted<'_>), Vec<String>> = BTreeMap::new();
        for movement in &self.movements {
            let noted = movement.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let noted: Noted<'_> = noted.filter(|(name, _)| !except.contains(name)).collect();
            if !noted.is_empty() {
                let operation = match movement.operation {
                    // Both take the customer's money: one of each is one too many.
                    Operation::Authorize => Operation::Charge,
                    other => other,
                };
                done.entry((operation, noted)).or_default().push(movement.idempotency_key.clone());
            }
        }
        done.into_iter().filter(|(_, keys)| keys.len() > 1).map(|((operation, _), keys)| (operation, keys)).collect()
    }

    /// How many faults struck.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.faults.values().sum()
    }
}
