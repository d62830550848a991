//! Queues as the ledger knows them, their limits, and what serves the house: partitions and events.

use super::stage::{Stage, kind, plain, queue, tenant};
use futures::StreamExt;
use haul_core::{
    Job, ProcessId, QueueChange, QueueSettings,
    ledger::{LedgerError, NewJob, QueueInfo},
    limits::{KINDS_PER_QUEUE_MAX, QUEUES_MAX, SLOTS_MAX},
};
use std::{slice, time::Duration};

impl Stage {
    async fn queues(&self) -> Vec<QueueInfo> {
        let mut queues = self.ledger.queues().await.expect("queues are listed");
        queues.sort_by(|a, b| a.queue.cmp(&b.queue));
        queues
    }

    async fn configure(&self, job: &Job, change: &QueueChange) -> Option<QueueSettings> {
        self.ledger.configure_queue(&job.queue_ref(), change).await.expect("a queue is configured")
    }

    async fn refused(&self, jobs: &[Job]) {
        let new: Vec<NewJob> = jobs.iter().cloned().map(plain).collect();
        let answer = self.ledger.accept(&new, self.me, &[]).await;
        assert!(matches!(answer, Err(LedgerError::LimitReached(_))), "the limit was not told: {answer:?}");
    }
}

fn pause(paused: bool) -> QueueChange {
    QueueChange { paused: Some(paused), ..QueueChange::default() }
}

fn split(slots: u16) -> QueueChange {
    QueueChange { slots: Some(slots), ..QueueChange::default() }
}

pub async fn an_accepted_job_makes_its_queue_and_kind_known(stage: Stage) {
    assert_eq!(stage.queues().await, []);
    let mut jobs = stage.jobs(5);
    jobs[1].kind = kind("send");
    jobs[2].queue = queue("mail");
    jobs[3].tenant = tenant("theirs");
    stage.accept(&jobs).await;
    let queues = stage.queues().await;
    let known: Vec<_> = queues.iter().map(|known| (known.queue.clone(), known.settings, known.kinds.clone())).collect();
    let new = QueueSettings { paused: false, slots: 1 };
    let expected = [
        (jobs[0].queue_ref(), new, vec![kind("send"), kind("work")]),
        (jobs[2].queue_ref(), new, vec![kind("work")]),
        (jobs[3].queue_ref(), new, vec![kind("work")]),
    ];
    assert_eq!(known, expected);
    let (from, until) = (stage.begun.minus(Duration::from_secs(60)), stage.begun.plus(Duration::from_secs(600)));
    for known in &queues {
        assert!(known.created_at >= from && known.created_at <= until, "it became known now: {known:?}");
    }
    stage.accept(&[Job { kind: kind("later"), ..stage.job() }]).await;
    let later = stage.queues().await;
    assert_eq!(later[0].kinds, ["later", "send", "work"].map(kind));
    assert_eq!(later[0].created_at, queues[0].created_at, "it stays known since then");
}

pub async fn kinds_come_in_the_order_of_their_bytes(stage: Stage) {
    // Collations of people put "a-b" beside "ab" and "B" after "a".
    let mut names = ["b", "a_c", "a-b", "ab", "B", "a.b", "a", "A", "10", "9"].map(kind);
    let jobs: Vec<Job> = names.iter().map(|kind| Job { kind: kind.clone(), ..stage.job() }).collect();
    stage.accept(&jobs).await;
    names.sort();
    assert_eq!(stage.queues().await[0].kinds, names);
}

pub async fn a_queue_is_paused_and_resumed(stage: Stage) {
    let mut jobs = stage.jobs(2);
    jobs[1].tenant = tenant("theirs");
    stage.accept(&jobs).await;
    let paused = async || stage.queues().await.iter().map(|known| known.settings.paused).collect::<Vec<_>>();
    for (set_to, expected) in [(true, [true, false]), (true, [true, false]), (false, [false, false])] {
        let holds = stage.configure(&jobs[0], &pause(set_to)).await;
        assert_eq!(holds, Some(QueueSettings { paused: set_to, slots: 1 }));
        assert_eq!(paused().await, expected);
    }
}

pub async fn a_queue_is_split_over_slots(stage: Stage) {
    let mut jobs = stage.jobs(2);
    jobs[1].queue = queue("mail");
    stage.accept(&jobs).await;
    for slots in [4, 1, SLOTS_MAX] {
        assert_eq!(stage.configure(&jobs[0], &split(slots)).await, Some(QueueSettings { paused: false, slots }));
        let known: Vec<u16> = stage.queues().await.iter().map(|known| known.settings.slots).collect();
        assert_eq!(known, [slots, 1]);
    }
}

pub async fn a_change_leaves_alone_what_it_does_not_name(stage: Stage) {
    let job = stage.accepted().await;
    let (paused, slots) = (true, 8);
    stage.configure(&job, &pause(paused)).await;
    assert_eq!(stage.configure(&job, &split(slots)).await, Some(QueueSettings { paused, slots }));
    assert_eq!(stage.configure(&job, &QueueChange::default()).await, Some(QueueSettings { paused, slots }));
    assert_eq!(stage.configure(&job, &pause(false)).await, Some(QueueSettings { paused: false, slots }));
    assert_eq!(stage.queues().await[0].settings, QueueSettings { paused: false, slots });
}

pub async fn changes_of_different_settings_at_once_all_hold(stage: Stage) {
    for slots in 2..12 {
        let job = Job { queue: queue(&format!("queue-{slots}")), ..stage.job() };
        stage.accept(slice::from_ref(&job)).await;
        let calls = [pause(true), split(slots), QueueChange::default(), pause(true), split(slots)].map(|change| {
            let (ledger, queue) = (stage.world.ledger(), job.queue_ref());
            async move { ledger.configure_queue(&queue, &change).await.expect("a queue is configured").is_some() }
        });
        assert_eq!(crate::at_once(calls).await, [true; 5]);
        let known = stage.queues().await;
        let known = known.iter().find(|known| known.queue == job.queue_ref()).map(|known| known.settings);
        assert_eq!(known, Some(QueueSettings { paused: true, slots }));
    }
}

pub async fn settings_beyond_their_limits_are_refused(stage: Stage) {
    let job = stage.accepted().await;
    for slots in [0, SLOTS_MAX + 1, u16::MAX] {
        let change = QueueChange { paused: Some(true), slots: Some(slots) };
        let answer = stage.ledger.configure_queue(&job.queue_ref(), &change).await;
        assert!(matches!(answer, Err(LedgerError::Refused(_))), "{slots} slots: {answer:?}");
    }
    assert_eq!(stage.queues().await[0].settings, QueueSettings::default(), "all or nothing of a change holds");
}

pub async fn an_unknown_queue_cannot_be_configured(stage: Stage) {
    let job = stage.accepted().await;
    let unknown = Job { tenant: tenant("theirs"), ..job };
    assert_eq!(stage.configure(&unknown, &pause(true)).await, None);
    assert_eq!(stage.configure(&unknown, &QueueChange::default()).await, None);
    assert_eq!(stage.queues().await.len(), 1);
}

pub async fn later_jobs_leave_the_settings_alone(stage: Stage) {
    let job = stage.accepted().await;
    stage.configure(&job, &QueueChange { paused: Some(true), slots: Some(3) }).await;
    stage.accept(&[Job { kind: kind("other"), ..stage.job() }]).await;
    assert_eq!(stage.queues().await[0].settings, QueueSettings { paused: true, slots: 3 });
}

pub async fn a_queue_beyond_the_limit_is_refused_and_the_known_go_on(stage: Stage) {
    let name = |n: usize| queue(&format!("queue-{n}"));
    let jobs: Vec<Job> = (0..QUEUES_MAX).map(|n| Job { queue: name(n), ..stage.job() }).collect();
    for batch in jobs.chunks(2_500) {
        stage.accept(batch).await;
    }
    let one_more = Job { queue: name(QUEUES_MAX), ..stage.job() };
    stage.refused(slice::from_ref(&one_more)).await;
    stage.accept(&[Job { queue: name(7), kind: kind("other"), ..stage.job() }]).await;
    stage.accept(&[Job { tenant: tenant("theirs"), ..one_more }]).await;
    assert_eq!(stage.queues().await.len(), QUEUES_MAX + 1);
}

pub async fn a_kind_beyond_the_limit_is_refused_and_the_known_go_on(stage: Stage) {
    let name = |n: usize| kind(&format!("kind-{n}"));
    let jobs: Vec<Job> = (0..KINDS_PER_QUEUE_MAX).map(|n| Job { kind: name(n), ..stage.job() }).collect();
    stage.accept(&jobs).await;
    let one_more = Job { kind: name(KINDS_PER_QUEUE_MAX), ..stage.job() };
    stage.refused(slice::from_ref(&one_more)).await;
    stage.accept(&[Job { kind: name(7), ..stage.job() }]).await;
    stage.accept(&[Job { queue: queue("other"), ..one_more }]).await;
    let queues = stage.queues().await;
    assert_eq!((queues.len(), queues[0].kinds.len()), (2, KINDS_PER_QUEUE_MAX));
}

pub async fn a_refused_batch_leaves_nothing_behind(stage: Stage) {
    let name = |n: usize| kind(&format!("kind-{n}"));
    let good = Job { queue: queue("good"), ..stage.job() };
    let mut jobs: Vec<Job> = (0..=KINDS_PER_QUEUE_MAX).map(|n| Job { kind: name(n), ..stage.job() }).collect();
    jobs.push(good.clone());
    stage.refused(&jobs).await;
    assert_eq!(stage.find(&good).await, None);
    assert_eq!(stage.unsettled_ids().await, []);
    assert_eq!(stage.queues().await, []);
    stage.world.age(Duration::from_secs(400)).await;
    assert_eq!(stage.take().await, []);
    stage.accept(slice::from_ref(&good)).await;
    assert!(stage.find(&good).await.is_some());
}

pub async fn preparing_ahead_can_be_repeated(stage: Stage) {
    for _ in 0..3 {
        stage.ledger.prepare_ahead().await.expect("storage is prepared");
    }
    let ledgers = (0..4).map(|_| stage.world.ledger());
    let prepared = ledgers.map(|ledger| async move { ledger.prepare_ahead().await.is_ok() });
    assert_eq!(crate::at_once(prepared).await, [true; 4], "several processes start at once");
    stage.accepted().await;
}

pub async fn the_stream_of_events_does_not_end(stage: Stage) {
    let mut events = stage.ledger.events();
    stage.receipt_of(ProcessId::NOBODY).await;
    // It may speak or be silent here; ending would leave repair deaf.
    for _ in 0..3 {
        let event = tokio::time::timeout(Duration::from_millis(100), events.next()).await;
        assert_ne!(event, Ok(None), "the stream of events has ended");
    }
}
