//! Who submits: payments in several currencies, some held and captured later, some given back.

use super::api::Api;
use anyhow::Context;
use haul_core::payment::Currency;
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::task::JoinSet;

/// Requests at a time.
const AT_ONCE: usize = 24;
/// What is paid in: with two decimals, none and three.
const CURRENCIES: [&str; 4] = ["EUR", "USD", "JPY", "KWD"];

/// A payment that was accepted.
#[derive(Clone)]
struct Paid {
    number: u32,
    id: String,
    amount: u64,
    is_held: bool,
}

/// What they have asked for.
pub(super) struct Customers {
    api: Api,
    seed: u64,
    next: AtomicU32,
    accepted: AtomicU32,
    payments: Mutex<Vec<Paid>>,
}

impl Customers {
    pub(super) fn new(api: Api, seed: u64) -> Self {
        let (next, accepted) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { api, seed, next, accepted, payments: Mutex::default() }
    }

    /// How many requests were accepted so far.
    pub(super) fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The payments that were accepted.
    pub(super) fn payment_ids(&self) -> Vec<String> {
        self.payments().into_iter().map(|paid| paid.id).collect()
    }

    fn payments(&self) -> Vec<Paid> {
        self.payments.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Submits everything, a few at a time.
    pub(super) async fn pay(self: Arc<Self>, payments: u32) -> anyhow::Result<()> {
        let mut working = JoinSet::new();
        for _ in 0..AT_ONCE {
            let customers = self.clone();
            working.spawn(async move {
                loop {
                    let number = customers.next.fetch_add(1, Ordering::Relaxed);
                    if number >= payments {
                        return anyhow::Ok(());
                    }
                    customers.make(number).await?;
                    customers.accepted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while let Some(ended) = working.join_next().await {
            ended.context("a customer gave up")??;
        }
        Ok(())
    }

    async fn make(&self, number: u32) -> anyhow::Result<()> {
        let chance = self.chance(number);
        // A multiple of ten: what providers want where there are three decimals.
        let amount = 100 + chance % 5_000 * 10;
        let currency = CURRENCIES[usize::try_from(chance >> 16)? % CURRENCIES.len()];
        let token = if chance >> 24 & 31 == 0 { "pm_card_visa_chargeDeclined" } else { "pm_card_visa" };
        let is_held = chance >> 32 & 7 == 0;
        let body = json!({
            "amount": amount, "currency": currency, "source": token, "capture": !is_held,
            "description": format!("order {number}"),
        });
        let payment = self.api.post("/v1/payments", &format!("demo-{}-{number}", self.seed), &body).await?;
        let id = payment["id"].as_str().context("a payment without an id")?.to_owned();
        self.payments.lock().unwrap_or_else(PoisonError::into_inner).push(Paid { number, id, amount, is_held });
        Ok(())
    }

    /// Captures what is held, and gives a part of one payment in ten back.
    pub(super) async fn capture_and_refund(&self) -> anyhow::Result<()> {
        let done = self.api.list("/v1/payments?state=succeeded").await?;
        let done: HashSet<&str> = done.iter().filter_map(|payment| payment["id"].as_str()).collect();
        for Paid { number, id, amount, is_held } in self.payments() {
            if !done.contains(id.as_str()) {
                continue;
            }
            let key = format!("demo-{}-{number}-more", self.seed);
            if is_held {
                self.api.post(&format!("/v1/payments/{id}/capture"), &key, &json!({ "amount": amount })).await?;
            } else if number % 10 == 3 {
                let back = (amount / 20 * 10).max(10);
                self.api.post(&format!("/v1/payments/{id}/refunds"), &key, &json!({ "amount": back })).await?;
            }
        }
        Ok(())
    }

    /// How many jobs have no outcome yet.
    pub(super) async fn open(&self) -> anyhow::Result<usize> {
        let mut open = 0;
        for state in ["scheduled", "queued", "running", "retrying"] {
            open += self.api.list(&format!("/v1/jobs?queue=default&state={state}")).await?.len();
        }
        Ok(open)
    }

    /// The same for a number in every run of a seed (SplitMix64).
    fn chance(&self, number: u32) -> u64 {
        let mut z = self.seed.wrapping_add(u64::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// An amount as people write it: `1,234.50`.
pub(super) fn shown(minor: i128, currency: &str) -> String {
    let decimals = Currency::new(currency).map_or(0, |currency| u32::from(currency.exponent()));
    let unit = 10_i128.pow(decimals);
    let (whole, rest) = (minor.abs() / unit, minor.abs() % unit);
    let sign = if minor < 0 { "-" } else { "" };
    let whole = grouped(whole);
    match decimals {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{rest:0width$}", width = decimals as usize),
    }
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number in an answer.
pub(super) fn number(value: &Value) -> i128 {
    i128::from(value.as_i64().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_their_currency_s_decimals() {
        let shown = |minor| ["EUR", "JPY", "KWD"].map(|currency| shown(minor, currency));
        assert_eq!(shown(1_234_567), ["12,345.67", "1,234,567", "1,234.567"]);
        assert_eq!(shown(-5), ["-0.05", "-5", "-0.005"]);
    }
}
