use super::{Stage, stage::error};
use crate::at_once;
use haul_core::{
    ledger::Entry,
    statistics::{Figures, HOUR, Hour},
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

pub async fn nothing_is_counted_in_an_empty_ledger(stage: Stage) {
    assert_eq!(stage.count().await, 0);
    assert_eq!(stage.hours().await, []);
}

pub async fn an_hour_counts_its_jobs_and_what_came_of_them(stage: Stage) {
    let hour = stage.hour(2);
    let jobs: Vec<_> = (0..5).map(|_| stage.job(hour, "work")).collect();
    stage.accept(&jobs).await;
    stage.record(&jobs[0], SECOND, Entry::Failed(error(), jobs[0].run_at.plus(SECOND))).await;
    stage.succeed(&jobs[0], SECOND * 3).await;
    stage.succeed(&jobs[1], SECOND).await;
    stage.record(&jobs[2], SECOND * 2, Entry::Dead(error())).await;
    let at = jobs[3].run_at.plus(SECOND * 50);
    stage.ledger.cancel(&jobs[3].tenant, &[jobs[3].id], at).await.expect("a job is cancelled");
    stage.count().await;
    let figures = Figures {
        accepted: 5,
        succeeded: 2,
        dead: 1,
        cancelled: 1,
        failures: 1,
        took_ms_sum: 6_000,
        took_ms_max: 3_000,
    };
    assert_eq!(stage.hours().await, [Hour { at: hour, figures }]);
}

pub async fn an_hour_that_has_not_ended_is_not_counted(stage: Stage) {
    stage.accepted(stage.this_hour, "work").await;
    stage.count().await;
    let counted = stage.hours().await;
    // Unless it has ended in the meantime.
    let now = stage.ledger.now().await.expect("the time");
    assert!(counted.is_empty() || now >= stage.this_hour.plus(HOUR), "{counted:?}");
}

pub async fn an_hour_is_counted_again_a_day_later_and_not_in_between(stage: Stage) {
    let (late, early) = (stage.accepted(stage.hour(3), "work").await, stage.accepted(stage.hour(30), "work").await);
    // Each once by the first round, and the older by the second.
    assert_eq!(stage.count().await, 3);
    stage.succeed(&late, SECOND).await;
    stage.succeed(&early, SECOND).await;
    assert_eq!(stage.count().await, 0, "their rounds are over");
    let succeeded: Vec<u64> = stage.hours().await.iter().map(|hour| hour.figures.succeeded).collect();
    assert_eq!(succeeded, [0, 0]);
}

pub async fn what_is_counted_again_is_not_counted_twice(stage: Stage) {
    // All three rounds are due for it.
    let hour = stage.hour(9 * 24);
    let job = stage.accepted(hour, "work").await;
    stage.statistics.count_hour().await.expect("an hour is counted");
    stage.succeed(&job, SECOND).await;
    assert_eq!(stage.count().await, 2, "two rounds are left");
    let figures = Figures { accepted: 1, succeeded: 1, took_ms_sum: 1_000, took_ms_max: 1_000, ..Figures::default() };
    assert_eq!(stage.hours().await, [Hour { at: hour, figures }], "as it was at the last round");
}

pub async fn hours_are_caught_up_with_one_by_one(stage: Stage) {
    for ago in [2, 3, 20] {
        stage.accepted(stage.hour(ago), "work").await;
    }
    let progress = stage.statistics.count_hour().await.expect("an hour is counted");
    assert_eq!((progress.done, progress.more), (1, true));
    assert_eq!(stage.hours().await.iter().map(|hour| hour.at).collect::<Vec<_>>(), [stage.hour(20)]);
    assert_eq!(stage.count().await, 2, "hours without jobs take no step");
    let all = [20, 3, 2].map(|ago| stage.hour(ago));
    assert_eq!(stage.hours().await.iter().map(|hour| hour.at).collect::<Vec<_>>(), all);
}

pub async fn many_who_count_at_once_count_each_job_once(stage: Stage) {
    for ago in 2..8 {
        let jobs: Vec<_> = (0..3).map(|_| stage.job(stage.hour(ago), "work")).collect();
        stage.accept(&jobs).await;
    }
    let counters: Vec<_> = (0..6).map(|_| stage.world.statistics()).collect();
    at_once(counters.into_iter().map(|counter| async move {
        for _ in 0..20 {
            counter.count_hour().await.expect("an hour is counted");
        }
    }))
    .await;
    stage.count().await;
    let accepted: Vec<u64> = stage.hours().await.iter().map(|hour| hour.figures.accepted).collect();
    assert_eq!(accepted, [3; 6]);
}

pub async fn what_took_no_time_or_was_cancelled_has_no_duration(stage: Stage) {
    let mut early = stage.job(stage.hour(2), "work");
    // Clocks differ: it has ended before it was due.
    early.run_at = early.run_at.plus(SECOND * 9);
    stage.accept(std::slice::from_ref(&early)).await;
    let record = Entry::Succeeded(None);
    let before = haul_core::Job { run_at: early.id.created_at(), ..early.clone() };
    stage.record(&before, Duration::ZERO, record).await;
    let cancelled = stage.accepted(stage.hour(2), "work").await;
    let at = cancelled.run_at.plus(SECOND);
    stage.ledger.cancel(&cancelled.tenant, &[cancelled.id], at).await.expect("a job is cancelled");
    stage.count().await;
    let figures = stage.hours().await[0].figures;
    assert_eq!((figures.accepted, figures.took_ms_sum, figures.took_ms_max), (2, 0, 0));
}
