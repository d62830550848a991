//! The comparison, as a table: what the provider really did against what Haul has in its books.

use super::{
    api::Api,
    customers::{Customers, grouped, number, shown},
};
use crate::table::Table;
use anyhow::Context;
use haul_parties::provider::{Books, Fault};
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
    /// Faults that struck, by name, without declines.
    faults: BTreeMap<&'static str, u64>,
    declined: u64,
    applied_twice: usize,
    /// What the provider has for us and what Haul's books say, by currency.
    currencies: BTreeMap<String, (i128, i128)>,
}

impl Verdict {
    /// Reads everything, once nothing is open any more.
    pub(super) async fn reach(api: &Api, customers: &Customers, books: &Books, killed: usize) -> anyhow::Result<Self> {
        let jobs = api.list("/v1/jobs?queue=default").await?;
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
        Ok(Self {
            jobs: jobs.len(),
            attempts: jobs.iter().map(|job| number(&job["attempt"])).sum(),
            unfinished: jobs.iter().filter(|job| job["outcome"].is_null()).count() + lost,
            killed,
            payments: accepted.len(),
            states,
            faults: faults.map(|(fault, count)| (fault.name(), *count)).collect(),
            declined: books.declined,
            applied_twice: books.applied_twice(&[]).len(),
            currencies,
        })
    }

    fn count(&self, state: &str) -> usize {
        self.states.get(state).copied().unwrap_or(0)
    }

    /// What does not agree, in words; nothing when all is well.
    pub(super) fn disagreements(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (currency, (provider, postings)) in &self.currencies {
            if provider != postings {
                wrong.push(format!("they differ by {}", shown(provider - postings, currency) + " " + currency));
            }
        }
        for (count, what) in [
            (self.applied_twice, "operations were applied twice"),
            (self.count("unknown"), "payments are unknown"),
            (self.count("pending"), "payments are pending"),
            (self.unfinished, "jobs have no outcome"),
            (usize::from(self.currencies.is_empty()), "nothing was paid at all"),
        ] {
            if count > 0 {
                wrong.push(format!("{count} {what}"));
            }
        }
        wrong
    }

    /// Writes the table.
    pub(super) fn print(&self, took: Duration) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        let faults: Vec<_> = self.faults.iter().map(|(name, count)| format!("{name} {}", grouped(count))).collect();
        let mut facts = Table::new(["WHAT", "COUNT", ""]);
        let states: Vec<_> = self.states.iter().map(|(state, count)| format!("{state} {}", grouped(count))).collect();
        for (what, count, more) in [
            ("payments", grouped(self.payments), states.join(", ")),
            ("jobs", grouped(self.jobs), format!("{} without an outcome", self.unfinished)),
            ("attempts", grouped(self.attempts), String::new()),
            ("faults met", grouped(self.faults.values().sum::<u64>()), faults.join(", ")),
            ("declined", grouped(self.declined), "by the provider".to_owned()),
            ("kill -9", self.killed.to_string(), "of all of Haul, in the middle".to_owned()),
            ("applied twice", self.applied_twice.to_string(), String::new()),
            ("unknown", self.count("unknown").to_string(), String::new()),
        ] {
            facts.row([what.to_owned(), count, more]);
        }
        facts.write(&mut out)?;
        writeln!(out)?;
        let mut money = Table::new(["CURRENCY", "AT THE PROVIDER", "IN HAUL'S BOOKS", "DIFFERENCE"]);
        for (currency, (provider, postings)) in &self.currencies {
            let amount = |minor| shown(minor, currency);
            money.row([currency.clone(), amount(*provider), amount(*postings), amount(provider - postings)]);
        }
        money.write(&mut out)?;
        let verdict = if self.disagreements().is_empty() { "The books agree" } else { "The books DO NOT agree" };
        writeln!(out, "\n{verdict}. It took {:.1} s.", took.as_secs_f64())?;
        Ok(())
    }
}
