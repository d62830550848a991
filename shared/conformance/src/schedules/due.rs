//! What is due, and when the next is: by the ledger's clock.

use super::stage::{Stage, position};
use haul_core::schedules::{Due, NewSchedule};
use std::time::Duration;

pub async fn nothing_is_due_and_nothing_next_in_an_empty_store(stage: Stage) {
    let agenda = stage.due().await;
    assert_eq!((agenda.due, agenda.next_at), (vec![], None));
}

pub async fn a_schedule_is_due_when_its_time_has_come(stage: Stage) {
    let schedule = stage.created("nightly").await;
    let expected =
        Due { id: schedule.id, version: 1, position: position("0", Some(stage.at(-60))), last_job: None, runs: 0 };
    let agenda = stage.due().await;
    assert_eq!((agenda.due, agenda.next_at), (vec![expected.clone()], Some(stage.at(-60))));
    let step = stage.step(&schedule, "1");
    stage.fire(std::slice::from_ref(&step)).await;
    let agenda = stage.due().await;
    assert_eq!((agenda.due, agenda.next_at), (vec![], Some(stage.at(3_600))), "it has been moved an hour ahead");
    let back = position("2", Some(stage.at(-1)));
    let schedule = stage.read(&schedule).await;
    let mut step_back = stage.step(&schedule, "2");
    step_back.moved.to = back.clone();
    stage.fire(std::slice::from_ref(&step_back)).await;
    let expected = Due { position: back, last_job: Some(step_back.jobs[0].id), runs: 2, ..expected };
    assert_eq!(stage.due().await.due, [expected]);
}

pub async fn the_longest_overdue_come_first(stage: Stage) {
    let mut expected = Vec::new();
    for (name, seconds) in [("a", -30), ("b", -90), ("c", 5_000), ("d", -60)] {
        let new = NewSchedule { position: position("0", Some(stage.at(seconds))), ..stage.new_schedule(name) };
        expected.push((seconds, stage.create(&new).await.id));
    }
    expected.sort_by_key(|(seconds, _)| *seconds);
    let expected: Vec<_> = expected.into_iter().filter(|(seconds, _)| *seconds < 0).map(|(_, id)| id).collect();
    assert_eq!(stage.due_ids().await, expected);
}

pub async fn no_more_are_due_than_asked_for(stage: Stage) {
    for name in ["a", "b", "c"] {
        stage.created(name).await;
    }
    for limit in [1, 2, 3] {
        let agenda = stage.schedules.due(limit).await.expect("it is told what is due");
        assert_eq!((agenda.due.len(), agenda.next_at), (limit, Some(stage.at(-60))));
    }
}

pub async fn a_paused_schedule_is_not_due_until_it_is_resumed(stage: Stage) {
    let schedule = stage.created("nightly").await;
    stage.pause(&schedule, true).await;
    let agenda = stage.due().await;
    assert_eq!((agenda.due, agenda.next_at), (vec![], None));
    stage.pause(&schedule, false).await;
    assert_eq!(stage.due_ids().await, [schedule.id]);
    stage.create(&NewSchedule { paused: true, ..stage.new_schedule("born-paused") }).await;
    assert_eq!(stage.due_ids().await, [schedule.id]);
}

pub async fn a_schedule_that_never_fires_again_is_not_due(stage: Stage) {
    let schedule = stage.created("once").await;
    let mut step = stage.step(&schedule, "1");
    step.moved.to.next_at = None;
    stage.fire(&[step]).await;
    let agenda = stage.due().await;
    assert_eq!((agenda.due, agenda.next_at), (vec![], None));
    assert_eq!(stage.read(&schedule).await.position, position("1", None));
}

pub async fn what_is_due_goes_by_the_ledgers_clock(stage: Stage) {
    let schedule = stage.created("soon").await;
    let mut step = stage.step(&schedule, "1");
    let soon = stage.due().await.now.plus(Duration::from_millis(300));
    step.moved.to.next_at = Some(soon);
    stage.fire(&[step]).await;
    let agenda = crate::eventually("it becomes due", async || {
        let before = stage.ledger.now().await.expect("the ledger tells the time");
        let agenda = stage.due().await;
        assert!(agenda.now >= before, "the agenda is of the ledger's clock");
        assert_eq!(agenda.due.is_empty(), agenda.now < soon, "it is due from its time on, not before");
        (!agenda.due.is_empty()).then_some(agenda)
    });
    assert_eq!(agenda.await.next_at, Some(soon));
}
