use super::Stage;
use haul_core::{
    Queue, QueueRef, Tenant,
    statistics::{HOUR, Hour},
};

fn accepted(hours: &[Hour]) -> Vec<u64> {
    hours.iter().map(|hour| hour.figures.accepted).collect()
}

pub async fn hours_are_of_a_queue_and_of_a_kind(stage: Stage) {
    let hour = stage.hour(2);
    let (mail, one) = (Queue::new("mail").expect("a queue"), Tenant::new("one").expect("a tenant"));
    let elsewhere = |job| haul_core::Job { queue: mail.clone(), ..job };
    let jobs = [
        stage.job(hour, "a"),
        stage.job(hour, "a"),
        stage.job(hour, "b"),
        elsewhere(stage.job(hour, "a")),
        haul_core::Job { tenant: one.clone(), ..stage.job(hour, "a") },
    ];
    stage.accept(&jobs).await;
    stage.count().await;
    let default = QueueRef::default();
    assert_eq!(accepted(&stage.hours_of(&default, None).await), [3]);
    assert_eq!(accepted(&stage.hours_of(&default, Some("a")).await), [2]);
    assert!(stage.hours_of(&default, Some("c")).await.is_empty());
    let mail = QueueRef { queue: mail, ..QueueRef::default() };
    assert_eq!(accepted(&stage.hours_of(&mail, None).await), [1]);
    let foreign = QueueRef { tenant: one, ..QueueRef::default() };
    assert_eq!(accepted(&stage.hours_of(&foreign, None).await), [1]);
}

pub async fn hours_begin_at_from_and_end_before_to(stage: Stage) {
    for ago in [2, 3, 4] {
        stage.accepted(stage.hour(ago), "work").await;
    }
    stage.count().await;
    let queue = QueueRef::default();
    let read = stage.statistics.hours(&queue, None, stage.hour(4), stage.hour(2)).await.expect("hours are read");
    assert_eq!(read.iter().map(|hour| hour.at).collect::<Vec<_>>(), [stage.hour(4), stage.hour(3)]);
}

pub async fn expired_hours_are_gone_and_no_others(stage: Stage) {
    for ago in [2, 3, 4, 5] {
        stage.accepted(stage.hour(ago), "work").await;
    }
    stage.count().await;
    let expire = async |limit| stage.statistics.expire_hours(stage.hour(3), limit).await.expect("hours expire");
    let first = expire(1).await;
    assert_eq!((first.done, first.more), (1, true));
    let second = expire(10).await;
    assert_eq!((second.done, second.more), (1, false));
    assert_eq!(stage.hours().await.iter().map(|hour| hour.at).collect::<Vec<_>>(), [stage.hour(3), stage.hour(2)]);
    assert!(stage.hours().await.iter().all(|hour| hour.at.plus(HOUR) <= stage.this_hour));
}
