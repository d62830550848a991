//! A payment provider with Stripe's API: [`Provider`].
//!
//! It has what charging a token needs (PaymentIntents with `confirm` and `capture_method`, capture, cancel, refunds, reading,
//! listing and searching them, events, signed webhooks), form-encoded, with Stripe's error objects and the meaning that Stripe
//! gives to `Idempotency-Key`. Beside each answer stands a [`Fault`], as the [`Weather`] says: what a client then sees, and what was
//! committed, are two things.
//!
//! Promise: [`Provider::books`] lists every amount that was really moved, in order, whatever the answer said. It takes
//! tokens (`pm_card_visa`, `pm_card_visa_chargeDeclined`, ...) and refuses card numbers as Stripe does. It will not do what cards and
//! banks do: an amount is moved when it says so.

mod books;
mod desk;
mod faults;
mod form;
mod keys;
mod objects;
mod serve;
mod webhooks;

pub use books::{Books, Movement, Operation, Totals};
pub use faults::{Fault, Weather};
pub use webhooks::{Told, Webhook};

use desk::Desk;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a provider is set up with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The secret key that its clients have to name.
    pub secret_key: String,
    /// How long it remembers an idempotency key; Stripe: at least 24 hours.
    pub key_window: Duration,
    /// How much later than its creation an object can be found by searching; Stripe: up to a minute. Lists have no such lag.
    pub search_lag: Duration,
    /// Which faults there are at the beginning.
    pub weather: Weather,
    /// Where it tells what happened, if anywhere.
    pub webhook: Option<Webhook>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            secret_key: crate::secret::marked("provider"),
            key_window: Duration::from_secs(24 * 3_600),
            search_lag: Duration::ZERO,
            weather: Weather::fair(),
            webhook: None,
        }
    }
}

/// A payment provider. Dropping it closes it.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// What its connections share.
#[derive(Debug)]
struct Shared {
    secret_key: String,
    desk: Mutex<Desk>,
    weather: Mutex<Weather>,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider {
    /// Starts on a free port of 127.0.0.1, in fair weather.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// Starts as it is told to.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start_with(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let courier = options.webhook.map(webhooks::Courier::new);
        let desk = Desk::new(options.key_window, options.search_lag, courier);
        let (desk, weather) = (Mutex::new(desk), Mutex::new(options.weather));
        let shared = Arc::new(Shared { secret_key: options.secret_key, desk, weather });
        let serving = tokio::spawn(serve::listen(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, serving })
    }

    /// Its base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The secret key that it wants to hear.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.shared.secret_key
    }

    /// From now on there are these faults.
    pub fn weather(&self, weather: Weather) {
        *self.shared.weather() = weather;
    }

    /// From now on an idempotency key is forgotten so long after its first use; also those that it knows already.
    pub fn key_window(&self, window: Duration) {
        self.shared.desk().key_window(window);
    }

    /// From now on tells what happens there; what happened so far first. To be called within a Tokio runtime.
    pub fn tell(&self, webhook: Webhook) {
        self.shared.desk().tell_there(webhooks::Courier::new(webhook));
    }

    /// What became of the events that it told so far; of none without a [`Webhook`].
    #[must_use]
    pub fn told(&self) -> Told {
        self.shared.desk().told()
    }

    /// What it was really made to do so far.
    #[must_use]
    pub fn books(&self) -> Books {
        self.shared.desk().books.clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Now, in milliseconds since 1970: a third party has a clock of its own.
fn now_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a third party has a clock of its own, and knows no crate of Haul")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
