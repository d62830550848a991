//! The third parties of the demo: a payment provider, a mail server and a receiver of webhooks (`haul-parties`).
//!
//! They live in this process, so that their books outlive a killed Haul, and they know nothing of it. Each is ill in its own way,
//! as the seed says.

use super::{api::Api, chance::chance};
use anyhow::Context;
use haul_parties::{
    provider::{Options, Provider, Weather, Webhook},
    receiver::{Behaviour, Hook, Mood, Receiver},
    smtp::{MailServer, Message, Step, Verdict},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How long who hangs is silent, in the end closing the connection.
const HANG: Duration = Duration::from_secs(3);
/// What happens to how many mails in a thousand. A session that hangs costs a worker's whole patience: few do.
const MAIL_FAULTS: [(&str, u64, Verdict); 5] = [
    ("busy", 60, Verdict::Refuse(451)),
    ("hang-up", 40, Verdict::HangUp),
    ("keep-and-hang-up", 40, Verdict::KeepAndHangUp),
    ("hang", 2, Verdict::Hang),
    ("keep-and-hang", 2, Verdict::KeepAndHang),
];
/// What happens to how many deliveries in a thousand. They are tried again after seconds, not after milliseconds: at rates like
/// those of the mail server somebody would be told after minutes, and a demo does not take that long.
const HOOK_FAULTS: [(Behaviour, u16); 4] =
    [(Behaviour::Fail, 20), (Behaviour::HangUp, 20), (Behaviour::Slow, 50), (Behaviour::Hang, 2)];

/// What the provider signs its events with.
pub(super) const EVENT_SECRET: &str = "whsec_a_secret_for_the_demo";

/// What each mail of an order says of it.
pub(super) const SUBJECT: &str = "Order ";

/// Whoever is not Haul.
pub(super) struct Parties {
    pub(super) provider: Provider,
    pub(super) mail: MailServer,
    pub(super) hook: Hook,
    mail_faults: Arc<Mutex<Strikes>>,
    _receiver: Receiver,
}

/// What befell the mail server's clients.
#[derive(Default)]
struct Strikes {
    /// How often each order's mail came.
    seen: HashMap<u32, u32>,
    struck: BTreeMap<&'static str, u64>,
}

impl Parties {
    /// Starts them; the provider tells a Haul at this URL what happens.
    pub(super) async fn start(seed: u64, haul: &str) -> anyhow::Result<Self> {
        let webhook = Webhook { url: format!("{haul}/v1/payments/webhook"), secret: EVENT_SECRET.to_owned() };
        let provider = Provider::start_with(Options {
            webhook: Some(webhook),
            weather: Weather { hang: HANG, ..Weather::stormy(seed) },
            // As bad as the provider's documentation says: who relies on searching charges twice.
            search_lag: Duration::from_secs(60),
            ..Options::default()
        });
        let provider = provider.await.context("no payment provider")?;
        let (mail, mail_faults) = (MailServer::start().await.context("no mail server")?, Arc::default());
        let strikes = Arc::clone(&mail_faults);
        mail.judge(move |step| match step {
            Step::Message(message) => strike(&strikes, seed, message),
            _ => Verdict::Accept,
        });
        let receiver = Receiver::start().await.context("no receiver of webhooks")?;
        let hook = receiver.hook("/orders");
        hook.mood(Mood { seed, per_mille: HOOK_FAULTS.into(), hang: HANG, ..Mood::good() });
        Ok(Self { provider, mail, hook, mail_faults, _receiver: receiver })
    }

    /// Registers the receiver with Haul, and lets it trust the secret that comes back.
    pub(super) async fn subscribe(&self, api: &Api) -> anyhow::Result<()> {
        let body = json!({ "url": self.hook.url(), "events": ["order.placed"], "description": "the demo's receiver" });
        let endpoint = api.post("/v1/endpoints", None, &body).await?;
        let secret = endpoint["secret"].as_str().context("an endpoint without a secret")?;
        self.hook.trust([secret]).context("an endpoint with a secret that is none")
    }

    /// How often each fault struck the mail server's clients.
    pub(super) fn mail_faults(&self) -> BTreeMap<&'static str, u64> {
        self.mail_faults.lock().unwrap_or_else(PoisonError::into_inner).struck.clone()
    }

    /// How often each fault struck who delivers webhooks.
    pub(super) fn hook_faults(&self) -> BTreeMap<&'static str, u64> {
        let books = self.hook.books();
        HOOK_FAULTS.iter().map(|(behaviour, _)| (behaviour.name(), books.behaved(*behaviour))).collect()
    }
}

/// The order that a mail is about.
pub(super) fn order_of(message: &Message) -> Option<u32> {
    message.header("subject")?.strip_prefix(SUBJECT)?.parse().ok()
}

/// What befalls a mail follows from the seed, its order, and how often it came.
fn strike(strikes: &Mutex<Strikes>, seed: u64, message: &Message) -> Verdict {
    let Some(order) = order_of(message) else { return Verdict::Accept };
    let mut strikes = strikes.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = strikes.seen.entry(order).or_default();
    let mut drawn = chance(seed ^ u64::from(*seen).rotate_left(32), order) % 1_000;
    *seen += 1;
    for (name, share, verdict) in MAIL_FAULTS {
        if drawn < share {
            *strikes.struck.entry(name).or_default() += 1;
            return verdict;
        }
        drawn -= share;
    }
    Verdict::Accept
}
