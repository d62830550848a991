//! The third party: logs every request, honours idempotency keys, and misbehaves when told to.
//!
//! A worker's effect is `POST /effect/KEY`; `POST /began/KEY` only says that an attempt has begun, and is always answered. An
//! effect is applied when its idempotency key is new, and an answer that is lost does not undo it: that is what makes
//! sending again necessary, and keys too.

use crate::evidence::{Send, now_ms};
use anyhow::Result;
use haul_testkit::{
    http::{Reply, Request, Sink},
    net::FaultProxy,
};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What the party does with the first request of a new idempotency key. Later ones are answered as they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// Applies it and answers 200.
    #[default]
    Good,
    /// Applies it and hangs up.
    CommitAndHangUp,
    /// Applies it and never answers.
    CommitAndHang,
    /// Applies it and answers 500.
    CommitAndFail,
    /// Applies it and never answers, whatever the idempotency key: its sender is about to be killed.
    Hold,
}

/// A running third party.
#[derive(Debug)]
pub struct Party {
    sink: Sink,
    proxy: FaultProxy,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    sends: Vec<Send>,
    idempotency_keys: HashSet<String>,
    manner: Manner,
    misbehaved: usize,
}

impl Party {
    /// Starts it on a free port, with a proxy before it.
    pub async fn start() -> Result<Self> {
        let book = Arc::new(Mutex::new(Book::default()));
        let shared = Arc::clone(&book);
        let sink = Sink::answering(move |request| lock(&shared).answer(request)).await?;
        let proxy = FaultProxy::before(sink.port()).await?;
        Ok(Self { sink, proxy, book })
    }

    /// Where effects go, through the proxy.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.proxy.port())
    }

    /// Where attempts say that they have begun: no fault is ever in between.
    #[must_use]
    pub fn witness_url(&self) -> String {
        self.sink.url("")
    }

    /// The network before it.
    #[must_use]
    pub fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    /// From now on treats new effects in this way.
    pub fn behave(&self, manner: Manner) {
        lock(&self.book).manner = manner;
    }

    /// How many effects it has treated badly so far.
    #[must_use]
    pub fn misbehaved(&self) -> usize {
        lock(&self.book).misbehaved
    }

    /// How many attempts have begun so far.
    #[must_use]
    pub fn begun(&self) -> usize {
        lock(&self.book).sends.iter().filter(|send| send.is_beginning).count()
    }

    /// Everything that it received so far.
    #[must_use]
    pub fn sends(&self) -> Vec<Send> {
        lock(&self.book).sends.clone()
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    fn answer(&mut self, request: &Request) -> Reply {
        let idempotency_key = request.header("idempotency-key").unwrap_or_default().to_owned();
        let Some((what, key)) = request.path.trim_start_matches('/').split_once('/') else {
            return Reply::status(404);
        };
        let is_beginning = what == "began";
        let is_new = !is_beginning && self.idempotency_keys.insert(idempotency_key.clone());
        let key = key.to_owned();
        self.sends.push(Send { at_ms: now_ms(), key, is_beginning, idempotency_key, applied: is_new });
        let manner = match self.manner {
            Manner::Hold if !is_beginning => Manner::Hold,
            manner if is_new => manner,
            _ => Manner::Good,
        };
        self.misbehaved += usize::from(manner != Manner::Good);
        match manner {
            Manner::Good => Reply::status(200),
            Manner::CommitAndHangUp => Reply::hang_up(),
            Manner::CommitAndHang | Manner::Hold => Reply::hang(),
            Manner::CommitAndFail => Reply::status(500),
        }
    }
}
