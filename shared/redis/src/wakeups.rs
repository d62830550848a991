//! The pub/sub connection behind `wait`.
//!
//! A process hears on a channel of its own, and on one that all processes share, for queues that may be new. It is
//! subscribed before the first claim can register a worker. What comes in goes into the worker's mailbox and stays there
//! until it is taken out, so that a wake-up between a claim and the wait after it is not lost. What was sent while there
//! was no connection is: once it is back, workers are woken for every queue that they may be registered in.

use crate::{
    keys::{LOST_CHANNEL, parse_queue, wake_channel},
    link::{Timeouts, failed},
};
use futures::StreamExt;
use haul_core::{
    ProcessId, QueueRef,
    dispatch::{DispatchError, Result},
    limits::QUEUES_MAX,
};
use parking_lot::Mutex;
use redis::{
    Client, Msg,
    aio::{PubSubSink, PubSubStream},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// A claim registers its worker for less than that (`IDLE_MS` in `lua/prelude.lua`).
const REGISTERED_FOR: Duration = Duration::from_secs(10);
/// A worker that neither claimed nor waited for so long is gone.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// How often the connection is tried: nothing else tells that it is dead.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// The pause between attempts to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The wake-ups of the workers that claim through one dispatch.
pub(crate) struct Wakeups {
    process: Uuid,
    mailboxes: Arc<Mailboxes>,
    _listener: AbortOnDropHandle<()>,
}

impl Wakeups {
    /// Subscribes, and listens from then on.
    pub(crate) async fn open(servers: watch::Receiver<Vec<Client>>, timeouts: Timeouts) -> Result<Self> {
        let process = Uuid::new_v4();
        let mailboxes = Arc::new(Mailboxes::default());
        let mut listener = Listener { process, servers, next_server: 0, timeouts, mailboxes: mailboxes.clone() };
        let subscription = listener.subscribe_any().await?;
        let listener = AbortOnDropHandle::new(tokio::spawn(listener.run(subscription)));
        Ok(Self { process, mailboxes, _listener: listener })
    }

    /// The name under which a claim registers its worker. From here on, the worker hears of the queue.
    pub(crate) fn registration(&self, worker: ProcessId, queue: &QueueRef) -> String {
        let mailbox = self.mailboxes.of(worker);
        mailbox.post.lock().claimed.insert(queue.clone(), Instant::now());
        format!("{}/{}", self.process.simple(), worker.0.simple())
    }

    /// Waits until the worker is woken, or `at_most` has passed.
    pub(crate) async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        let mailbox = self.mailboxes.of(worker);
        let deadline = Instant::now() + at_most;
        loop {
            let woken = std::mem::take(&mut mailbox.post.lock().woken);
            if !woken.is_empty() {
                return woken.into_iter().collect();
            }
            if timeout_at(deadline, mailbox.arrived.notified()).await.is_err() {
                return std::mem::take(&mut mailbox.post.lock().woken).into_iter().collect();
            }
        }
    }
}

#[derive(Default)]
struct Mailboxes(Mutex<HashMap<ProcessId, Arc<Mailbox>>>);

struct Mailbox {
    post: Mutex<Post>,
    arrived: Notify,
}

struct Post {
    /// What the worker was woken for since its last wait; at most [`QUEUES_MAX`], beyond which it claims anyway.
    woken: HashSet<QueueRef>,
    /// When it last claimed from each queue.
    claimed: HashMap<QueueRef, Instant>,
    seen: Instant,
}

impl Mailboxes {
    fn of(&self, worker: ProcessId) -> Arc<Mailbox> {
        let now = Instant::now();
        let mut all = self.0.lock();
        if let Some(mailbox) = all.get(&worker) {
            mailbox.post.lock().seen = now;
            return mailbox.clone();
        }
        all.retain(|_, mailbox| now.duration_since(mailbox.post.lock().seen) < GONE_AFTER);
        let post = Post { woken: HashSet::new(), claimed: HashMap::new(), seen: now };
        let mailbox = Arc::new(Mailbox { post: Mutex::new(post), arrived: Notify::new() });
        all.insert(worker, mailbox.clone());
        mailbox
    }

    fn wake(&self, worker: ProcessId, queue: QueueRef) {
        if let Some(mailbox) = self.0.lock().get(&worker) {
            mailbox.put(queue);
        }
    }

    fn wake_all(&self, queue: &QueueRef) {
        for mailbox in self.0.lock().values() {
            mailbox.put(queue.clone());
        }
    }

    /// Wakes every worker for the queues in which it may be registered.
    fn wake_registered(&self) {
        let now = Instant::now();
        for mailbox in self.0.lock().values() {
            let mut post = mailbox.post.lock();
            post.claimed.retain(|_, claimed| now.duration_since(*claimed) < REGISTERED_FOR);
            let queues: Vec<_> = post.claimed.keys().cloned().collect();
            post.woken.extend(queues);
            drop(post);
            mailbox.arrived.notify_one();
        }
    }
}

impl Mailbox {
    fn put(&self, queue: QueueRef) {
        let mut post = self.post.lock();
        if post.woken.len() < QUEUES_MAX {
            post.woken.insert(queue);
        }
        drop(post);
        self.arrived.notify_one();
    }
}

/// Holds the connection, and makes it anew when it breaks.
struct Listener {
    process: Uuid,
    /// Those that may be listened to: the one server, or any node of a cluster.
    servers: watch::Receiver<Vec<Client>>,
    next_server: usize,
    timeouts: Timeouts,
    mailboxes: Arc<Mailboxes>,
}

type Subscription = (PubSubSink, PubSubStream);

impl Listener {
    async fn run(mut self, mut subscription: Subscription) {
        loop {
            self.listen(subscription).await;
            tracing::warn!(
                "the connection for wake-ups broke; workers look for tickets every few seconds until it is back"
            );
            subscription = loop {
                match self.subscribe_any().await {
                    Ok(subscription) => break subscription,
                    Err(_) => sleep(RETRY_PAUSE).await,
                }
            };
            self.mailboxes.wake_registered();
            tracing::info!("the connection for wake-ups is back");
        }
    }

    /// Tries every server once, beginning with another one each time.
    async fn subscribe_any(&mut self) -> Result<Subscription> {
        let mut last = DispatchError::Misconfigured("REDIS_URL names no server".into());
        let servers = self.servers.borrow_and_update().clone();
        for _ in 0..servers.len() {
            let server = &servers[self.next_server % servers.len()];
            self.next_server = self.next_server.wrapping_add(1);
            let subscribing = async {
                let (mut sink, stream) = server.get_async_pubsub().await?.split();
                sink.subscribe(&[LOST_CHANNEL, &wake_channel(self.process)]).await?;
                Ok((sink, stream))
            };
            last = match timeout(self.timeouts.connect, subscribing).await {
                Ok(Ok(subscription)) => return Ok(subscription),
                Ok(Err(error)) => failed(error),
                Err(elapsed) => DispatchError::Unavailable(elapsed.into()),
            };
        }
        Err(last)
    }

    /// Hands out what comes in, until the connection breaks or another server has taken over: a replica hears what is
    /// published, but its master does not know who listens.
    async fn listen(&mut self, (mut sink, mut stream): Subscription) {
        let mut pings = interval(PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Ok(()) = self.servers.changed() => return,
                message = stream.next() => match message {
                    Some(message) => self.deliver(&message),
                    None => return,
                },
                _ = pings.tick() => match timeout(self.timeouts.response, sink.ping::<redis::Value>()).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(_)) | Err(_) => return,
                },
            }
        }
    }

    fn deliver(&self, message: &Msg) {
        // Anybody may publish; what is no message of ours is nothing to us.
        let Ok(text) = std::str::from_utf8(message.get_payload_bytes()) else { return };
        if message.get_channel_name() == LOST_CHANNEL {
            if let Some(queue) = parse_queue(text) {
                self.mailboxes.wake_all(&queue);
            }
        } else if let Some((worker, queue)) = text.split_once(' ')
            && let (Ok(worker), Some(queue)) = (Uuid::try_parse(worker), parse_queue(queue))
        {
            self.mailboxes.wake(ProcessId(worker), queue);
        }
    }
}
