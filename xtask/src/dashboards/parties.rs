//! Third parties of the load: a payment provider, a mail server, a receiver of webhooks, three that are called over HTTP,
//! and a collector of traces.
//!
//! Each is well for the most part and ill for a part, as those are whom dashboards are looked at for: charges of which
//! nobody knows whether they were made, mail that is refused for now, a host that answers 503 for so long that it is
//! not called any more.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use haul_parties::provider::{Fault, Options, Provider, Weather, Webhook};
use haul_parties::receiver::{Hook, Mood, Receiver};
use haul_parties::smtp::{MailServer, Step, Verdict};
use haul_testkit::collector::Collector;
use haul_testkit::http::{Client, Reply, Sink};
use haul_testkit::place;
use haul_testkit::process::{Command, Haul};
use http::Request;
use serde_json::json;

/// What chance follows.
const SEED: u64 = 1;
/// Longer than Haul waits for the provider.
const HANG: Duration = Duration::from_secs(3);
/// The provider's faults, in a thousand requests: mostly such that leave it open whether money was moved.
const PROVIDER_FAULTS: [(Fault, u16); 4] =
    [(Fault::CommitAndHang, 200), (Fault::Hang, 200), (Fault::CommitAndHangUp, 100), (Fault::Decline, 50)];
/// Of so many mails one is refused for now, and one for good.
const MAILS_PER_REFUSAL: u32 = 5;
/// So many requests in a row are refused by who is ill at times, and then as many are taken.
const SPELL: u32 = 8;
/// What the provider signs its events with.
const EVENT_SECRET: &str = "whsec_a_secret_for_the_check";

/// Whoever is not Haul. Dropping it closes them.
pub(super) struct Parties {
    provider: Provider,
    mail: MailServer,
    hook: Hook,
    well: Sink,
    ill: Sink,
    moody: Sink,
    gone: String,
    collector: Collector,
    _receiver: Receiver,
}

impl Parties {
    /// Starts them.
    pub(super) async fn start() -> Result<Self> {
        let weather = Weather { seed: SEED, per_mille: PROVIDER_FAULTS.into(), hang: HANG, ..Weather::fair() };
        let provider = Provider::start_with(Options { weather, ..Options::default() }).await;
        let provider = provider.context("no payment provider")?;
        let mail = MailServer::start().await.context("no mail server")?;
        let mails = AtomicU32::new(0);
        mail.judge(move |step| match step {
            Step::Message(_) => match mails.fetch_add(1, Ordering::Relaxed) % MAILS_PER_REFUSAL {
                0 => Verdict::Refuse(451),
                1 => Verdict::Refuse(550),
                _ => Verdict::Accept,
            },
            _ => Verdict::Accept,
        });
        let receiver = Receiver::start().await.context("no receiver of webhooks")?;
        let hook = receiver.hook("/orders");
        hook.mood(Mood { hang: HANG, ..Mood::mixed(SEED) });
        let requests = AtomicU32::new(0);
        let moody = Sink::answering(move |_| {
            let is_ill = (requests.fetch_add(1, Ordering::Relaxed) / SPELL).is_multiple_of(2);
            Reply::status(if is_ill { 503 } else { 200 })
        });
        Ok(Self {
            provider,
            mail,
            hook,
            well: Sink::start().await?,
            ill: Sink::answering(|_| Reply::status(503)).await?,
            moody: moody.await?,
            gone: format!("http://127.0.0.1:{}/", place::free_port()?),
            collector: Collector::start().await.context("no collector of traces")?,
            _receiver: receiver,
        })
    }

    /// A process that knows them.
    pub(super) fn known_to(&self, process: Command) -> Command {
        process
            .env("HAUL_OUTGOING_ALLOW", "loopback")
            .env("HAUL_PAYMENTS_URL", &self.provider.url())
            .env("HAUL_PAYMENTS_TIMEOUT", "1s")
            .env("HAUL_SECRET_STRIPE_KEY", self.provider.secret_key())
            .env("HAUL_PAYMENTS_WEBHOOK_SECRET", "stripe-events")
            .env("HAUL_SECRET_STRIPE_EVENTS", EVENT_SECRET)
            .env("HAUL_EMAIL_URL", &format!("smtp+plain://127.0.0.1:{}", self.mail.port()))
            .env("HAUL_EMAIL_FROM", "shop@shop.example")
            .env("HAUL_TRACING_OTLP_URL", &self.collector.url())
    }

    /// Has the provider tell Haul what happens, and Haul tell the receiver.
    pub(super) async fn introduce(&self, api: &Haul) -> Result<()> {
        let url = format!("{}/v1/payments/webhook", api.url());
        self.provider.tell(Webhook { url, secret: EVENT_SECRET.to_owned() });
        let body = json!({"url": self.hook.url(), "events": ["order.placed"], "description": "the check's receiver"});
        let endpoint = api.client().post("/v1/endpoints", &body).await?.json()?;
        let secret = endpoint["secret"].as_str().context("an endpoint without a secret")?;
        self.hook.trust([secret]).context("an endpoint with a secret that is none")
    }

    /// Who is called over HTTP: one that is well, one that is ill, one that is ill at times, and one that is not there.
    pub(super) fn urls(&self) -> [String; 4] {
        [self.well.url("/"), self.ill.url("/"), self.moody.url("/"), self.gone.clone()]
    }

    /// A call of the client's for each kind of job that reaches them. Any answer will do, and so will none.
    pub(super) async fn order(&self, client: &Client, number: u64) {
        let payment = json!({
            "amount": 100 + number % 5_000 * 10, "currency": "EUR", "source": "pm_card_visa",
            "description": format!("order {number}"),
        });
        let keyed = Request::post("/v1/payments")
            .header("content-type", "application/json")
            .header("idempotency-key", format!("order-{number}"));
        drop(client.send(keyed, payment.to_string().into()).await);
        let mail = json!({"kind": "email.send", "retry": {"base": "200ms"}, "payload": {
            "to": format!("customer-{number}@customers.example"), "subject": format!("Order {number}"),
            "text": "Thanks.",
        }});
        drop(client.post("/v1/jobs", &mail).await);
        drop(client.post("/v1/events", &json!({"type": "order.placed", "data": {"order": number}})).await);
    }
}
