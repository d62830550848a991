//! Payments: who asks for them, the provider that they are made at, and what is known of them in the end.
//!
//! Three accounts again: what clients asked for and were promised, what the provider was really made to do, and what the
//! ledger's tables say, read by `psql`.

use crate::{
    books::{Books, rows},
    stage::Stage,
};
use anyhow::{Context, Result, bail};
use haul_parties::provider::{Operation, Options, Provider, Weather};
use haul_testkit::http::Client;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Serialize;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// How long a client waits for an answer before it asks again.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long a client tries to have one payment accepted.
const TRIES_MAX: Duration = Duration::from_secs(60);
/// Clients at a time.
const CLIENTS: usize = 8;
/// What is paid in: with two decimals, none and three.
const CURRENCIES: [&str; 3] = ["EUR", "JPY", "KWD"];

/// A payment that a client asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Its idempotency key.
    pub key: String,
    /// Minor units.
    pub amount: i128,
    /// The currency.
    pub currency: String,
    /// Every id that it was acknowledged as; one, or none where no answer came.
    pub accepted: Vec<String>,
}

/// Something that the provider was made to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The payment, as noted on the object.
    pub payment: String,
    /// The operation, as noted on the object.
    pub operation: String,
    /// The key that it was done under.
    pub idempotency_key: String,
    /// What went to us, less than nothing for what went back. Minor units.
    pub amount: i128,
    /// The currency, in capitals.
    pub currency: String,
}

/// A payment in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// `succeeded`, `unknown` and so on.
    pub state: String,
    /// Whether something of it is still open.
    pub is_open: bool,
}

/// A posting in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Posted {
    /// The payment.
    pub payment: String,
    /// Which step of it.
    pub step: String,
    /// What the provider owes us more by it, less than nothing for what it owes less. Minor units.
    pub amount: i128,
    /// The currency.
    pub currency: String,
}

/// Everything that is known about a run's payments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Payments {
    /// What clients asked for.
    pub asked: Vec<Asked>,
    /// What the provider did.
    pub moved: Vec<Moved>,
    /// What it answered with faults, and how often.
    pub struck: usize,
    /// The ledger's payments.
    pub rows: Vec<Row>,
    /// The ledger's postings.
    pub posted: Vec<Posted>,
    /// The sum over all accounts, by currency: nothing, if postings are balanced.
    pub sums: BTreeMap<String, i128>,
}

/// The provider of a run, and what was asked of it so far.
pub struct Till {
    provider: Provider,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Till {
    /// Opens it in a storm.
    pub async fn open(seed: u64) -> Result<Self> {
        let weather = Weather { hang: Duration::from_secs(2), ..Weather::stormy(seed) };
        // Who relies on searching charges twice.
        let options = Options { weather, search_lag: Duration::from_secs(60), ..Options::default() };
        let provider = Provider::start_with(options).await.context("no payment provider")?;
        Ok(Self { provider, asked: Arc::default() })
    }

    /// What processes have to know of it.
    #[must_use]
    pub fn env(&self) -> [(&'static str, String); 6] {
        [
            ("HAUL_PAYMENTS_URL", self.provider.url()),
            ("HAUL_PAYMENTS_TIMEOUT", "1s".to_owned()),
            ("HAUL_SECRET_STRIPE_KEY", self.provider.secret_key().to_owned()),
            ("HAUL_JOBS_RETRY_BASE", "100ms".to_owned()),
            ("HAUL_JOBS_RETRY_CAP", "1s".to_owned()),
            ("HAUL_JOBS_MAX_ATTEMPTS", "100".to_owned()),
        ]
    }

    /// How many payments were accepted so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|asked| !asked.accepted.is_empty()).count()
    }

    /// Clients that ask for so many payments; ends when all were accepted.
    pub fn pay(&self, api: &Client, count: usize, seed: u64) -> JoinSet<Result<()>> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (api, next, asked) = (api.clone(), Arc::clone(&next), Arc::clone(&self.asked));
            let mut rng = StdRng::seed_from_u64(seed.wrapping_add(client as u64));
            clients.spawn(async move {
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    let paid = ask(&api, &mut rng).await?;
                    asked.lock().unwrap_or_else(PoisonError::into_inner).push(paid);
                }
                Ok(())
            });
        }
        clients
    }

    /// Everything that is known, once nothing moves any more.
    pub fn evidence(&self, books: &Books) -> Result<Payments> {
        let moved = self.provider.books().movements.into_iter().filter_map(|movement| {
            let amount = i128::from(movement.amount);
            let noted = |name: &str| movement.metadata.get(name).cloned().unwrap_or_default();
            let amount = match movement.operation {
                Operation::Charge | Operation::Capture => amount,
                Operation::Refund => -amount,
                Operation::Authorize | Operation::Cancel => return None,
            };
            Some(Moved {
                payment: noted("haul_payment"),
                operation: noted("haul_operation"),
                idempotency_key: movement.idempotency_key.clone(),
                amount,
                currency: movement.currency.to_ascii_uppercase(),
            })
        });
        let list = books.sql("SELECT id, state, unfinished::int FROM haul.payment ORDER BY id")?;
        let list = rows(&list, |[id, state, open]| {
            Some(Row { id: id.to_owned(), state: state.to_owned(), is_open: open == "1" })
        })?;
        let posted = books.sql(
            "SELECT payment, step, currency, sum(amount) FROM haul.entry WHERE account = 'provider:receivable'
             GROUP BY payment, step, currency ORDER BY payment, step",
        )?;
        let posted = rows(&posted, |[payment, step, currency, amount]| {
            let (payment, step, currency) = (payment.to_owned(), step.to_owned(), currency.to_owned());
            Some(Posted { payment, step, currency, amount: amount.parse().ok()? })
        })?;
        let sums = rows(&books.sql("SELECT currency, sum(amount) FROM haul.entry GROUP BY currency")?, |[of, sum]| {
            Some((of.to_owned(), sum.parse().ok()?))
        })?;
        Ok(Payments {
            asked: self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            moved: moved.collect(),
            struck: usize::try_from(self.provider.books().struck())?,
            rows: list,
            posted,
            sums: sums.into_iter().collect(),
        })
    }
}

/// Asks for a payment until it is accepted, under one key.
async fn ask(api: &Client, rng: &mut StdRng) -> Result<Asked> {
    let amount = rng.random_range(10..=50_000_u32) * 10;
    let currency = CURRENCIES[rng.random_range(0..CURRENCIES.len())];
    let key = format!("p{:016x}", rng.random::<u64>());
    let body = json!({ "amount": amount, "currency": currency, "source": "pm_card_visa" });
    let (amount, currency) = (i128::from(amount), currency.to_owned());
    let mut asked = Asked { key: key.clone(), amount, currency, accepted: Vec::new() };
    let end = Instant::now() + TRIES_MAX;
    while Instant::now() < end {
        let request = http::Request::post("/v1/payments")
            .header("content-type", "application/json")
            .header("idempotency-key", &key);
        match timeout(ANSWER_MAX, api.send(request, body.to_string().into())).await {
            Ok(Ok(answer)) if matches!(answer.status, 200..=202) => {
                let payment = answer.json()?;
                let id = payment["id"].as_str().with_context(|| format!("a payment without an id: {payment}"))?;
                asked.accepted.push(id.to_owned());
                return Ok(asked);
            }
            Ok(Ok(answer)) if answer.status < 500 && !matches!(answer.status, 409 | 429) => {
                bail!("a payment is refused: {}: {}", answer.status, String::from_utf8_lossy(&answer.body))
            }
            // Not known: the same again, under the same key.
            _ => sleep(Duration::from_millis(rng.random_range(50..250))).await,
        }
    }
    Ok(asked)
}

/// Asks for so many payments while one of two workers is killed with -9 every 2 s.
pub async fn pay_among_kills(stage: &mut Stage, count: usize) -> Result<()> {
    let seed = stage.rng.random();
    let mut clients = stage.till()?.pay(&stage.client(), count, seed);
    let mut kills = 0;
    // Not before it is all accepted, and not before the run has shown something.
    while !clients.is_empty() || kills < 3 || stage.books.unsettled("15 minutes")? > 0 {
        let worker = stage.rng.random_range(0..stage.workers.len());
        stage.replace_worker(worker)?;
        kills += 1;
        stage.pass(Duration::from_secs(2)).await;
        while let Some(ended) = clients.try_join_next() {
            ended.context("a client ended early")??;
        }
    }
    Ok(())
}
