//! Events: users' own transactions have committed jobs (`haul.enqueue` sends one NOTIFY per transaction).
//!
//! They only hasten what repair does anyway. The connection is this stream's own; lost, it is made again with growing
//! pauses, and each new one speaks once, because nobody knows what was missed. A server that has fallen silent is asked
//! for a sign of life.

use futures::stream::{self, BoxStream, StreamExt};
use sqlx::{
    Executor,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use std::time::Duration;

/// The channel of `haul.enqueue`.
const CHANNEL: &str = "haul_receipt";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const SILENCE_MAX: Duration = Duration::from_secs(30);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

pub(crate) fn events(session: PgConnectOptions) -> BoxStream<'static, ()> {
    let ear = Ear { session, listener: None, pause: PAUSE_MIN };
    stream::unfold(ear, async |mut ear| {
        ear.next().await;
        Some(((), ear))
    })
    .boxed()
}

struct Ear {
    session: PgConnectOptions,
    listener: Option<PgListener>,
    pause: Duration,
}

impl Ear {
    /// Returns when something was heard, or may have been missed.
    async fn next(&mut self) {
        loop {
            let Some(listener) = &mut self.listener else {
                match self.listen().await {
                    Ok(listener) => {
                        self.listener = Some(listener);
                        self.pause = PAUSE_MIN;
                        return;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "cannot listen for enqueued jobs; they are found by looking instead");
                        tokio::time::sleep(self.pause).await;
                        self.pause = (self.pause * 2).min(PAUSE_MAX);
                        continue;
                    }
                }
            };
            match tokio::time::timeout(SILENCE_MAX, listener.try_recv()).await {
                Ok(Ok(Some(_))) => {
                    // Whoever hears one event looks at everything: what else waits says nothing new.
                    while listener.next_buffered().is_some() {}
                    return;
                }
                Err(_) if is_alive(listener).await => {}
                _ => self.listener = None,
            }
        }
    }

    async fn listen(&self) -> sqlx::Result<PgListener> {
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
        let pool = pool.connect_lazy_with(self.session.clone());
        let listen = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        tokio::time::timeout(CONNECT_TIMEOUT, listen).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

async fn is_alive(listener: &mut PgListener) -> bool {
    let sign = listener.execute("SELECT 1");
    matches!(tokio::time::timeout(CONNECT_TIMEOUT, sign).await, Ok(Ok(_)))
}
