//! Random sequences of calls: whatever the order, the ledger answers as the reference does.
//!
//! Receipts' names are the adapter's own; everything else that can be seen must be equal. Where the promises leave a
//! choice (how old a minute must be to be closed, who ran a cancelled job), the sequences stay away from it.

use super::stage::{Stage, kind, queue, tenant};
use crate::{property::check_all, reference::ReferenceLedger};
use bytes::Bytes;
use haul_core::{
    Clock, Job, JobId, JobOptions, Ledger, Priority, ProcessId, QueueChange, Tenant,
    ledger::{Entry, Filter, Idempotency, NewJob, ProcessInfo, Receipt, ReceiptId, Record, StateFilter},
    outcome::{FinalState, JobError, JobRecord},
};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// One step; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    /// Jobs, sent twice when the answer to the first call was lost. Old ones are of three and five hours ago.
    Accept {
        owner: u8,
        jobs: Vec<NewStep>,
        old: bool,
        sent_twice: bool,
        done: Option<u8>,
    },
    Record(Vec<RecordStep>),
    Cancel(Vec<u8>),
    DropReceipt(u8),
    ReleaseReceipt(u8),
    TakeReceipts(u8),
    Heartbeat(u8),
    /// Everything becomes older by so many times 40 s: no rule's limit is near a multiple of that.
    Age(u8),
    CloseMinutes,
    Configure(u8, Option<bool>, Option<u16>),
    List {
        filter: u8,
        limit: u8,
    },
}

#[derive(Debug, Clone)]
struct NewStep {
    place: u8,
    kind: u8,
    priority: u8,
    delayed: bool,
    key: Option<(u8, u8)>,
    tag: Option<u8>,
}

#[derive(Debug, Clone)]
struct RecordStep {
    job: u8,
    attempt: u8,
    entry: u8,
    follow_ups: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let new = (0..4_u8, 0..3_u8, 0..10_u8, any::<bool>(), option(1, (0..4_u8, 0..2_u8)), option(2, 0..3_u8));
    let new =
        new.prop_map(|(place, kind, priority, delayed, key, tag)| NewStep { place, kind, priority, delayed, key, tag });
    let accept = (0..4_u8, prop::collection::vec(new, 0..5), any::<bool>(), any::<bool>(), option(1, any::<u8>()));
    let accept =
        accept.prop_map(|(owner, jobs, old, sent_twice, done)| Step::Accept { owner, jobs, old, sent_twice, done });
    let record = (any::<u8>(), 1..4_u8, 0..6_u8, 0..3_u8);
    let record = record.prop_map(|(job, attempt, entry, follow_ups)| RecordStep { job, attempt, entry, follow_ups });
    let step = prop_oneof![
        8 => accept,
        8 => prop::collection::vec(record, 1..5).prop_map(Step::Record),
        2 => prop::collection::btree_set(any::<u8>(), 1..4).prop_map(|jobs| Step::Cancel(jobs.into_iter().collect())),
        1 => any::<u8>().prop_map(Step::DropReceipt),
        2 => any::<u8>().prop_map(Step::ReleaseReceipt),
        3 => (0..3_u8).prop_map(Step::TakeReceipts),
        1 => (0..4_u8).prop_map(Step::Heartbeat),
        3 => (1..6_u8).prop_map(Step::Age),
        2 => Just(Step::CloseMinutes),
        1 => (0..4_u8, option(2, any::<bool>()), option(2, 1..4_u16))
            .prop_map(|(queue, paused, slots)| Step::Configure(queue, paused, slots)),
        3 => (any::<u8>(), 1..6_u8).prop_map(|(filter, limit)| Step::List { filter, limit }),
    ];
    prop::collection::vec(step, 1..40)
}

/// Something in `weight` of four cases.
fn option<T: std::fmt::Debug + Clone>(
    weight: u32,
    some: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    prop_oneof![4 - weight => Just(None), weight => some.prop_map(Some)]
}

pub async fn any_sequence_of_calls_is_answered_as_the_reference_answers_it(stage: Stage) {
    check_all(steps(), async |steps| {
        let mut pair = Pair::new(Stage::new(stage.harness.clone()).await).await;
        for step in steps {
            pair.take(step).await;
        }
        pair.compare_all().await;
    });
}

/// The adapter and the reference, given the same calls.
struct Pair {
    stage: Stage,
    reference: Arc<ReferenceLedger>,
    processes: Vec<ProcessId>,
    jobs: Vec<Job>,
    /// The adapter's name of each receipt, with the reference's.
    receipts: Vec<(ReceiptId, ReceiptId)>,
}

impl Pair {
    async fn new(stage: Stage) -> Self {
        let clock = Arc::new(Clock::new());
        clock.sync(stage.begun, Duration::ZERO);
        let processes: Vec<ProcessId> = (0..3).map(|_| ProcessId::random()).chain([ProcessId::NOBODY]).collect();
        let reference = Arc::new(ReferenceLedger::new(clock));
        let pair = Self { stage, reference, processes, jobs: Vec::new(), receipts: Vec::new() };
        for process in 0..3 {
            pair.heartbeat(process).await;
        }
        pair
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Accept { owner, jobs, old, sent_twice, done } => {
                self.accept(owner, &jobs, old, sent_twice, done).await;
            }
            Step::Record(records) => self.record(&records).await,
            Step::Cancel(jobs) => self.cancel(&jobs).await,
            Step::DropReceipt(which) => {
                let Some((ours, theirs)) = self.receipt(which) else { return };
                self.stage.ledger.drop_receipts(&[ours]).await.expect("receipts are dropped");
                self.reference.drop_receipts(&[theirs]).await.expect("the reference answers");
                self.receipts.retain(|(name, _)| *name != ours);
            }
            Step::ReleaseReceipt(which) => {
                let Some((ours, theirs)) = self.receipt(which) else { return };
                self.stage.ledger.release_receipts(&[ours]).await.expect("receipts are released");
                self.reference.release_receipts(&[theirs]).await.expect("the reference answers");
            }
            Step::TakeReceipts(taker) => self.take_receipts(taker).await,
            Step::Heartbeat(process) => self.heartbeat(process).await,
            Step::Age(times) => {
                let by = Duration::from_secs(40) * u32::from(times);
                self.stage.world.age(by).await;
                self.reference.age(by);
            }
            Step::CloseMinutes => {
                self.stage.close_all_minutes().await;
                while self.reference.close_minutes().await.expect("the reference answers") > 0 {}
            }
            Step::Configure(which, paused, slots) => {
                let (queue, change) = (self.job(which, which).queue_ref(), QueueChange { paused, slots });
                let ours = self.stage.ledger.configure_queue(&queue, &change).await.expect("queues are configured");
                let theirs = self.reference.configure_queue(&queue, &change).await.expect("the reference answers");
                assert_eq!(ours, theirs, "configuring {queue}: {change:?}");
            }
            Step::List { filter, limit } => self.list(&self.filter(filter), limit.into()).await,
        }
    }

    /// A job of one of four queues of two tenants.
    fn job(&self, place: u8, kind_number: u8) -> Job {
        let tenant = if place % 4 < 3 { Tenant::default() } else { tenant("theirs") };
        let kind = kind(["a", "b", "c"][usize::from(kind_number % 3)]);
        Job { tenant, queue: queue(["q", "r", "s", "q"][usize::from(place % 4)]), kind, ..self.stage.job() }
    }

    fn new_job(&self, step: &NewStep, old: bool) -> NewJob {
        let job = self.job(step.place, step.kind);
        let id = if old {
            self.stage.id_ago(Duration::from_secs(3_600) * [3, 5][job.queue.as_str().len() % 2])
        } else {
            job.id
        };
        let tags = step.tag.map(|tag| ("tag".to_owned(), tag.to_string()));
        let options = JobOptions { tags: BTreeMap::from_iter(tags), ..JobOptions::default() };
        let run_at = if step.delayed { self.stage.retry_at(step.priority.into()) } else { id.created_at() };
        let priority = Priority::new(step.priority).expect("a valid priority");
        let payload = Bytes::from(format!("[{}]", step.priority));
        let job = Job { id, run_at, priority, payload, options: Arc::new(options), ..job };
        // 100 s lie between two multiples of 40 s.
        let idempotency = step.key.map(|(key, request)| Idempotency {
            key: format!("key {key}"),
            fingerprint: [request; 32],
            lifetime: Duration::from_secs(100),
        });
        NewJob { job, idempotency }
    }

    async fn accept(&mut self, owner: u8, jobs: &[NewStep], old: bool, sent_twice: bool, done: Option<u8>) {
        let new: Vec<NewJob> = jobs.iter().map(|step| self.new_job(step, old)).collect();
        let owner = self.processes[usize::from(owner)];
        let done = done.and_then(|which| self.receipt(which));
        let (ours_done, theirs_done) =
            (Vec::from_iter(done.map(|done| done.0)), Vec::from_iter(done.map(|done| done.1)));
        for _ in 0..=usize::from(sent_twice) {
            let ours = self.stage.ledger.accept(&new, owner, &ours_done).await.expect("jobs are accepted");
            let theirs = self.reference.accept(&new, owner, &theirs_done).await.expect("the reference answers");
            assert_eq!(ours.jobs, theirs.jobs, "accepting {new:#?}");
            self.pair_receipts(ours.receipt, theirs.receipt);
        }
        self.receipts.retain(|(name, _)| !ours_done.contains(name));
        let ids = || new.iter().map(|new| new.job.id);
        if let (true, Some(first), Some(last)) = (old, ids().min(), ids().max()) {
            self.stage.ledger.reopen(first, last).await.expect("minutes are reopened");
            self.reference.reopen(first, last).await.expect("the reference answers");
        }
        self.jobs.extend(new.into_iter().map(|new| new.job));
    }

    fn pair_receipts(&mut self, ours: Option<ReceiptId>, theirs: Option<ReceiptId>) {
        assert_eq!(ours.is_some(), theirs.is_some(), "a receipt: {ours:?}, of the reference: {theirs:?}");
        let pair = ours.zip(theirs).filter(|pair| !self.receipts.contains(pair));
        self.receipts.extend(pair);
    }

    fn receipt(&self, which: u8) -> Option<(ReceiptId, ReceiptId)> {
        (!self.receipts.is_empty()).then(|| self.receipts[usize::from(which) % self.receipts.len()])
    }

    fn known(&self, which: u8) -> Option<&Job> {
        (!self.jobs.is_empty()).then(|| &self.jobs[usize::from(which) % self.jobs.len()])
    }

    async fn record(&mut self, steps: &[RecordStep]) {
        let mut records = Vec::new();
        for RecordStep { job, attempt, entry, follow_ups } in steps {
            let Some(job) = self.known(*job) else { return };
            let error = JobError::new(format!("error {attempt}")).with_detail("detail");
            let entry = match entry {
                0 => Entry::Succeeded(None),
                1 => Entry::Succeeded(Some(Bytes::from_static(b" 1"))),
                2 => Entry::Dead(error),
                3 | 4 => Entry::Failed(error, self.stage.retry_at(u32::from(entry * 7 + attempt) % 5)),
                _ => Entry::Crashed(error, self.stage.retry_at(u32::from(entry * 7 + attempt) % 5)),
            };
            let record = self.stage.entry(job, u32::from(*attempt), entry);
            let follow_ups = (0..*follow_ups).map(|n| self.job(n, *attempt)).collect();
            records.push(Record { follow_ups, ..record });
        }
        let owner = self.processes[0];
        let ours = self.stage.ledger.record(&records, owner).await.expect("records are written");
        let theirs = self.reference.record(&records, owner).await.expect("the reference answers");
        assert_eq!(ours.records, theirs.records, "recording {records:#?}");
        self.pair_receipts(ours.receipt, theirs.receipt);
        self.jobs.extend(records.into_iter().flat_map(|record| record.follow_ups));
    }

    async fn cancel(&self, which: &[u8]) {
        let mut ids: Vec<JobId> = which.iter().filter_map(|which| self.known(*which)).map(|job| job.id).collect();
        ids.sort();
        ids.dedup();
        let tenant = Tenant::default();
        let ours = self.stage.ledger.cancel(&tenant, &ids, self.stage.begun).await.expect("jobs are cancelled");
        let theirs = self.reference.cancel(&tenant, &ids, self.stage.begun).await.expect("the reference answers");
        assert_eq!(ours, theirs, "cancelling {ids:?}");
    }

    async fn take_receipts(&self, taker: u8) {
        let taker = self.processes[usize::from(taker)];
        let ours = self.stage.take_by(taker).await;
        let theirs = self.reference.take_receipts(taker, 100).await.expect("the reference answers");
        let translate = |receipt: Receipt| {
            let pair = self.receipts.iter().find(|(name, _)| *name == receipt.id);
            let id = pair.map_or(receipt.id, |(_, theirs)| *theirs);
            (id, receipt.first, receipt.last, receipt.is_final)
        };
        let mut ours: Vec<_> = ours.into_iter().map(translate).collect();
        ours.sort();
        let theirs = theirs.into_iter().map(|receipt| (receipt.id, receipt.first, receipt.last, receipt.is_final));
        assert_eq!(ours, theirs.collect::<Vec<_>>(), "receipts taken");
    }

    async fn heartbeat(&self, process: u8) {
        // "Nobody" never tells that it is alive.
        let process = ProcessInfo { id: self.processes[usize::from(process) % 3], role: "worker".to_owned() };
        self.stage.ledger.heartbeat(&process).await.expect("a heartbeat is taken");
        self.reference.heartbeat(&process).await.expect("the reference answers");
    }

    fn filter(&self, number: u8) -> Filter {
        let bit = |bit: u8| number & (1 << bit) != 0;
        let hours = |hours: u32| self.stage.begun.minus(Duration::from_secs(3_600) * hours);
        Filter {
            queue: bit(0).then(|| queue("q")),
            kind: bit(1).then(|| kind("a")),
            tag: bit(2).then(|| ("tag".to_owned(), "1".to_owned())),
            state: match (bit(3), bit(4), bit(5)) {
                (true, true, true) => Some(StateFilter::Unsettled),
                (true, true, false) => Some(StateFilter::Final(FinalState::Succeeded)),
                (true, false, true) => Some(StateFilter::Final(FinalState::Dead)),
                (true, false, false) => Some(StateFilter::Final(FinalState::Cancelled)),
                (false, ..) => None,
            },
            created_from: bit(6).then(|| hours(4)),
            created_before: bit(7).then(|| hours(2)),
        }
    }

    async fn list(&self, filter: &Filter, limit: usize) {
        for tenant in [Tenant::default(), tenant("theirs")] {
            let ours = self.stage.list(&tenant, filter, limit).await;
            let mut theirs = Vec::new();
            let mut before = None;
            loop {
                let page = self.reference.list(&tenant, filter, before, 100).await.expect("the reference answers");
                theirs.extend(page.jobs);
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            let (ours, theirs) = (ours.into_iter().map(seen), theirs.into_iter().map(seen));
            assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>(), "listing {filter:?} in pages of {limit}");
        }
    }

    async fn compare_all(&self) {
        let ids: Vec<JobId> = self.jobs.iter().map(|job| job.id).collect();
        let mut ours = self.stage.ledger.load(&ids).await.expect("jobs are loaded");
        ours.sort_by_key(|loaded| loaded.job.id);
        // What is due when of a job that has ended is nobody's business.
        let due = |loaded: &haul_core::ledger::Loaded| loaded.outcome.is_none().then_some(loaded.due);
        let theirs = self.reference.load(&ids).await.expect("the reference answers");
        assert_eq!(ours.len(), theirs.len(), "loaded jobs");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!((&ours.job, ours.outcome), (&theirs.job, theirs.outcome));
            assert_eq!((ours.failures, ours.crashes), (theirs.failures, theirs.crashes), "failures of {}", ours.job.id);
            assert_eq!(due(ours), due(theirs), "when {} is due", ours.job.id);
        }
        let mut ours = self.stage.ledger.settled(&ids).await.expect("outcomes are looked up");
        ours.sort();
        assert_eq!(ours, self.reference.settled(&ids).await.expect("the reference answers"));
        for job in &self.jobs {
            let theirs = self.reference.job(&job.tenant, job.id).await.expect("the reference answers");
            assert_eq!(self.stage.find(job).await.map(seen), theirs.map(seen));
        }
        let theirs = self.reference.unsettled(None, None, 10_000).await.expect("the reference answers");
        assert!(theirs.next.is_none(), "the sequences are short");
        assert_eq!(self.stage.unsettled(None, None, 7).await, theirs.jobs);
        self.list(&Filter::default(), 3).await;
        let queues = |mut queues: Vec<haul_core::ledger::QueueInfo>| {
            queues.sort_by(|a, b| a.queue.cmp(&b.queue));
            queues.into_iter().map(|known| (known.queue, known.settings, known.kinds)).collect::<Vec<_>>()
        };
        let ours = self.stage.ledger.queues().await.expect("queues are listed");
        assert_eq!(queues(ours), queues(self.reference.queues().await.expect("the reference answers")));
    }
}

/// What must be equal of a record: which attempt a cancelled job was in is left open.
fn seen(mut record: JobRecord) -> JobRecord {
    if let Some(outcome) = record.outcome.as_mut().filter(|outcome| outcome.state == FinalState::Cancelled) {
        outcome.attempt = 0;
    }
    record
}
