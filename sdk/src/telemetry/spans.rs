//! Spans on their way to the operator's collector (OTLP over HTTP, `[tracing]` of the settings).
//!
//! Promise: nobody waits for the collector. A span that has ended is put into a bounded queue, or dropped and counted where
//! that is full; one task takes batches out of it and sends them, one at a time. A collector that is away, hangs or refuses
//! costs the spans, and nothing else. It is not promised that a span arrives: what is in the queue is lost with the process,
//! and when the process ends the rest is sent within [`FAREWELL_MAX`] or not at all.

pub(crate) use super::collector::Origin;

use super::{TelemetryError, collector::Collector};
use haul_core::{
    Config,
    telemetry::SPANS_TOTAL,
    trace::{self, Ended, Exporter},
};
use haul_outgoing::Secrets;
use metrics::Counter;
use std::time::Duration;
use tokio::{
    select,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Spans that may wait to be sent, of less than a kilobyte each.
const WAITING_MAX: usize = 4_096;
/// Spans of one request to the collector.
const BATCH_MAX: usize = 512;
/// How long the first span of a batch waits for others.
const BATCH_EVERY: Duration = Duration::from_secs(1);
/// For how long what is left may be sent when the process ends. A process's last breath is longer.
const FAREWELL_MAX: Duration = Duration::from_secs(3);

/// Takes the spans of this process from now on. What it gives back has to [run](Courier::run). `None` when the settings name
/// no collector, or when another one takes the spans of this process already.
pub(crate) fn start(
    config: &Config,
    secrets: &Secrets,
    origin: &Origin<'_>,
) -> Result<Option<Courier>, TelemetryError> {
    let Some(url) = &config.tracing.otlp_url else { return Ok(None) };
    let collector = Collector::new(url, config, secrets, origin).map_err(TelemetryError::Collector)?;
    let (sender, waiting) = channel(WAITING_MAX);
    let dropped = counter("dropped");
    if !trace::export_to(Box::new(Intake { sender, dropped: dropped.clone() }), config.tracing.sample_one_in) {
        tracing::debug!("spans of this process are exported already; these settings have no effect");
        return Ok(None);
    }
    tracing::info!("spans are sent to {url}");
    let (exported, failed) = (counter("exported"), counter("failed"));
    Ok(Some(Courier { waiting, collector, exported, failed, dropped, is_failing: false }))
}

fn counter(end: &'static str) -> Counter {
    metrics::counter!(SPANS_TOTAL, "end" => end)
}

/// Where spans come in.
struct Intake {
    sender: Sender<Ended>,
    dropped: Counter,
}

impl Exporter for Intake {
    fn take(&self, span: Ended) {
        if self.sender.try_send(span).is_err() {
            self.dropped.increment(1);
        }
    }
}

/// Brings them to the collector.
pub(crate) struct Courier {
    waiting: Receiver<Ended>,
    collector: Collector,
    exported: Counter,
    failed: Counter,
    dropped: Counter,
    is_failing: bool,
}

impl Courier {
    /// Sends what comes in until `end`, and then what is left.
    pub(crate) async fn run(mut self, end: CancellationToken) {
        let farewell = async {
            end.cancelled().await;
            sleep(FAREWELL_MAX).await;
        };
        let is_done = select! {
            () = self.deliver(&end) => true,
            () = farewell => false,
        };
        if !is_done {
            let left = self.waiting.len();
            self.dropped.increment(left as u64);
            tracing::warn!(left, "the last spans could not be sent within {} s and are lost", FAREWELL_MAX.as_secs());
        }
    }

    async fn deliver(&mut self, end: &CancellationToken) {
        loop {
            let batch = gather(&mut self.waiting, end).await;
            if batch.is_empty() {
                return;
            }
            self.send(batch).await;
        }
    }

    async fn send(&mut self, batch: Vec<Ended>) {
        let spans = batch.len() as u64;
        match self.collector.send(batch).await {
            Ok(refused) => {
                let refused = refused.min(spans);
                self.exported.increment(spans - refused);
                self.failed.increment(refused);
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("spans reach the collector again");
                }
            }
            Err(why) => {
                self.failed.increment(spans);
                // Once, until it is over: what goes on is in the metrics.
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!("spans do not reach the collector, and are lost until they do: {why}");
                }
            }
        }
    }
}

/// The next batch: whatever comes within a moment of its first span. After `end` what is there, and nothing when that is all.
async fn gather(waiting: &mut Receiver<Ended>, end: &CancellationToken) -> Vec<Ended> {
    let mut batch = Vec::new();
    // When it is sent, once there is something to send.
    let mut due = None;
    while batch.len() < BATCH_MAX {
        let room = BATCH_MAX - batch.len();
        select! {
            biased;
            came = waiting.recv_many(&mut batch, room) => {
                if came == 0 {
                    break;
                }
                due = due.or_else(|| Some(Instant::now() + BATCH_EVERY));
            }
            () = end.cancelled(), if !waiting.is_closed() => waiting.close(),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => break,
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::{
        TraceContext,
        trace::{Described, SpanKind},
    };

    fn span() -> Ended {
        let what = Described { name: "test".to_owned(), error: None, attributes: Vec::new() };
        let context = TraceContext::fresh();
        Ended { context, parent: None, kind: SpanKind::Server, began_ns: 1, ended_ns: 2, what }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_what_comes_within_a_second_of_its_first_span() {
        let (sender, mut waiting) = channel(WAITING_MAX);
        let end = CancellationToken::new();
        let sending = tokio::spawn(async move {
            for _ in 0..3 {
                sleep(Duration::from_millis(700)).await;
                sender.send(span()).await.unwrap();
            }
            sender
        });
        assert_eq!(gather(&mut waiting, &end).await.len(), 2);
        assert_eq!(gather(&mut waiting, &end).await.len(), 1);
        let sender = sending.await.unwrap();
        for _ in 0..BATCH_MAX + 1 {
            sender.try_send(span()).unwrap();
        }
        let began = Instant::now();
        assert_eq!(gather(&mut waiting, &end).await.len(), BATCH_MAX);
        assert_eq!(began.elapsed(), Duration::ZERO, "a full batch waits for nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_what_is_left_is_sent_at_once_and_nothing_more_is_taken() {
        let (sender, mut waiting) = channel(WAITING_MAX);
        let end = CancellationToken::new();
        sender.try_send(span()).unwrap();
        end.cancel();
        let began = Instant::now();
        assert_eq!(gather(&mut waiting, &end).await.len(), 1);
        assert!(gather(&mut waiting, &end).await.is_empty());
        assert!(sender.try_send(span()).is_err());
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[test]
    fn a_full_queue_drops_spans_and_waits_for_nobody() {
        let (sender, mut waiting) = channel(1);
        let intake = Intake { sender, dropped: Counter::noop() };
        intake.take(span());
        intake.take(span());
        assert!(waiting.try_recv().is_ok() && waiting.try_recv().is_err());
    }
}
