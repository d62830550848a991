//! Random sequences of calls: whatever the order, the dispatch answers as the reference does.
//!
//! No time passes: leases are long, and what is delayed stays so. Where the promises leave a choice (a ticket that is
//! kept twice, two that were released into one line), the sequences stay away from it.

use super::stage::{KINDS, LONG, Stage, all_kinds, kind, leases, priority};
use crate::{property::check_all, reference::ReferenceDispatch};
use haul_core::{
    Clock, Dispatch, JobId, Kind, ProcessId, QueueSettings,
    dispatch::{ClaimRequest, Lease, LeaseToken, Next, QueueState, Settlement, Ticket},
};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

/// One step; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Enqueue(Vec<NewStep>),
    /// A ticket that was enqueued before and does not wait: it runs, or its job has ended.
    EnqueueAgain(u8),
    Claim {
        rooms: [u8; 3],
        limit: u8,
    },
    Extend(Vec<HeldStep>),
    Settle {
        held: HeldStep,
        next: u8,
    },
    /// Delayed tickets only: ready ones may stay.
    RemoveDelayed(u8),
    Pause(bool),
    Lose,
    Rebuild {
        known: Vec<u8>,
        new: Vec<NewStep>,
        paused: bool,
    },
}

#[derive(Debug, Clone)]
struct NewStep {
    kind: u8,
    priority: u8,
    delayed: bool,
}

/// One of the leases that were ever given, perhaps with a stranger's token.
#[derive(Debug, Clone)]
struct HeldStep {
    which: u8,
    stranger: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let new = || {
        let parts = (0..3_u8, 0..4_u8, any::<bool>());
        parts.prop_map(|(kind, priority, delayed)| NewStep { kind, priority: priority * 3, delayed })
    };
    let held = || {
        let stranger = prop_oneof![4 => Just(false), 1 => Just(true)];
        (any::<u8>(), stranger).prop_map(|(which, stranger)| HeldStep { which, stranger })
    };
    let rebuild = (prop::collection::vec(any::<u8>(), 0..6), prop::collection::vec(new(), 0..6), any::<bool>());
    let step = prop_oneof![
        8 => prop::collection::vec(new(), 0..6).prop_map(Step::Enqueue),
        2 => any::<u8>().prop_map(Step::EnqueueAgain),
        8 => ([0..4_u8, 0..4_u8, 0..4_u8], 0..8_u8).prop_map(|(rooms, limit)| Step::Claim { rooms, limit }),
        3 => prop::collection::vec(held(), 0..5).prop_map(Step::Extend),
        6 => (held(), 0..4_u8).prop_map(|(held, next)| Step::Settle { held, next }),
        1 => any::<u8>().prop_map(Step::RemoveDelayed),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => Just(Step::Lose),
        2 => rebuild.prop_map(|(known, new, paused)| Step::Rebuild { known, new, paused }),
    ];
    prop::collection::vec(step, 1..50)
}

pub async fn any_sequence_of_calls_is_answered_as_the_reference_answers_it(stage: Stage) {
    check_all(steps(), async |steps| {
        let mut pair = Pair::new(Stage::new(stage.harness.clone()).await).await;
        for step in steps {
            pair.take(step).await;
            pair.compare().await;
        }
    });
}

/// The adapter and the reference, given the same calls.
struct Pair {
    stage: Stage,
    reference: ReferenceDispatch,
    tickets: Vec<Ticket>,
    /// Every lease that was ever given.
    leases: Vec<Lease>,
    /// Lines that a ticket was released into since they were last emptied.
    released: Vec<(Kind, u8)>,
}

impl Pair {
    async fn new(stage: Stage) -> Self {
        let reference = ReferenceDispatch::new(Arc::new(Clock::new()));
        let token = reference
            .begin_rebuild(&stage.queue, &[], &QueueSettings::default(), LONG)
            .await
            .expect("the reference answers");
        let token = token.expect("nobody else rebuilds the reference");
        reference.finish_rebuild(&stage.queue, token, &QueueSettings::default()).await.expect("the reference answers");
        Self { stage, reference, tickets: Vec::new(), leases: Vec::new(), released: Vec::new() }
    }

    async fn take(&mut self, step: Step) {
        let queue = self.stage.queue.clone();
        match step {
            Step::Enqueue(new) => {
                let tickets = self.new_tickets(&new);
                self.enqueue(&tickets).await;
            }
            Step::EnqueueAgain(which) => {
                if let Some(ticket) = pick(&self.tickets, which).filter(|ticket| !self.waits(ticket.id)).cloned() {
                    self.enqueue(&[ticket]).await;
                }
            }
            Step::Claim { rooms, limit } => self.claim(rooms, limit.into()).await,
            Step::Extend(held) => {
                // One that is taken up again beside its own ticket: whether that ticket still counts is left open.
                let held = held.iter().filter_map(|held| self.lease(held)).filter(|lease| !self.waits(lease.id));
                let held: Vec<Lease> = held.collect();
                let ours = self.stage.extend(&held, LONG).await;
                let theirs = self.reference.extend(&queue, &held, LONG).await.expect("the reference answers");
                assert_eq!(ours, theirs, "extending {held:#?}");
            }
            Step::Settle { held, next } => {
                let Some(lease) = self.lease(&held) else { return };
                let line = (lease.kind.clone(), lease.priority.get());
                let next = match next {
                    0 | 1 => Next::Done,
                    2 => Next::Park(self.later(lease.priority.get())),
                    _ if self.released.contains(&line) => return,
                    _ => {
                        self.released.push(line);
                        Next::Release
                    }
                };
                let settlement = [Settlement { lease, next }];
                self.stage.dispatch.settle(&queue, &settlement).await.expect("leases are settled");
                self.reference.settle(&queue, &settlement).await.expect("the reference answers");
            }
            Step::RemoveDelayed(which) => {
                let delayed = self.reference.waiting(&queue).into_iter().filter(|(_, delayed)| *delayed);
                let delayed: Vec<JobId> = delayed.map(|(id, _)| id).collect();
                let Some(id) = pick(&delayed, which) else { return };
                let ticket = self.tickets.iter().find(|ticket| ticket.id == *id).expect("every ticket is known");
                let removed = [(ticket.kind.clone(), ticket.id)];
                self.stage.dispatch.remove(&queue, &removed).await.expect("tickets are removed");
                self.reference.remove(&queue, &removed).await.expect("the reference answers");
            }
            Step::Pause(paused) => {
                self.stage
                    .dispatch
                    .configure(&queue, &QueueSettings { paused, slots: 1 })
                    .await
                    .expect("queues are paused");
                self.reference
                    .configure(&queue, &QueueSettings { paused, slots: 1 })
                    .await
                    .expect("the reference answers");
            }
            Step::Lose => {
                self.stage.world.lose().await;
                self.reference.lose();
                self.released.clear();
            }
            Step::Rebuild { known, new, paused } => self.rebuild(&known, &new, paused).await,
        }
    }

    /// Due in an hour and more, the lower priorities later.
    fn later(&self, priority: u8) -> haul_core::Timestamp {
        self.stage.later().plus(Duration::from_secs(600) * u32::from(priority))
    }

    fn new_tickets(&mut self, new: &[NewStep]) -> Vec<Ticket> {
        let ticket = |new: &NewStep| {
            let due = new.delayed.then(|| self.later(new.priority));
            Ticket { priority: priority(new.priority), due, ..self.stage.ticket(KINDS[usize::from(new.kind)]) }
        };
        let tickets: Vec<Ticket> = new.iter().map(ticket).collect();
        self.tickets.extend(tickets.iter().cloned());
        tickets
    }

    fn waits(&self, id: JobId) -> bool {
        self.reference.waiting(&self.stage.queue).contains_key(&id)
    }

    fn lease(&self, held: &HeldStep) -> Option<Lease> {
        let lease = pick(&self.leases, held.which)?.clone();
        Some(if held.stranger { Lease { token: LeaseToken::random(), ..lease } } else { lease })
    }

    async fn enqueue(&self, tickets: &[Ticket]) {
        self.stage.enqueue(tickets).await;
        self.reference.enqueue(&self.stage.queue, tickets).await.expect("the reference answers");
    }

    async fn claim(&mut self, rooms: [u8; 3], limit: usize) {
        let kinds: Vec<(Kind, usize)> = all_kinds().into_iter().zip(rooms.map(usize::from)).collect();
        let (worker, token) = (ProcessId::random(), LeaseToken::random());
        let request = ClaimRequest { queue: &self.stage.queue, kinds: &kinds, limit, worker, token, lease: LONG };
        let ours = self.stage.dispatch.claim(&request).await.expect("tickets are claimed");
        let theirs = self.reference.claim(&request).await.expect("the reference answers");
        assert_eq!((ours.state, &ours.tickets), (theirs.state, &theirs.tickets), "claiming {kinds:?}, at most {limit}");
        if theirs.state == QueueState::Ready && theirs.tickets.len() < limit {
            let told = (ours.next_in, theirs.next_in);
            let alike = match told {
                (Some(ours), Some(theirs)) => ours.abs_diff(theirs) < Duration::from_secs(60),
                (ours, theirs) => ours == theirs,
            };
            assert!(alike, "the next ticket comes in, and of the reference: {told:?}");
        }
        self.released.retain(|(kind, number)| {
            !theirs.tickets.iter().any(|ticket| ticket.kind == *kind && ticket.priority.get() == *number)
        });
        self.leases.extend(leases(&theirs, token));
    }

    async fn rebuild(&mut self, known: &[u8], new: &[NewStep], paused: bool) {
        let queue = self.stage.queue.clone();
        let mut tickets = self.new_tickets(new);
        for which in known {
            // Also what is leased, which must be skipped.
            tickets.extend(pick(&self.tickets, *which).filter(|known| !tickets.contains(known)).cloned());
        }
        let dispatches: [&dyn Dispatch; 2] = [self.stage.dispatch.as_ref(), &self.reference];
        for dispatch in dispatches {
            let token = dispatch
                .begin_rebuild(&queue, &all_kinds(), &QueueSettings::default(), LONG)
                .await
                .expect("a rebuild begins");
            let token = token.expect("no other rebuild is under way");
            assert!(dispatch.rebuild(&queue, token, &tickets, LONG).await.expect("a rebuild goes on"));
            assert!(
                dispatch
                    .finish_rebuild(&queue, token, &QueueSettings { paused, slots: 1 })
                    .await
                    .expect("a rebuild ends")
            );
        }
        self.released.clear();
    }

    async fn compare(&self) {
        let (queue, kinds) = (&self.stage.queue, all_kinds());
        let reference = &self.reference;
        let theirs = reference.stats(queue, &kinds).await.expect("the reference answers");
        assert_eq!(self.stage.stats().await, theirs);
        for name in KINDS {
            let ours = self.stage.dispatch.stats(queue, &[kind(name)]).await.expect("figures are told");
            assert_eq!(ours, reference.stats(queue, &[kind(name)]).await.expect("the reference answers"));
        }
        let asked: Vec<(Kind, JobId)> = self.tickets.iter().map(|ticket| (ticket.kind.clone(), ticket.id)).collect();
        let ours = self.stage.dispatch.leased(queue, &asked).await.expect("leases are looked up");
        assert_eq!(ours, reference.leased(queue, &asked).await.expect("the reference answers"), "of {asked:?}");
        let mut ours = self.stage.dispatch.running(queue, &kinds, 1_000).await.expect("leased jobs are told");
        let mut theirs = reference.running(queue, &kinds, 1_000).await.expect("the reference answers");
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "leased jobs");
        let theirs = reference.lost(std::slice::from_ref(queue)).await.expect("the reference answers");
        assert_eq!(self.stage.is_lost(queue).await, !theirs.is_empty());
    }
}

fn pick<T>(from: &[T], which: u8) -> Option<&T> {
    (!from.is_empty()).then(|| &from[usize::from(which) % from.len()])
}
