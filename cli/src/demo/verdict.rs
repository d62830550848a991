//! The comparison, as tables: what the third parties really got against what Haul accepted and has in its books.

use super::{
    api::Api,
    customers::{Customers, QUEUES, grouped, number, shown},
    parties::{Parties, order_of},
    told::{Letter, Told},
};
use crate::table::Table;
use anyhow::Context;
use haul_parties::{
    provider::{self, Fault},
    receiver,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Write, stdout},
    time::Duration,
};

/// What Haul's books call what the provider owes.
const RECEIVABLE: &str = "provider:receivable";

/// What came of it all.
pub(super) struct Verdict {
    jobs: usize,
    attempts: i128,
    unfinished: usize,
    /// Times that Haul was killed.
    killed: usize,
    payments: usize,
    /// Payments by their state.
    states: BTreeMap<String, usize>,
    /// Faults that struck, by who misbehaved and by name, without declines.
    faults: [(&'static str, BTreeMap<&'static str, u64>); 3],
    declined: u64,
    applied_twice: usize,
    /// What the provider has for us and what Haul's books say, by currency.
    currencies: BTreeMap<String, (i128, i128)>,
    /// Mails and events.
    told: [Told; 2],
    /// What became of the provider's own events.
    events: provider::Told,
    /// Deliveries whose signature was wrong.
    badly_signed: u64,
}

impl Verdict {
    /// Reads everything, once nothing is open any more.
    pub(super) async fn reach(
        api: &Api,
        customers: &Customers,
        parties: &Parties,
        killed: usize,
    ) -> anyhow::Result<Self> {
        let (books, hook) = (parties.provider.books(), parties.hook.books());
        let mut jobs = Vec::new();
        for queue in QUEUES {
            jobs.extend(api.list(&format!("/v1/jobs?queue={queue}")).await?);
        }
        let payments = api.list("/v1/payments").await?;
        let known: BTreeSet<&str> = payments.iter().filter_map(|payment| payment["id"].as_str()).collect();
        let accepted = customers.payment_ids();
        let lost = accepted.iter().filter(|id| !known.contains(id.as_str())).count();
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for payment in &payments {
            let state = payment["state"].as_str().context("a payment without a state")?;
            *states.entry(state.to_owned()).or_default() += 1;
        }
        let mut currencies: BTreeMap<String, (i128, i128)> = BTreeMap::new();
        for (currency, totals) in books.totals() {
            currencies.entry(currency.to_ascii_uppercase()).or_default().0 = totals.net();
        }
        let balances = api.get("/v1/payments/balances").await?;
        for balance in balances["data"].as_array().context("no balances")? {
            let currency = balance["currency"].as_str().context("a balance without a currency")?;
            if balance["account"] == RECEIVABLE {
                currencies.entry(currency.to_owned()).or_default().1 += number(&balance["amount"]);
            }
        }
        let faults = books.faults.iter().filter(|(fault, _)| **fault != Fault::Decline);
        let faults = faults.map(|(fault, count)| (fault.name(), *count)).collect();
        let mails = parties.mail.messages();
        let mails = mails.iter().map(|mail| (mail.header("message-id").unwrap_or_default(), named(order_of(mail))));
        Ok(Self {
            jobs: jobs.len(),
            attempts: jobs.iter().map(|job| number(&job["attempt"])).sum(),
            unfinished: jobs.iter().filter(|job| job["outcome"].is_null()).count() + lost,
            killed,
            payments: accepted.len(),
            states,
            faults: [
                ("at the provider", faults),
                ("at the mail server", parties.mail_faults()),
                ("at the receiver", parties.hook_faults()),
            ],
            declined: books.declined,
            applied_twice: books.applied_twice(&[]).len(),
            currencies,
            told: [
                Told::compare("mails", &customers.mails(), mails),
                Told::compare("events", &customers.events(), hook.arrivals.iter().filter_map(delivered)),
            ],
            events: parties.provider.told(),
            badly_signed: hook.refused(),
        })
    }

    fn count(&self, state: &str) -> usize {
        self.states.get(state).copied().unwrap_or(0)
    }

    /// What does not agree, in words; nothing when all is well.
    pub(super) fn disagreements(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.told.iter().flat_map(Told::disagreements).collect();
        for (currency, (provider, postings)) in &self.currencies {
            if provider != postings {
                wrong.push(format!("they differ by {}", shown(provider - postings, currency) + " " + currency));
            }
        }
        for (count, what) in [
            (self.applied_twice, "operations were applied twice"),
            (self.count("unknown"), "payments are unknown"),
            (self.count("pending"), "payments are pending"),
            (self.unfinished, "jobs are without an outcome"),
            (usize_of(self.badly_signed), "deliveries were badly signed"),
            (usize_of(self.events.forged_and_taken), "forged events were taken"),
            (usize::from(self.currencies.is_empty()), "nothing was paid at all"),
        ] {
            if count > 0 {
                wrong.push(format!("{count} {what}"));
            }
        }
        wrong
    }

    /// Writes the tables.
    pub(super) fn print(&self, took: Duration) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        let mut facts = Table::new(["WHAT", "COUNT", ""]);
        for (what, count, more) in [
            ("payments", grouped(self.payments), listed(&self.states)),
            ("jobs", grouped(self.jobs), format!("{} without an outcome", self.unfinished)),
            ("attempts", grouped(self.attempts), String::new()),
            ("declined", grouped(self.declined), "by the provider".to_owned()),
            ("kill -9", self.killed.to_string(), "of all of Haul, in the middle".to_owned()),
        ] {
            facts.row([what.to_owned(), count, more]);
        }
        for (place, faults) in &self.faults {
            facts.row([format!("faults {place}"), grouped(faults.values().sum::<u64>()), listed(faults)]);
        }
        let provider::Told { taken, forged, forged_and_taken } = self.events;
        let forgeries =
            format!("told by the provider; {} forged, of which {forged_and_taken} were taken", grouped(forged));
        facts.row(["its events".to_owned(), grouped(taken), forgeries]);
        facts.row(["applied twice".to_owned(), self.applied_twice.to_string(), "at the provider".to_owned()]);
        facts.row(["unknown".to_owned(), self.count("unknown").to_string(), "payments".to_owned()]);
        facts.row(["badly signed".to_owned(), self.badly_signed.to_string(), "deliveries".to_owned()]);
        facts.write(&mut out)?;
        writeln!(out)?;
        let mut money = Table::new(["CURRENCY", "AT THE PROVIDER", "IN HAUL'S BOOKS", "DIFFERENCE"]);
        for (currency, (provider, postings)) in &self.currencies {
            let amount = |minor| shown(minor, currency);
            money.row([currency.clone(), amount(*provider), amount(*postings), amount(provider - postings)]);
        }
        money.write(&mut out)?;
        writeln!(out)?;
        let mut told = Table::new(["TOLD", "ACCEPTED BY HAUL", "ARRIVED", "MISSING", "NOT ASKED FOR", "CAME AGAIN"]);
        for Told { what, asked, arrived, missing, unasked, again } in &self.told {
            let [asked, arrived, missing, unasked, again] = [asked, arrived, missing, unasked, again].map(grouped);
            told.row([(*what).to_owned(), asked, arrived, missing, unasked, again]);
        }
        told.write(&mut out)?;
        let verdict = if self.disagreements().is_empty() { "The books agree" } else { "The books DO NOT agree" };
        writeln!(out, "\n{verdict}. It took {:.1} s.", took.as_secs_f64())?;
        Ok(())
    }
}

/// What a receiver has, if it took it and its signature was right.
fn delivered(arrival: &receiver::Arrival) -> Option<Letter> {
    if !matches!(arrival.verdict, receiver::Verdict::Accepted | receiver::Verdict::Duplicate) {
        return None;
    }
    let event: Value = serde_json::from_slice(&arrival.body).unwrap_or_default();
    let order = event["data"]["order"].as_u64().and_then(|order| order.try_into().ok());
    Some((arrival.id.clone(), named(order)))
}

fn usize_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// An order; one that nobody has made where a message names none.
fn named(order: Option<u32>) -> u32 {
    order.unwrap_or(u32::MAX)
}

fn listed<K: std::fmt::Display>(counts: &BTreeMap<K, impl ToString>) -> String {
    let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {}", grouped(count.to_string()))).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    type Spoil = fn(&mut Verdict);

    fn well() -> Verdict {
        let letters = || BTreeSet::from([("a".to_owned(), 1)]);
        Verdict {
            jobs: 3,
            attempts: 4,
            unfinished: 0,
            killed: 1,
            payments: 1,
            states: BTreeMap::from([("succeeded".to_owned(), 1)]),
            faults: ["a", "b", "c"].map(|place| (place, BTreeMap::new())),
            declined: 0,
            applied_twice: 0,
            currencies: BTreeMap::from([("EUR".to_owned(), (1_050, 1_050))]),
            told: ["mails", "events"].map(|what| Told::compare(what, &letters(), letters())),
            events: provider::Told::default(),
            badly_signed: 0,
        }
    }

    #[test]
    fn whatever_does_not_agree_is_said() {
        assert_eq!(well().disagreements(), Vec::<String>::new());
        let wrong: [(Spoil, &str); 9] = [
            (|it| it.currencies = BTreeMap::from([("EUR".to_owned(), (1_051, 1_050))]), "they differ by 0.01 EUR"),
            (|it| it.currencies = BTreeMap::new(), "nothing was paid"),
            (|it| it.applied_twice = 1, "applied twice"),
            (|it| it.unfinished = 1, "without an outcome"),
            (|it| it.states = BTreeMap::from([("unknown".to_owned(), 1)]), "unknown"),
            (|it| it.states = BTreeMap::from([("pending".to_owned(), 1)]), "pending"),
            (|it| it.badly_signed = 1, "badly signed"),
            (|it| it.events.forged_and_taken = 1, "forged"),
            (|it| it.told[1] = Told::compare("events", &BTreeSet::from([("a".to_owned(), 1)]), []), "never arrived"),
        ];
        for (make_wrong, words) in wrong {
            let mut verdict = well();
            make_wrong(&mut verdict);
            let said = verdict.disagreements();
            assert!(said.len() == 1 && said[0].contains(words), "{words}: {said:?}");
        }
    }
}
