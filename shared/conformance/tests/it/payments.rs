//! Whatever is lost, repeated, late, paused or killed: money moves once, the books say so, and everything ends.
//!
//! Attempts are futures that a script polls one step at a time, so that they are interleaved, paused and dropped at any of
//! their awaits. The provider is a model of one that keeps its promises about keys and about nothing else: it applies and
//! hangs up, fails before or after, replays what it has stored, forgets keys when their window is over.

use crate::model_provider::{Fate, ModelProvider};
use futures::future::BoxFuture;
use haul_conformance::reference::ReferenceLedger;
use haul_core::{
    Books, Clock, Job, JobId, JobOptions, Kind, Ledger, Priority, ProcessId, Queue, Tenant, Timestamp,
    books::{Entry, Order, Ordered},
    ledger::{Cancelled, NewJob},
    payment::{
        Assignment, Currency, Ended, KIND_CHARGE, Money, Operation, OperationKind, OperationState, Payment, PaymentId,
        Rules, drive, reconcile,
    },
};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc, task::Poll, time::Duration};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3_600);
const AMOUNT: i64 = 1_999;

/// One step of a script.
#[derive(Debug, Clone)]
enum Act {
    /// A worker takes a job up; another job of the same payment, if told so.
    Start {
        rerun: bool,
    },
    /// An attempt goes on to its next await.
    Step(u8),
    /// Its worker is killed.
    Kill(u8),
    /// A request that was under way arrives.
    Arrive(u8),
    /// Time passes.
    Pass(u8),
    Reconcile,
    Cancel,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        3 => Just(Fate::Done),
        2 => Just(Fate::DoneAndLost),
        1 => Just(Fate::Lost),
        2 => Just(Fate::Late),
        2 => Just(Fate::DoneThenFailed),
        2 => Just(Fate::FailedForGood),
        2 => Just(Fate::Failed),
        1 => Just(Fate::Declined),
        2 => Just(Fate::TurnedAway),
    ];
    prop::collection::vec(fate, 0..12)
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => prop::bool::weighted(0.3).prop_map(|rerun| Act::Start { rerun }),
        20 => any::<u8>().prop_map(Act::Step),
        2 => any::<u8>().prop_map(Act::Kill),
        2 => any::<u8>().prop_map(Act::Arrive),
        2 => any::<u8>().prop_map(Act::Pass),
        1 => Just(Act::Reconcile),
        1 => Just(Act::Cancel),
    ];
    prop::collection::vec(act, 0..80)
}

struct World {
    books: Arc<ReferenceLedger>,
    provider: Arc<ModelProvider>,
    rules: Rules,
    clock: Arc<Clock>,
    payment: PaymentId,
    jobs: [JobId; 2],
    attempts: Vec<BoxFuture<'static, Ended>>,
}

impl World {
    async fn new(fates: Vec<Fate>, unclear: Vec<bool>) -> Self {
        let clock = Arc::new(Clock::simulated(Timestamp::from_ms(1_800_000_000_000)));
        let books = Arc::new(ReferenceLedger::new(clock.clone()));
        let rules = Rules::default();
        let provider = Arc::new(ModelProvider::new(clock.clone(), rules.window, fates, unclear));
        let payment = PaymentId(Uuid::now_v7());
        let jobs = [(); 2].map(|()| JobId(Uuid::now_v7()));
        let world = Self { books, provider, rules, clock, payment, jobs, attempts: Vec::new() };
        let operation = Operation::new(1, OperationKind::Charge, AMOUNT, jobs[0]);
        let payment = Payment {
            id: payment,
            tenant: Tenant::default(),
            version: 1,
            amount: Money::new(AMOUNT, Currency::new("EUR").expect("a currency")).expect("an amount"),
            capture: true,
            source: "tok_visa".to_owned(),
            description: None,
            metadata: BTreeMap::new(),
            operations: vec![operation],
            created_at: world.clock.now(),
            updated_at: world.clock.now(),
        };
        world.order(Entry::New(payment.clone()), jobs[0]).await;
        world.order(Entry::Same(payment.id), jobs[1]).await;
        world
    }

    async fn order(&self, entry: Entry, job: JobId) {
        let payload = Assignment { payment: self.payment, operation: 1 }.payload();
        let job = Job {
            id: job,
            tenant: Tenant::default(),
            queue: Queue::default(),
            kind: Kind::new(KIND_CHARGE).expect("a kind"),
            priority: Priority::default(),
            run_at: self.clock.now(),
            payload: payload.into(),
            options: JobOptions::shared_default(),
        };
        let order = Order { entry, operation: 1, job: NewJob { job, idempotency: None } };
        let ordered = self.books.order(&order, ProcessId::NOBODY, &[]).await.expect("a job is ordered");
        assert!(matches!(ordered, Ordered::New(_)), "{ordered:?}");
    }

    fn start(&mut self, job: JobId) {
        let (books, provider, rules) = (self.books.clone(), self.provider.clone(), self.rules);
        let assignment = Assignment { payment: self.payment, operation: 1 };
        self.attempts.push(Box::pin(async move {
            let books = crate::model_provider::Slow(books);
            drive(&books, &*provider, &rules, &Tenant::default(), assignment, job).await.expect("the books answer")
        }));
    }

    /// Polls an attempt once.
    fn step(&mut self, which: u8) {
        if self.attempts.is_empty() {
            return;
        }
        let at = usize::from(which) % self.attempts.len();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(_ended) = self.attempts[at].as_mut().poll(&mut context) {
            drop(self.attempts.swap_remove(at));
        }
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Start { rerun } if self.attempts.len() < 4 => self.start(self.jobs[usize::from(rerun)]),
            Act::Start { .. } => {}
            Act::Step(which) => self.step(which),
            Act::Kill(which) if !self.attempts.is_empty() => {
                let at = usize::from(which) % self.attempts.len();
                drop(self.attempts.swap_remove(at));
            }
            Act::Kill(_) => {}
            Act::Arrive(which) => self.provider.arrive(which),
            Act::Pass(hours) => self.pass(u32::from(hours % 8)).await,
            Act::Reconcile => {
                let since = self.clock.now().minus(HOUR * 1_000);
                reconcile(&*self.books, &*self.provider, &self.rules, since, 100).await.expect("the books answer");
            }
            Act::Cancel => {
                let at = self.clock.now();
                let answer = self.books.cancel(&Tenant::default(), &self.jobs[..1], at).await.expect("an answer");
                let was_sent = !self.operation().await.generations.is_empty();
                assert!(answer[0] != Cancelled::TooLate || was_sent, "what was never sent can be cancelled");
            }
        }
    }

    /// What is under way has arrived, or never will, when hours have passed.
    async fn pass(&self, hours: u32) {
        if hours > 0 {
            self.provider.arrive_all_or_die();
        }
        tokio::time::advance(HOUR * hours).await;
    }

    async fn operation(&self) -> Operation {
        let seen = self.books.payment(self.payment).await.expect("the books answer").expect("the payment is there");
        seen.payment.operations[0].clone()
    }

    /// From here on nothing breaks: everything has to end.
    async fn calm(&mut self) {
        self.provider.calm();
        for _ in 0..60 {
            for job in self.jobs {
                self.start(job);
            }
            for _ in 0..200 {
                if self.attempts.is_empty() {
                    break;
                }
                self.step(0);
            }
            if self.operation().await.state.is_final() {
                break;
            }
            self.pass(1).await;
        }
        let since = self.clock.now().minus(HOUR * 1_000);
        reconcile(&*self.books, &*self.provider, &self.rules, since, 100).await.expect("the books answer");
    }

    async fn judge(&self) {
        let operation = self.operation().await;
        let applied = self.provider.applied();
        assert!(applied.len() <= 1, "applied {} times: {operation:?}", applied.len());
        assert_eq!(operation.flag, None, "flagged: {operation:?}");
        let postings = self.books.postings(self.payment).await.expect("the books answer");
        let posted: i64 = postings.iter().map(|posting| posting.amount).sum();
        assert_eq!(posted, AMOUNT * i64::try_from(applied.len()).unwrap_or(0), "the books disagree: {operation:?}");
        match operation.state {
            OperationState::Succeeded => assert_eq!(operation.object, applied.first().cloned()),
            OperationState::Declined | OperationState::NotDone => assert_eq!(applied.len(), 0),
            // Both jobs may have been cancelled before anything was sent.
            OperationState::Pending => assert_eq!(self.provider.sends_of_key(), 0),
            open => panic!("it has not ended: {open:?}"),
        }
        for balance in self.books.balances(&Tenant::default()).await.expect("the books answer") {
            assert_eq!(balance.amount.abs(), AMOUNT);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 2_000, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn money_moves_once_and_everything_ends(
        fates in fates(),
        unclear in prop::collection::vec(prop::bool::weighted(0.3), 0..10),
        acts in acts(),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime starts");
        runtime.block_on(async {
            let mut world = World::new(fates, unclear).await;
            for act in acts {
                world.act(act).await;
            }
            world.calm().await;
            world.judge().await;
        });
    }
}
