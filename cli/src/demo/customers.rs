//! Who submits: orders, each of which is paid, told of by mail, and an event for whoever is subscribed. Payments are in several
//! currencies, some are held and captured later, some given back.

use super::{api::Api, chance::chance, parties::SUBJECT, told::Letter};
use anyhow::Context;
use haul_core::payment::Currency;
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::task::JoinSet;

/// Requests at a time.
const AT_ONCE: usize = 24;
/// What is paid in: with two decimals, none and three.
const CURRENCIES: [&str; 4] = ["EUR", "USD", "JPY", "KWD"];
/// Who the mails are from. Their ids end in its domain.
pub(super) const SENDER: &str = "shop@shop.example";
/// Where jobs of payments and mails wait, and where those of events do.
pub(super) const QUEUES: [&str; 2] = ["default", "webhooks"];
/// States of a job without an outcome, in the order in which a job passes through them.
const OPEN: [&str; 4] = ["scheduled", "queued", "running", "retrying"];

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
    orders: Mutex<Orders>,
}

/// What was accepted.
#[derive(Default)]
struct Orders {
    payments: Vec<Paid>,
    mails: BTreeSet<Letter>,
    events: BTreeSet<Letter>,
}

impl Customers {
    pub(super) fn new(api: Api, seed: u64) -> Self {
        let (next, accepted) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { api, seed, next, accepted, orders: Mutex::default() }
    }

    /// How many orders were accepted so far, with all that belongs to each.
    pub(super) fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The payments that were accepted.
    pub(super) fn payment_ids(&self) -> Vec<String> {
        self.payments().into_iter().map(|paid| paid.id).collect()
    }

    fn payments(&self) -> Vec<Paid> {
        self.orders().payments.clone()
    }

    /// The mails that were accepted, as the mail server has to see them.
    pub(super) fn mails(&self) -> BTreeSet<Letter> {
        self.orders().mails.clone()
    }

    /// The events that were accepted, as the receiver has to see them.
    pub(super) fn events(&self) -> BTreeSet<Letter> {
        self.orders().events.clone()
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits everything, a few at a time.
    pub(super) async fn order(self: Arc<Self>, orders: u32) -> anyhow::Result<()> {
        let mut working = JoinSet::new();
        for _ in 0..AT_ONCE {
            let customers = self.clone();
            working.spawn(async move {
                loop {
                    let number = customers.next.fetch_add(1, Ordering::Relaxed);
                    if number >= orders {
                        return anyhow::Ok(());
                    }
                    customers.pay_for(number).await?;
                    customers.tell_of(number).await?;
                    customers.accepted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while let Some(ended) = working.join_next().await {
            ended.context("a customer gave up")??;
        }
        Ok(())
    }

    async fn pay_for(&self, number: u32) -> anyhow::Result<()> {
        let chance = chance(self.seed, number);
        // A multiple of ten: what providers want where there are three decimals.
        let amount = 100 + chance % 5_000 * 10;
        let currency = CURRENCIES[usize::try_from(chance >> 16)? % CURRENCIES.len()];
        let token = if chance >> 24 & 31 == 0 { "pm_card_visa_chargeDeclined" } else { "pm_card_visa" };
        let is_held = chance >> 32 & 7 == 0;
        let body = json!({
            "amount": amount, "currency": currency, "source": token, "capture": !is_held,
            "description": format!("order {number}"),
        });
        let payment = self.api.post("/v1/payments", Some(&self.key("payment", number)), &body).await?;
        let id = id_of(&payment)?;
        self.orders().payments.push(Paid { number, id, amount, is_held });
        Ok(())
    }

    async fn tell_of(&self, number: u32) -> anyhow::Result<()> {
        let mail = json!({ "kind": "email.send", "payload": {
            "to": format!("customer-{number}@customers.example"), "subject": format!("{SUBJECT}{number}"),
            "text": "Thank you.",
        }});
        let event = json!({ "type": "order.placed", "data": { "order": number } });
        let (mail_key, event_key) = (self.key("mail", number), self.key("event", number));
        let (mail, event) = tokio::try_join!(
            self.api.post("/v1/jobs", Some(&mail_key), &mail),
            self.api.post("/v1/events", Some(&event_key), &event),
        )?;
        let (mail, event) = (id_of(&mail)?, id_of(&event)?);
        let (_, domain) = SENDER.split_once('@').context("a sender without a domain")?;
        let mut orders = self.orders();
        orders.mails.insert((format!("<{mail}@{domain}>"), number));
        orders.events.insert((format!("msg_{}", event.replace('-', "")), number));
        Ok(())
    }

    fn key(&self, what: &str, number: u32) -> String {
        format!("demo-{}-{what}-{number}", self.seed)
    }

    /// Captures what is held, and gives a part of one payment in ten back; a few at a time.
    pub(super) async fn capture_and_refund(self: Arc<Self>) -> anyhow::Result<()> {
        let done = self.api.list("/v1/payments?state=succeeded").await?;
        let done: HashSet<&str> = done.iter().filter_map(|payment| payment["id"].as_str()).collect();
        let paid: Vec<Paid> = self.payments().into_iter().filter(|paid| done.contains(paid.id.as_str())).collect();
        let mut working = JoinSet::new();
        for share in paid.chunks(paid.len().div_ceil(AT_ONCE).max(1)) {
            let (customers, share) = (self.clone(), share.to_vec());
            working.spawn(async move {
                for paid in share {
                    customers.go_on(&paid).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = working.join_next().await {
            ended.context("a customer gave up")??;
        }
        Ok(())
    }

    async fn go_on(&self, Paid { number, id, amount, is_held }: &Paid) -> anyhow::Result<()> {
        let key = self.key("more", *number);
        if *is_held {
            self.api.post(&format!("/v1/payments/{id}/capture"), Some(&key), &json!({ "amount": amount })).await?;
        } else if number % 10 == 3 {
            let back = (amount / 20 * 10).max(10);
            self.api.post(&format!("/v1/payments/{id}/refunds"), Some(&key), &json!({ "amount": back })).await?;
        }
        Ok(())
    }

    /// How many jobs of a kind, or of all kinds, have no outcome yet. A job that changes its state meanwhile may be missed.
    pub(super) async fn open(&self, kind: Option<&str>) -> anyhow::Result<usize> {
        let kind = kind.map_or_else(String::new, |kind| format!("&kind={kind}"));
        let mut open = 0;
        for queue in QUEUES {
            for state in OPEN {
                open += self.api.list(&format!("/v1/jobs?queue={queue}&state={state}{kind}")).await?.len();
            }
        }
        Ok(open)
    }
}

fn id_of(made: &Value) -> anyhow::Result<String> {
    Ok(made["id"].as_str().context("an answer without an id")?.to_owned())
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
