//! What the API does with a submit: accept with a receipt, bring the tickets, look after the receipt.

use crate::{
    history::History,
    plan::{Batch, JobPlan, KINDS, QUEUES},
    stores::{FarDispatch, FarLedger},
};
use bytes::Bytes;
use haul_core::{
    Dispatch, FinalState, IdMint, Job, JobId, JobOptions, Kind, Ledger, Priority, Queue, QueueRef, Tenant,
    dispatch::Ticket,
    ledger::{Cancelled, NewJob, ProcessInfo, ReceiptId},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How often a call is tried before the submitter gives up.
const TRIES: usize = 5;
/// How long an enqueue may take.
const ENQUEUE_MAX: Duration = Duration::from_secs(2);
/// How long a receipt stays after its tickets arrived.
const RECEIPT_KEPT: Duration = Duration::from_secs(60);
/// How often a process tells that it is alive.
pub(crate) const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);

/// Batches that nobody has submitted yet; they outlive the producer that is killed.
pub(crate) type Orders = Arc<Mutex<VecDeque<Batch>>>;

/// One accepting process.
pub(crate) struct Producer {
    pub(crate) ledger: Arc<FarLedger>,
    pub(crate) dispatch: Arc<FarDispatch>,
    pub(crate) mint: Arc<IdMint>,
    pub(crate) history: Arc<History>,
    pub(crate) began: Instant,
}

impl Producer {
    /// Submits what is ordered, and then only lives.
    pub(crate) async fn run(self: Arc<Self>, orders: Orders) {
        let submitting = async {
            loop {
                let Some(batch) = orders.lock().pop_front() else { return std::future::pending().await };
                sleep_until(self.began + batch.at).await;
                self.clone().submit(batch.jobs).await;
            }
        };
        tokio::select! {
            biased;
            () = submitting => {}
            () = beat(&*self.ledger, self.ledger.process, "api") => {}
        }
    }

    async fn submit(self: Arc<Self>, plans: Vec<JobPlan>) {
        let jobs: Vec<NewJob> = plans.into_iter().map(|plan| self.job(plan)).collect();
        for _ in 0..TRIES {
            match self.ledger.accept(&jobs, self.ledger.process, &[]).await {
                Ok(accepted) => {
                    jobs.iter().for_each(|new| self.history.acknowledged(new.job.id));
                    if let Some(receipt) = accepted.receipt {
                        // Beside the answer, as the API does.
                        tokio::spawn(async move { self.bring(jobs, receipt).await });
                    }
                    return;
                }
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn job(&self, plan: JobPlan) -> NewJob {
        let id = self.mint.next();
        let created_at = id.created_at();
        let deadline = plan.deadline.map(|after| created_at.plus(plan.delay + after));
        let job = Job {
            id,
            tenant: Tenant::default(),
            queue: queue(plan.queue).queue,
            kind: kind(plan.kind),
            priority: Priority::new(plan.priority).unwrap_or_default(),
            run_at: created_at.plus(plan.delay),
            payload: Bytes::from(serde_json::to_vec(&plan.task).unwrap_or_default()),
            options: Arc::new(JobOptions { deadline, ..plan.options }),
        };
        NewJob { job, idempotency: None }
    }

    async fn bring(&self, jobs: Vec<NewJob>, receipt: ReceiptId) {
        let mut by_queue: BTreeMap<QueueRef, Vec<Ticket>> = BTreeMap::new();
        for NewJob { job, .. } in &jobs {
            let due = (job.run_at > job.created_at()).then_some(job.run_at);
            let ticket = Ticket { id: job.id, kind: job.kind.clone(), priority: job.priority, due };
            by_queue.entry(job.queue_ref()).or_default().push(ticket);
        }
        let mut arrived = true;
        for (queue, tickets) in by_queue {
            arrived &= matches!(timeout(ENQUEUE_MAX, self.dispatch.enqueue(&queue, &tickets)).await, Ok(Ok(())));
        }
        for _ in 0..TRIES {
            if arrived {
                sleep(RECEIPT_KEPT).await;
            }
            let told = if arrived {
                self.ledger.drop_receipts(&[receipt]).await
            } else {
                self.ledger.release_receipts(&[receipt]).await
            };
            if told.is_ok() {
                return;
            }
        }
    }

    /// Cancels a job and takes its ticket away.
    pub(crate) async fn cancel(&self, id: JobId) {
        let mut is_cancelled = false;
        for _ in 0..TRIES {
            let at = self.mint.clock().now();
            match self.ledger.cancel(&Tenant::default(), &[id], at).await {
                Ok(answers) => {
                    is_cancelled = answers
                        .iter()
                        .all(|answer| matches!(answer, Cancelled::Now | Cancelled::Already(FinalState::Cancelled)));
                    break;
                }
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
        if !is_cancelled {
            return;
        }
        for (at, _) in QUEUES.iter().enumerate() {
            let tickets: Vec<(Kind, JobId)> = (0..KINDS.len()).map(|at| (kind(at), id)).collect();
            // One that stays costs a read.
            drop(self.dispatch.remove(&queue(at), &tickets).await);
        }
    }
}

/// Tells the ledger that the process is alive, for ever.
pub(crate) async fn beat(ledger: &dyn Ledger, process: haul_core::ProcessId, role: &str) {
    let info = ProcessInfo { id: process, role: role.to_owned() };
    loop {
        // One that fails is made up for by the next.
        drop(ledger.heartbeat(&info).await);
        sleep(HEARTBEAT_EVERY).await;
    }
}

pub(crate) fn kind(at: usize) -> Kind {
    Kind::new(KINDS[at]).expect("a kind's name")
}

pub(crate) fn queue(at: usize) -> QueueRef {
    QueueRef { tenant: Tenant::default(), queue: Queue::new(QUEUES[at]).expect("a queue's name") }
}
