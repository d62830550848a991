//! A TCP proxy that plays a bad network between a process and its Postgres or Redis.
//!
//! Promise: a fault holds for the connections that are there and for new ones, until the next call. It will not
//! reorder or change bytes, and what it loses it loses with the rest of the connection: TCP would not show anything
//! else to anybody either.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Pieces on their way in one direction of one connection; a full way makes the sender wait.
const PIECES_MAX: usize = 256;
const PIECE_BYTES: usize = 64 * 1024;

/// A proxy in front of one address. Dropping it cuts every connection and stops listening.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    lost: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// Everything passes, this much later in each direction.
    Open { delay: Duration },
    /// Each piece that comes in has this chance to be the end of its connection: one in so many.
    Lossy { one_in: u32 },
    /// Connections stay, nothing passes.
    Stalled,
    /// No connection lives.
    Cut,
}

impl FaultProxy {
    /// Starts on a free port of 127.0.0.1, and passes everything on to `target`, such as `127.0.0.1:5432`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port")?;
        let address = listener.local_addr()?;
        let weather = watch::Sender::new(Weather::Open { delay: Duration::ZERO });
        let lost = Arc::new(AtomicU64::new(0));
        let serving = tokio::spawn(serve(listener, target, weather.subscribe(), Arc::clone(&lost)));
        Ok(Self { address, weather, lost, serving })
    }

    /// In front of a server of this crate: `port` is its port.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn before(port: u16) -> Result<Self> {
        Self::start((Ipv4Addr::LOCALHOST, port).into()).await
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Closes every connection, and each new one at once.
    pub fn cut(&self) {
        self.weather.send_replace(Weather::Cut);
    }

    /// Lets nothing pass, and closes nothing: the other side seems to hang.
    pub fn stall(&self) {
        self.weather.send_replace(Weather::Stalled);
    }

    /// Lets everything pass, each way this much later.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_replace(Weather::Open { delay });
    }

    /// Closes a connection, at random, before it passes on a piece of what was sent: about one piece in `one_in`.
    pub fn lose(&self, one_in: u32) {
        self.weather.send_replace(Weather::Lossy { one_in: one_in.max(1) });
    }

    /// How many connections were closed by [`FaultProxy::lose`].
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Ends any fault. What was stalled passes now; what was cut stays cut.
    pub fn restore(&self) {
        self.delay(Duration::ZERO);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, weather: watch::Receiver<Weather>, lost: Arc<AtomicU64>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(pass(stream, target, weather.clone(), Arc::clone(&lost)))),
                Err(error) => return eprintln!("the proxy no longer listens: {error}"),
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn pass(client: TcpStream, target: SocketAddr, weather: watch::Receiver<Weather>, lost: Arc<AtomicU64>) {
    let mut until_cut = weather.clone();
    let passing = async {
        let server = TcpStream::connect(target).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::try_join!(
            one_way(from_client, to_server, weather.clone(), &lost),
            one_way(from_server, to_client, weather, &lost)
        )
    };
    tokio::select! {
        // However it ends, both connections close here.
        _ended = passing => {}
        _cut = until_cut.wait_for(|weather| *weather == Weather::Cut) => {}
    }
}

/// Passes on what comes in, each piece as late as it was decided when it came.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    weather: watch::Receiver<Weather>,
    lost: &AtomicU64,
) -> std::io::Result<()> {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Bytes)>(PIECES_MAX);
    let mut now = weather.clone();
    let read = async move {
        let mut buffer = BytesMut::with_capacity(PIECE_BYTES);
        while from.read_buf(&mut buffer).await? > 0 {
            let delay = match *weather.borrow() {
                Weather::Open { delay } => delay,
                Weather::Lossy { one_in } if is_unlucky(one_in) => {
                    lost.fetch_add(1, Ordering::Relaxed);
                    return Err(std::io::ErrorKind::ConnectionReset.into());
                }
                Weather::Lossy { .. } | Weather::Stalled | Weather::Cut => Duration::ZERO,
            };
            if sender.send((Instant::now() + delay, buffer.split().freeze())).await.is_err() {
                break;
            }
            buffer.reserve(PIECE_BYTES);
        }
        Ok(())
    };
    let write = async move {
        while let Some((due, piece)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if now.wait_for(|weather| *weather != Weather::Stalled).await.is_err() {
                break;
            }
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(drop)
}

/// Whether the one in so many is this one.
fn is_unlucky(one_in: u32) -> bool {
    // Keyed anew each time: as random as a hash map needs it, which is enough for weather.
    RandomState::new().hash_one(one_in).is_multiple_of(u64::from(one_in))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Client, Sink};
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_lossy_link_closes_some_connections_and_lets_others_live() {
        let sink = Sink::start().await.expect("sink");
        let proxy = FaultProxy::before(sink.port()).await.expect("proxy");
        proxy.lose(4);
        let client = Client::new(&format!("http://127.0.0.1:{}", proxy.port()));
        let (mut answered, mut refused) = (0, 0);
        while answered == 0 || refused == 0 {
            match client.get("/").await {
                Ok(_) => answered += 1,
                Err(_) => refused += 1,
            }
            assert!(answered + refused < 1_000, "{answered} answered, {refused} not");
        }
        assert!(proxy.lost() > 0);
    }

    #[tokio::test]
    async fn a_fault_holds_for_old_and_new_connections_until_it_ends() {
        let sink = Sink::start().await.expect("sink");
        let target = sink.url("").trim_start_matches("http://").parse().expect("an address");
        let proxy = FaultProxy::start(target).await.expect("proxy");
        let old = Client::new(&format!("http://127.0.0.1:{}", proxy.port()));
        assert_eq!(old.get("/before").await.expect("open").status, 200);

        proxy.cut();
        assert!(old.get("/cut").await.is_err());

        proxy.restore();
        assert_eq!(old.get("/restored").await.expect("open again").status, 200);

        proxy.stall();
        let stalled = tokio::spawn(async move { old.get("/stalled").await });
        assert!(timeout(Duration::from_millis(100), sink.wait_requests(3, Duration::from_secs(5))).await.is_err());
        proxy.restore();
        assert_eq!(stalled.await.expect("a result").expect("an answer").status, 200);

        proxy.delay(Duration::from_millis(50));
        let late = Client::new(&format!("http://127.0.0.1:{}", proxy.port()));
        let begun = Instant::now();
        assert_eq!(late.get("/late").await.expect("late").status, 200);
        assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
        let paths: Vec<_> = sink.requests().into_iter().map(|request| request.path).collect();
        assert_eq!(paths, ["/before", "/restored", "/stalled", "/late"]);
    }
}
