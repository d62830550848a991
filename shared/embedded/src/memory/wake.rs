//! Wake-ups: how a worker that found too little hears of more, without polling.
//!
//! A worker has one mailbox over all queues. What is put in stays until it is taken out, so a wake-up that comes between
//! a claim and the wait after it is not lost.

use haul_core::{ProcessId, QueueRef};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// A worker that neither waits nor claimed for so long is gone: workers wait for 5 s at most. Nothing is sent to it any
/// more, so that a wake-up does not end with somebody who died.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// The mailboxes of all workers.
#[derive(Debug, Default)]
pub(super) struct Mailboxes(Mutex<BTreeMap<ProcessId, Arc<Mailbox>>>);

impl Mailboxes {
    /// The worker's mailbox; the worker counts as alive from now.
    pub(super) fn of(&self, worker: ProcessId) -> Arc<Mailbox> {
        let now = Instant::now();
        let mut all = self.0.lock();
        if let Some(mailbox) = all.get(&worker) {
            mailbox.post.lock().seen = now;
            return mailbox.clone();
        }
        all.retain(|_, mailbox| !mailbox.is_gone(now));
        let post = Mutex::new(Post { woken: Vec::new(), waiting: 0, seen: now });
        let mailbox = Arc::new(Mailbox { worker, post, arrived: Notify::new() });
        all.insert(worker, mailbox.clone());
        mailbox
    }

    /// Wakes every worker that is not gone.
    pub(super) fn wake_all(&self, queue: &QueueRef) {
        let now = Instant::now();
        for mailbox in self.0.lock().values().filter(|mailbox| !mailbox.is_gone(now)) {
            mailbox.wake(queue);
        }
    }
}

/// Where a worker's wake-ups go.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) worker: ProcessId,
    post: Mutex<Post>,
    arrived: Notify,
}

#[derive(Debug)]
struct Post {
    /// The queues that it was woken for since the last wait; each once.
    woken: Vec<QueueRef>,
    /// Waits under way.
    waiting: usize,
    /// When it last claimed or waited.
    seen: Instant,
}

impl Mailbox {
    pub(super) fn wake(&self, queue: &QueueRef) {
        let mut post = self.post.lock();
        if !post.woken.contains(queue) {
            post.woken.push(queue.clone());
        }
        self.arrived.notify_one();
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.post.lock().waiting > 0
    }

    pub(super) fn is_gone(&self, now: Instant) -> bool {
        let post = self.post.lock();
        post.waiting == 0 && now.saturating_duration_since(post.seen) > GONE_AFTER
    }

    /// Waits until something is in the box, or the deadline has passed.
    pub(super) async fn wait(&self, deadline: Instant) -> Vec<QueueRef> {
        let _present = Present::new(self);
        loop {
            let woken = std::mem::take(&mut self.post.lock().woken);
            if !woken.is_empty() {
                return woken;
            }
            if timeout_at(deadline, self.arrived.notified()).await.is_err() {
                return std::mem::take(&mut self.post.lock().woken);
            }
        }
    }
}

/// Counts a wait, also one that is dropped half-way.
struct Present<'a>(&'a Mailbox);

impl<'a> Present<'a> {
    fn new(mailbox: &'a Mailbox) -> Self {
        mailbox.post.lock().waiting += 1;
        Self(mailbox)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        let mut post = self.0.post.lock();
        post.waiting -= 1;
        post.seen = Instant::now();
    }
}
