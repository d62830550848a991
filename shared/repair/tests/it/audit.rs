//! Audits: each way of disagreeing is found and healed, and nothing else is found.

use crate::{
    faulty::{Dice, Fate, Faulty},
    world::{World, kind, queue},
};
use haul_core::{
    Dispatch, JobId, Ledger, QueueChange, QueueSettings, Tenant,
    audit::{Audit, AuditError, AuditReport, QueueAudit},
    config::Config,
    dispatch::{Lease, LeaseToken, Next, Settlement, Ticket},
};
use haul_repair::Auditor;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// Long enough for every job so far to be judged.
const A_WHILE: Duration = Duration::from_secs(120);
const LONG: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn a_job_without_a_ticket_is_found_and_gets_one() {
    let world = World::rebuilt(&["mail"]).await;
    let lost = world.accepted("mail", 3).await;
    let known = world.enqueued("mail", 2).await;
    sleep(A_WHILE).await;
    let report = world.audit().await;
    let mail = only(&report);
    assert_eq!((mail.jobs, mail.tickets), (5, 2));
    assert_eq!((mail.unreachable.count, &mail.unreachable.examples), (3, &lost));
    assert_eq!(report.findings(), 3);
    let mut claimed = world.claim_ids(&queue("mail")).await;
    claimed.sort();
    assert_eq!(claimed, [lost, known].concat());
    nothing_is_found(&world.audit().await);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_its_retry_gets_a_ticket_for_that_time() {
    let world = World::rebuilt(&["mail"]).await;
    let id = world.accepted("mail", 1).await[0];
    sleep(A_WHILE).await;
    world.fail(id, LONG).await;
    assert_eq!(world.audit().await.findings(), 1);
    assert_eq!(world.claim_ids(&queue("mail")).await, []);
    assert_eq!(world.dispatch.stats(&queue("mail"), &[kind()]).await.unwrap().delayed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_of_the_last_minute_is_not_judged() {
    let world = World::rebuilt(&["mail"]).await;
    world.accepted("mail", 3).await;
    sleep(Duration::from_secs(50)).await;
    let report = world.audit().await;
    nothing_is_found(&report);
    assert_eq!(only(&report).jobs, 0);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_seen_wherever_it_is() {
    let world = World::rebuilt(&["mail", "idle"]).await;
    let ready = world.enqueued("mail", 40).await;
    let held = world.claim_some("mail", 10, LONG).await;
    world.claim_some("mail", 10, Duration::from_millis(1)).await;
    let delayed: Vec<Ticket> = ready[..5].iter().map(|id| world.ticket(*id, Some(LONG))).collect();
    world.settle(&held[..5], Next::Park(delayed[0].due.unwrap())).await;
    // Nobody works on this one, and an operator paused the other.
    world.enqueued("idle", 7).await;
    let pause = QueueChange { paused: Some(true), ..QueueChange::default() };
    world.ledger.configure_queue(&queue("mail"), &pause).await.unwrap();
    world.dispatch.configure(&queue("mail"), &QueueSettings { paused: true, slots: 1 }).await.unwrap();
    sleep(A_WHILE).await;
    let report = world.audit().await;
    nothing_is_found(&report);
    assert_eq!(report.queues.iter().map(|queue| (queue.jobs, queue.tickets)).collect::<Vec<_>>(), [(7, 7), (40, 40)]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_takes_up_is_told() {
    let world = World::rebuilt(&["mail"]).await;
    let ids = world.enqueued("mail", 2).await;
    world.claim_some("mail", 1, Duration::from_secs(30)).await;
    sleep(A_WHILE).await;
    let report = world.audit().await;
    let mail = only(&report);
    assert_eq!((mail.abandoned.count, &mail.abandoned.examples[..]), (1, &ids[..1]));
    assert_eq!(report.findings(), 1);
    // Taken up at last.
    assert_eq!(world.claim_ids(&queue("mail")).await.len(), 2);
    nothing_is_found(&world.audit().await);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_an_ended_job_keeps_for_later_is_removed() {
    let world = World::rebuilt(&["mail"]).await;
    let ids = world.accepted("mail", 2).await;
    let tickets = [world.ticket(ids[0], Some(LONG)), world.ticket(ids[1], Some(LONG))];
    world.dispatch.enqueue(&queue("mail"), &tickets).await.unwrap();
    world.succeed(ids[0]).await;
    sleep(A_WHILE).await;
    let report = world.audit().await;
    let mail = only(&report);
    assert_eq!((mail.settled.count, &mail.settled.examples[..]), (1, &ids[..1]));
    assert_eq!((mail.jobs, mail.tickets, report.findings()), (1, 2, 1));
    assert_eq!(world.dispatch.stats(&queue("mail"), &[kind()]).await.unwrap().delayed, 1);
    nothing_is_found(&world.audit().await);
}

#[tokio::test(start_paused = true)]
async fn what_a_cancel_leaves_in_line_is_no_finding() {
    let world = World::rebuilt(&["mail"]).await;
    let ids = world.enqueued("mail", 5).await;
    world.ledger.cancel(&Tenant::default(), &ids[..3], world.clock.now()).await.unwrap();
    // One is running as it is cancelled.
    world.claim_some("mail", 1, LONG).await;
    sleep(A_WHILE).await;
    let report = world.audit().await;
    nothing_is_found(&report);
    assert_eq!((only(&report).leftover, only(&report).jobs), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_lost_queue_is_not_compared_until_it_is_rebuilt() {
    let world = World::rebuilt(&["mail", "reports"]).await;
    world.enqueued("mail", 3).await;
    world.enqueued("reports", 3).await;
    sleep(A_WHILE).await;
    world.lose(&queue("mail")).await;
    let report = world.audit().await;
    nothing_is_found(&report);
    assert_eq!(report.queues.iter().map(|queue| queue.compared).collect::<Vec<_>>(), [false, true]);
    sleep(Duration::from_secs(20)).await;
    world.repairer().pass().await.unwrap();
    let report = world.audit().await;
    nothing_is_found(&report);
    assert!(report.queues.iter().all(|queue| queue.compared));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_lost_during_an_audit_is_not_judged() {
    for lost_after_secs in [0, 1, 3, 5] {
        let world = World::rebuilt(&["mail"]).await;
        world.accepted("mail", 3).await;
        sleep(A_WHILE).await;
        let losing = async {
            sleep(Duration::from_millis(1_000 * lost_after_secs + 1)).await;
            world.lose(&queue("mail")).await;
        };
        let (report, ()) = tokio::join!(world.audit(), losing);
        nothing_is_found(&report);
        assert!(!only(&report).compared, "lost after {lost_after_secs} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_during_an_audit_makes_no_finding() {
    for seed in 0..20 {
        let world = World::rebuilt(&["mail"]).await;
        world.enqueued("mail", 500).await;
        sleep(A_WHILE).await;
        let mut dice = Dice::new(seed);
        let breaking = async {
            for _ in 0..3 {
                sleep(Duration::from_millis(dice.roll(3_000))).await;
                world.lose(&queue("mail")).await;
                sleep(Duration::from_secs(11)).await;
                world.repairer().pass().await.unwrap();
            }
        };
        let auditing = async {
            for _ in 0..30 {
                nothing_is_found(&world.audit().await);
                sleep(Duration::from_millis(700)).await;
            }
        };
        tokio::join!(breaking, auditing);
    }
}

#[tokio::test(start_paused = true)]
async fn tickets_in_motion_are_no_findings() {
    for seed in 0..5 {
        let world = World::simulated_over_memory().with(&["mail"]).await;
        world.enqueued("mail", 300).await;
        sleep(A_WHILE).await;
        let mut dice = Dice::new(seed);
        let working = async {
            for _ in 0..2_000 {
                let held = world.claim_some("mail", 1 + dice.roll(40) as usize, LONG).await;
                sleep(Duration::from_millis(dice.roll(20))).await;
                for lease in &held {
                    let due = world.clock.now().plus(Duration::from_millis(dice.roll(3_000)));
                    let next = match dice.roll(5) {
                        0 => {
                            world.succeed(lease.id).await;
                            Next::Done
                        }
                        1 => Next::Release,
                        _ => Next::Park(due),
                    };
                    if matches!(next, Next::Done) {
                        world.enqueued("mail", 1).await;
                    }
                    world.settle(std::slice::from_ref(lease), next).await;
                }
            }
        };
        let auditing = async {
            // Page by page, with a pause between: much moves meanwhile.
            let slow = Faulty::new(world.dispatch.clone(), |_| Fate::Answered);
            slow.answers_after(Duration::from_millis(15));
            slow.pages_of(30);
            let auditor = world.auditor_over(slow).with_ids_max(100);
            loop {
                nothing_is_found(&auditor.audit(LONG).await.unwrap());
                sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::select! {
            () = working => {}
            () = auditing => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_jobs_are_compared_stretch_by_stretch() {
    let world = World::rebuilt(&["mail", "reports"]).await;
    let mut lost = Vec::new();
    for n in 0..60 {
        let name = ["mail", "reports"][n % 2];
        world.enqueued(name, 40).await;
        lost.extend(world.accepted(name, 1).await);
    }
    world.claim_some("mail", 300, LONG).await;
    sleep(A_WHILE).await;
    let report = world.auditor_over(world.dispatch.clone()).with_ids_max(100).audit(LONG).await.unwrap();
    assert_eq!(report.queues.iter().map(|queue| queue.jobs).sum::<u64>(), 60 * 41);
    assert_eq!(report.queues.iter().map(|queue| queue.tickets).sum::<u64>(), 60 * 40);
    let mut found: Vec<JobId> = report.queues.iter().flat_map(|queue| queue.unreachable.examples.clone()).collect();
    found.sort();
    assert_eq!(found, lost);
}

#[tokio::test(start_paused = true)]
async fn a_report_names_a_hundred_examples_and_counts_all() {
    let world = World::rebuilt(&["mail", "reports"]).await;
    world.accepted("mail", 150).await;
    world.accepted("reports", 150).await;
    sleep(A_WHILE).await;
    let report = world.audit().await;
    assert_eq!(report.findings(), 300);
    assert_eq!(report.queues.iter().map(|queue| queue.unreachable.examples.len()).sum::<usize>(), 100);
    nothing_is_found(&world.audit().await);
}

#[tokio::test(start_paused = true)]
async fn a_dispatch_that_breaks_off_makes_an_error_and_no_finding() {
    for name in ["lost", "scan", "leased", "enqueue"] {
        let world = World::rebuilt(&["mail"]).await;
        let ids = world.accepted("mail", 3).await;
        sleep(A_WHILE).await;
        let faulty = Faulty::new(world.dispatch.clone(), move |call| match call == name {
            true => Fate::Lost,
            false => Fate::Answered,
        });
        let auditor = world.auditor_over(faulty.clone());
        assert!(matches!(auditor.audit(LONG).await, Err(AuditError::Dispatch(_))), "{name}");
        faulty.decide_by(|_| Fate::Answered);
        assert_eq!(only(&auditor.audit(LONG).await.unwrap()).unreachable.examples, ids, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_audits_at_once_one_is_refused() {
    let world = World::rebuilt(&["mail"]).await;
    world.accepted("mail", 1).await;
    sleep(A_WHILE).await;
    let auditor = world.auditor_over(world.dispatch.clone());
    let (first, second) = tokio::join!(auditor.audit(LONG), auditor.audit(LONG));
    assert_eq!(first.unwrap().findings(), 1);
    assert!(matches!(second, Err(AuditError::UnderWay)));
}

#[tokio::test(start_paused = true)]
async fn an_audit_whose_time_is_up_says_that_it_is_not_complete() {
    let world = World::rebuilt(&["mail"]).await;
    world.accepted("mail", 3).await;
    sleep(A_WHILE).await;
    let report = world.auditor_over(world.dispatch.clone()).audit(Duration::from_secs(3)).await.unwrap();
    assert!(!report.complete);
    assert_eq!(report.findings(), 0, "what was not looked for often enough is no finding");
    let hanging = Faulty::new(world.dispatch.clone(), |_| Fate::Answered);
    hanging.answers_after(LONG);
    let hung = world.auditor_over(hanging).audit(Duration::from_secs(3)).await;
    assert!(matches!(hung, Err(AuditError::TimedOut)));
}

#[tokio::test(start_paused = true)]
async fn audits_go_on_by_themselves() {
    let world = World::rebuilt(&["mail"]).await;
    let shutdown = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(Arc::new(world.auditor_over(world.dispatch.clone())).run(shutdown.clone()));
    for _ in 0..3 {
        world.accepted("mail", 2).await;
        // The interval, and the audit itself.
        sleep(Duration::from_secs(22 * 60)).await;
        assert_eq!(world.claim_ids(&queue("mail")).await.len(), 2);
    }
    shutdown.cancel();
    running.await.unwrap();
}

fn only(report: &AuditReport) -> &QueueAudit {
    assert_eq!(report.queues.len(), 1);
    &report.queues[0]
}

fn nothing_is_found(report: &AuditReport) {
    assert_eq!(report.findings(), 0, "{report:#?}");
    assert!(report.complete);
}

impl World {
    /// A world on a simulated clock, with queues that are rebuilt and empty.
    async fn rebuilt(queues: &[&str]) -> Self {
        Self::simulated().with(queues).await
    }

    pub(crate) async fn with(self, queues: &[&str]) -> Self {
        let world = self;
        for name in queues {
            let seed = world.accepted(name, 1).await;
            world.succeed(seed[0]).await;
        }
        world.repairer().pass().await.unwrap();
        sleep(Duration::from_secs(1)).await;
        world
    }

    fn auditor_over(&self, dispatch: Arc<dyn Dispatch>) -> Auditor {
        Auditor::new(self.ledger.clone(), dispatch, &Config::defaults().repair)
    }

    pub(crate) async fn audit(&self) -> AuditReport {
        self.auditor_over(self.dispatch.clone()).audit(LONG).await.unwrap()
    }

    fn ticket(&self, id: JobId, due_in: Option<Duration>) -> Ticket {
        let due = due_in.map(|due_in| self.clock.now().plus(due_in));
        Ticket { id, kind: kind(), priority: Default::default(), due }
    }

    /// Accepts jobs and enqueues them.
    pub(crate) async fn enqueued(&self, name: &str, count: usize) -> Vec<JobId> {
        let ids = self.accepted(name, count).await;
        let tickets: Vec<Ticket> = ids.iter().map(|id| self.ticket(*id, None)).collect();
        self.dispatch.enqueue(&queue(name), &tickets).await.unwrap();
        ids
    }

    pub(crate) async fn claim_some(&self, name: &str, limit: usize, lease: Duration) -> Vec<Lease> {
        let token = LeaseToken::random();
        let claim = self.claim_for(&queue(name), token, limit, lease).await;
        let lease = |ticket: haul_core::dispatch::Claimed| {
            let (id, kind, priority) = (ticket.id, ticket.kind, ticket.priority);
            Lease { id, kind, priority, token }
        };
        claim.tickets.into_iter().map(lease).collect()
    }

    async fn settle(&self, leases: &[Lease], next: Next) {
        let settlements: Vec<_> = leases.iter().map(|lease| Settlement { lease: lease.clone(), next }).collect();
        self.dispatch.settle(&queue("mail"), &settlements).await.unwrap();
    }
}
