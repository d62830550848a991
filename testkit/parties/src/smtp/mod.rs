//! A mail server that keeps what it is sent: [`MailServer`].
//!
//! It speaks as much SMTP (RFC 5321) as a client needs to hand over a message: EHLO, STARTTLS, AUTH PLAIN and LOGIN, MAIL,
//! RCPT, DATA, RSET, NOOP, QUIT; and answers each step as it was told to: it accepts, refuses for now or for good, hangs, or hangs
//! up, also after it has kept the message. Promise: what [`MailServer::messages`] lists was received whole, in that order. It
//! delivers nothing to anybody.

mod session;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Messages that are kept; further ones are refused with 452.
pub const MESSAGES_MAX: usize = 100_000;
/// Bytes of one message; a longer one is refused with 552.
pub const MESSAGE_BYTES_MAX: usize = 32 * 1_024 * 1_024;

/// How a session is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protection {
    /// Not at all.
    #[default]
    None,
    /// From `STARTTLS` on, which is demanded before any message.
    #[cfg(feature = "tls")]
    StartTls,
    /// From the first byte on.
    #[cfg(feature = "tls")]
    Tls,
}

/// What a mail server demands.
#[derive(Clone, Default)]
pub struct Options {
    /// How its sessions are protected.
    pub protection: Protection,
    /// The user and the password that it wants before any message, if any.
    pub login: Option<(String, String)>,
}

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The envelope's sender; empty for a bounce.
    pub from: String,
    /// The envelope's recipients that were accepted.
    pub to: Vec<String>,
    /// Headers and body, with their line ends, without the dots that SMTP adds.
    pub data: Bytes,
    /// Whether it came over TLS.
    pub is_protected: bool,
    /// Who had logged in.
    pub user: Option<String>,
}

impl Message {
    /// The first header of this name, unfolded; none when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.data);
        let head = text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ").replace("\r\n\t", " ");
        let of_name = |line: &str| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        head.split("\r\n").find_map(of_name)
    }
}

/// Where a session is: what a [`Verdict`] is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A client has connected.
    Greeting,
    /// It named the sender.
    Sender(&'a str),
    /// It named a recipient.
    Recipient(&'a str),
    /// It sent a whole message.
    Message(&'a Message),
}

/// What becomes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is accepted; a message is kept.
    Accept,
    /// It is refused with this code: 4xx for now, 5xx for good. A message is not kept.
    Refuse(u16),
    /// The connection is closed without an answer. A message is not kept.
    HangUp,
    /// No answer ever comes. A message is not kept.
    Hang,
    /// As [`Verdict::HangUp`], but a message is kept.
    KeepAndHangUp,
    /// As [`Verdict::Hang`], but a message is kept.
    KeepAndHang,
}

type Judge = dyn Fn(&Step<'_>) -> Verdict + Send + Sync;

/// A mail server. Dropping it closes it and every session.
#[derive(Debug)]
pub struct MailServer {
    address: SocketAddr,
    desk: Arc<Desk>,
    #[cfg(feature = "tls")]
    certificate: String,
    serving: JoinHandle<()>,
}

/// What the sessions share.
struct Desk {
    options: Options,
    messages: watch::Sender<Vec<Message>>,
    judge: Mutex<Arc<Judge>>,
    #[cfg(feature = "tls")]
    acceptor: tokio_rustls::TlsAcceptor,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("messages", &self.messages.borrow().len()).finish_non_exhaustive()
    }
}

impl MailServer {
    /// Starts on a free port of 127.0.0.1: unprotected, without a login, accepting everything.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// Starts with demands.
    ///
    /// # Errors
    /// When it cannot listen, or no certificate could be made.
    pub async fn start_with(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        #[cfg(feature = "tls")]
        let (acceptor, certificate) = crate::tls::acceptor(&crate::tls::LOOPBACK)?;
        let accept_all: Arc<Judge> = Arc::new(|_: &Step<'_>| Verdict::Accept);
        let desk = Arc::new(Desk {
            options,
            messages: watch::Sender::new(Vec::new()),
            judge: Mutex::new(accept_all),
            #[cfg(feature = "tls")]
            acceptor,
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&desk)));
        Ok(Self {
            address,
            desk,
            #[cfg(feature = "tls")]
            certificate,
            serving,
        })
    }

    /// The port it listens on, at 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate to trust, for `localhost` and `127.0.0.1`, in PEM. Made at the start: nobody else has its key.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// From now on answers each step as `judge` says.
    pub fn judge(&self, judge: impl Fn(&Step<'_>) -> Verdict + Send + Sync + 'static) {
        *self.desk.judge.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(judge);
    }

    /// From now on answers each whole message with these, one after the other, and then accepts.
    pub fn answer_messages(&self, verdicts: impl IntoIterator<Item = Verdict>) {
        let verdicts: Vec<Verdict> = verdicts.into_iter().collect();
        let left = Mutex::new(verdicts.into_iter());
        self.judge(move |step| match step {
            Step::Message(_) => left.lock().unwrap_or_else(PoisonError::into_inner).next().unwrap_or(Verdict::Accept),
            _ => Verdict::Accept,
        });
    }

    /// What was kept so far.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.desk.messages.borrow().clone()
    }

    /// Waits until at least `count` messages were kept, and returns all.
    ///
    /// # Errors
    /// When there are fewer after `limit`: says how many.
    pub async fn wait_messages(&self, count: usize, limit: Duration) -> Result<Vec<Message>, String> {
        let mut messages = self.desk.messages.subscribe();
        let enough = tokio::time::timeout(limit, messages.wait_for(|messages| messages.len() >= count)).await;
        let kept = self.messages();
        if enough.is_err() {
            return Err(format!("only {} of {count} messages came within {limit:?}", kept.len()));
        }
        Ok(kept)
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Desk {
    fn judge(&self, step: &Step<'_>) -> Verdict {
        // Not called under the lock: a judge may take its time.
        let judge = Arc::clone(&self.judge.lock().unwrap_or_else(PoisonError::into_inner));
        judge(step)
    }

    /// Whether there was room for it.
    fn keep(&self, message: Message) -> bool {
        self.messages.send_if_modified(|messages| {
            let has_room = messages.len() < MESSAGES_MAX;
            if has_room {
                messages.push(message);
            }
            has_room
        })
    }
}

async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    // Dropped with this task, and the sessions with it.
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(sessions.spawn(session::serve(stream, Arc::clone(&desk)))),
                Err(error) => return eprintln!("the mail server no longer listens: {error}"),
            },
            Some(_ended) = sessions.join_next() => {}
        }
    }
}
