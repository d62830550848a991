//! How fast the memory dispatch is, and what a ticket costs, from ten thousand to ten million tickets.
//! `cargo bench -p haul-embedded --bench memory`

use haul_core::{
    Clock, Dispatch, IdMint, Kind, Priority, ProcessId, QueueRef, QueueSettings,
    dispatch::{ClaimRequest, Lease, LeaseToken, Next, Settlement, Ticket},
};
use haul_embedded::MemoryDispatch;
use std::{error::Error, sync::Arc, time::Duration};
use tokio::time::Instant;

type Done = Result<(), Box<dyn Error>>;

const BATCH: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    println!("ns per ticket, batches of {BATCH}; worst: the longest call in ms");
    println!(
        "{:>10} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "tickets", "which", "enqueue", "claim", "extend", "settle", "worst", "B/ticket"
    );
    for tickets in [10_000, 100_000, 1_000_000, 10_000_000] {
        for delay in [None, Some(Duration::from_secs(60))] {
            run(tickets, delay).await?;
        }
    }
    Ok(())
}

async fn run(count: usize, delay: Option<Duration>) -> Done {
    let clock = Arc::new(Clock::new());
    let dispatch = MemoryDispatch::new(clock.clone());
    let mint = IdMint::new(clock.clone());
    let (queue, kind, worker) = (QueueRef::default(), Kind::new("echo")?, ProcessId::random());
    let token =
        dispatch.begin_rebuild(&queue, &[], &QueueSettings::default(), Duration::from_secs(1)).await?.ok_or("taken")?;
    dispatch.finish_rebuild(&queue, token, &QueueSettings::default()).await?;

    let (mut enqueue, mut claim, mut extend, mut settle) =
        (Gauge::default(), Gauge::default(), Gauge::default(), Gauge::default());
    let before = resident_bytes()?;
    for _ in 0..count / BATCH {
        let due = delay.map(|delay| clock.now().plus(delay));
        let one = |_| Ticket { id: mint.next(), kind: kind.clone(), priority: Priority::default(), due };
        let tickets: Vec<_> = (0..BATCH).map(one).collect();
        enqueue.time(dispatch.enqueue(&queue, &tickets)).await?;
    }
    let bytes = resident_bytes()?.saturating_sub(before) as f64 / count as f64;
    if let Some(delay) = delay {
        clock.sync(clock.now().plus(delay * 2), Duration::ZERO);
    }
    let kinds = [(kind.clone(), BATCH)];
    let lease = Duration::from_secs(30);
    for _ in 0..count / BATCH {
        let token = LeaseToken::random();
        let request = ClaimRequest { queue: &queue, kinds: &kinds, limit: BATCH, worker, token, lease };
        let claimed = claim.time(dispatch.claim(&request)).await?;
        let held = |ticket: &haul_core::dispatch::Claimed| Lease {
            id: ticket.id,
            kind: ticket.kind.clone(),
            priority: ticket.priority,
            token,
        };
        let leases: Vec<_> = claimed.tickets.iter().map(held).collect();
        extend.time(dispatch.extend(&queue, &leases, lease)).await?;
        let settlements: Vec<_> = leases.into_iter().map(|lease| Settlement { lease, next: Next::Done }).collect();
        if settlements.len() != BATCH {
            return Err(format!("claimed {} instead of {BATCH}", settlements.len()).into());
        }
        settle.time(dispatch.settle(&queue, &settlements)).await?;
    }
    let each = |gauge: &Gauge| gauge.total.as_nanos() as f64 / count as f64;
    let worst = [&enqueue, &claim, &extend, &settle].map(|gauge| gauge.worst).into_iter().max().unwrap_or_default();
    println!(
        "{count:>10} {:>9} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>8.2} {bytes:>8.1}",
        if delay.is_some() { "delayed" } else { "ready" },
        each(&enqueue),
        each(&claim),
        each(&extend),
        each(&settle),
        worst.as_secs_f64() * 1e3,
    );
    Ok(())
}

#[derive(Default)]
struct Gauge {
    total: Duration,
    worst: Duration,
}

impl Gauge {
    async fn time<T>(&mut self, call: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let answer = call.await;
        let took = start.elapsed();
        self.total += took;
        self.worst = self.worst.max(took);
        answer
    }
}

/// What this process holds in memory.
fn resident_bytes() -> Result<usize, Box<dyn Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split_whitespace().nth(1).ok_or("statm")?.parse()?;
    Ok(pages * 4_096)
}
