//! Whoever is told of events by webhook: [`Receiver`].
//!
//! A little HTTP server with any number of [`Hook`]s, each a path with secrets and a [`Mood`] of its own. Every delivery is checked
//! as any receiver checks it, with the `standardwebhooks` library; what fails the check is refused with 401 in every mood. What
//! passes is answered as the mood says: taken, answered 410 or 500, held without an answer, taken late, or taken and hung up on.
//!
//! Promise: [`Hook::books`] lists everything that arrived, in order, with what really became of it, whatever was answered: an id
//! is accepted once, and every further time it is a duplicate. A hook that trusts no secret yet refuses everything.
//!
//! ```no_run
//! # use haul_parties::receiver::{Behaviour, Mood, Receiver};
//! # use std::time::Duration;
//! # async fn example(created: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let receiver = Receiver::start().await?;
//! let orders = receiver.hook("/orders");
//! let _url = orders.url(); // What the endpoint is created with; its answer holds the secret.
//! orders.trust([created])?;
//! orders.mood(Mood::mixed(7));
//! orders.next([Behaviour::Fail, Behaviour::HangUp]);
//! let books = orders.wait(Duration::from_secs(10), |books| books.accepted() >= 1_000).await?;
//! println!("{} accepted, {} duplicates, {} refused", books.accepted(), books.duplicates(), books.refused());
//! # Ok(())
//! # }
//! ```

mod books;
mod mood;
mod serve;

pub use books::{Arrival, Books, Verdict};
pub use mood::{Behaviour, Mood};

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Arrivals that a hook keeps; further ones are answered 507, and not kept.
pub const ARRIVALS_MAX: usize = 200_000;
/// Bytes of one delivery; a longer one is answered 413.
pub const BODY_BYTES_MAX: usize = 1_024 * 1_024;

/// A receiver of webhooks. Dropping it closes it and every connection.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    base: String,
    #[cfg(feature = "tls")]
    certificate: Option<String>,
    hooks: Arc<Hooks>,
    serving: JoinHandle<()>,
}

/// Its hooks by path.
type Hooks = Mutex<HashMap<String, Hook>>;

/// One path of a [`Receiver`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hook {
    url: String,
    shared: Arc<Shared>,
}

/// What a hook and the connections share.
struct Shared {
    state: Mutex<State>,
    /// Rings after each arrival.
    arrived: watch::Sender<()>,
}

struct State {
    secrets: Vec<Webhook>,
    mood: Mood,
    next: VecDeque<Behaviour>,
    books: Books,
    /// How often each id has come.
    times: HashMap<String, u64>,
    taken: HashSet<String>,
}

impl Receiver {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let hooks = Arc::new(Hooks::default());
        let serving = tokio::spawn(serve::listen(listener, Arc::clone(&hooks)));
        Ok(Self {
            address,
            base: format!("http://{address}"),
            #[cfg(feature = "tls")]
            certificate: None,
            hooks,
            serving,
        })
    }

    /// Starts on a free port of 127.0.0.1, over TLS, with a certificate of its own for these names. The first one is what its
    /// URLs say.
    ///
    /// # Errors
    /// When it cannot listen, or no certificate could be made.
    #[cfg(feature = "tls")]
    pub async fn start_tls(names: &[&str]) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let name = names.first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a name is needed"))?;
        let (acceptor, certificate) = crate::tls::acceptor(names)?;
        let hooks = Arc::new(Hooks::default());
        let serving = tokio::spawn(serve::listen_tls(listener, Arc::clone(&hooks), acceptor));
        let base = format!("https://{name}:{}", address.port());
        Ok(Self { address, base, certificate: Some(certificate), hooks, serving })
    }

    /// The port it listens on, at 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate to trust, in PEM, if it was started with one. Made at the start: nobody else has its key.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// What receives at this path, which begins with a slash. The same one each time; other paths are answered 404.
    #[must_use]
    pub fn hook(&self, path: &str) -> Hook {
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Hook { url: format!("{}{path}", self.base), shared: Arc::default() };
        hooks.entry(path.to_owned()).or_insert_with(new).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Hook {
    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on takes deliveries that are signed with one of these secrets (`whsec_...`), and no others.
    ///
    /// # Errors
    /// When a text is no secret. Says which, and does not repeat it; nothing is changed then.
    pub fn trust<S: AsRef<str>>(&self, secrets: impl IntoIterator<Item = S>) -> io::Result<()> {
        let read = |(n, secret): (usize, S)| {
            let refused = |_| io::Error::new(io::ErrorKind::InvalidInput, format!("text {n} is no secret"));
            Webhook::new(secret.as_ref()).map_err(refused)
        };
        let secrets: Vec<Webhook> = secrets.into_iter().enumerate().map(read).collect::<io::Result<_>>()?;
        self.shared.state().secrets = secrets;
        Ok(())
    }

    /// From now on is in this mood.
    pub fn mood(&self, mood: Mood) {
        self.shared.state().mood = mood;
    }

    /// Treats the next deliveries that pass the check like this, one after the other, before its mood counts again.
    pub fn next(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.shared.state().next = behaviours.into_iter().collect();
    }

    /// What arrived so far.
    #[must_use]
    pub fn books(&self) -> Books {
        self.shared.state().books.clone()
    }

    /// Waits until the books are as wanted, and returns them.
    ///
    /// # Errors
    /// When they are not after `limit`: says what arrived by then.
    pub async fn wait(&self, limit: Duration, is_wanted: impl Fn(&Books) -> bool) -> Result<Books, String> {
        let mut arrived = self.shared.arrived.subscribe();
        let wanted = arrived.wait_for(|()| is_wanted(&self.shared.state().books));
        let in_time = tokio::time::timeout(limit, wanted).await.is_ok();
        let books = self.books();
        if in_time { Ok(books) } else { Err(format!("after {limit:?} {} has {}", self.url, books.summary())) }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Shared {
    fn default() -> Self {
        let state = State {
            secrets: Vec::new(),
            mood: Mood::good(),
            next: VecDeque::new(),
            books: Books::default(),
            times: HashMap::new(),
            taken: HashSet::new(),
        };
        Self { state: Mutex::new(state), arrived: watch::Sender::new(()) }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Shared").field("mood", &state.mood).field("arrivals", &state.books.arrivals.len()).finish()
    }
}
