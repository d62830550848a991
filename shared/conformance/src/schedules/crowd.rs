//! Many who fire and edit at once: each step is taken by one of them, and no deadlock surfaces.

use super::stage::{Stage, definition, job_ids, key, position};
use haul_core::{
    Schedules, Tenant,
    ledger::{Idempotency, LedgerError},
    schedules::{BatchFired, Changed, Created, Edit, Move, NewSchedule, Schedule, Step, Stepped},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

const ROUNDS: usize = 10;

/// Fires steps as a process does: a call that met the same rows too long is sent again.
async fn fire_patiently(
    schedules: std::sync::Arc<dyn haul_core::Schedules>,
    steps: Vec<Step>,
    me: haul_core::ProcessId,
) -> BatchFired {
    for _ in 0..20 {
        match schedules.fire(&steps, me, &[]).await {
            Ok(fired) => return fired,
            Err(LedgerError::Contended(_)) => {}
            Err(error) => panic!("no error surfaces but one of contention: {error:?}"),
        }
    }
    panic!("the steps were not taken in twenty calls");
}

pub async fn each_step_is_taken_by_one_of_many(stage: Stage) {
    let mut schedules = Vec::new();
    for n in 0..40 {
        schedules.push(stage.created(&format!("s{n}")).await);
    }
    let mut expected = BTreeSet::new();
    for round in 1..=ROUNDS {
        let calls: Vec<_> = (0..6)
            .map(|caller| {
                // Each caller has minted its own ids, and every other one goes the opposite way.
                let mut steps: Vec<Step> =
                    schedules.iter().map(|schedule| stage.step(schedule, &round.to_string())).collect();
                if caller % 2 == 1 {
                    steps.reverse();
                }
                let (schedules, me) = (stage.world.schedules(), stage.me);
                async move { (steps.clone(), fire_patiently(schedules, steps, me).await) }
            })
            .collect();
        let mut taken: Vec<Step> = Vec::new();
        for (steps, fired) in crate::at_once(calls).await {
            let done = steps.into_iter().zip(fired.steps).filter(|(_, answer)| *answer == Stepped::Done);
            taken.extend(done.map(|(step, _)| step));
        }
        assert_eq!(taken.len(), schedules.len(), "each schedule takes one step a round");
        expected.extend(job_ids(&taken));
        assert_eq!(stage.jobs().await, expected, "exactly the jobs of the steps that were taken are there");
        for schedule in &mut schedules {
            *schedule = stage.read(schedule).await;
            assert_eq!((schedule.runs, schedule.position.fired_through.as_str()), (round as u64, &*round.to_string()));
        }
    }
}

pub async fn no_more_are_created_at_once_than_a_tenant_may_have(stage: Stage) {
    const MAX: usize = 5;
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let (schedules, new) = (stage.world.schedules(), stage.new_schedule(&format!("s{n}")));
            async move { create_patiently(schedules, new, MAX).await }
        })
        .collect();
    let created = crate::at_once(calls).await.into_iter().filter(|created| matches!(created, Created::New(_))).count();
    let listed = stage.schedules.list(&Tenant::default(), None, 100).await.expect("schedules are listed");
    assert_eq!((created, listed.len()), (MAX, MAX), "as many as may be there are there");
}

pub async fn one_key_used_by_many_at_once_creates_one_schedule(stage: Stage) {
    let idempotency = Idempotency { key: "k".into(), fingerprint: [7; 32], lifetime: Duration::from_secs(3_600) };
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let new = NewSchedule { idempotency: Some(idempotency.clone()), ..stage.new_schedule("nightly") };
            let schedules = stage.world.schedules();
            async move { create_patiently(schedules, new, usize::MAX).await }
        })
        .collect();
    let answers = crate::at_once(calls).await;
    let stored = stage.find(&key("nightly")).await.expect("it was created");
    let created = answers.iter().filter(|answer| **answer == Created::New(stored.clone())).count();
    let replayed = answers.iter().filter(|answer| **answer == Created::Replayed(stored.id)).count();
    assert_eq!((created, replayed), (1, 11), "{answers:?}");
}

async fn create_patiently(schedules: Arc<dyn Schedules>, new: NewSchedule, schedules_max: usize) -> Created {
    for _ in 0..20 {
        match schedules.create(&new, schedules_max).await {
            Ok(created) => return created,
            Err(LedgerError::Contended(_)) => {}
            Err(error) => panic!("no error surfaces but one of contention: {error:?}"),
        }
    }
    panic!("{} was not created in twenty calls", new.key);
}

pub async fn an_edit_that_moves_and_a_step_at_once_leave_one(stage: Stage) {
    for round in 0..ROUNDS * 3 {
        let schedule = stage.created(&format!("s{round}")).await;
        let step = stage.step(&schedule, "1");
        let moved = Some(Move { from: "0".to_owned(), to: position("edited", None) });
        let edit = Edit { id: schedule.id, version: 1, definition: definition("new"), moved };
        let (firing, editing) = (stage.world.schedules(), stage.world.schedules());
        let (steps, me) = (vec![step], stage.me);
        let fire = tokio::spawn(async move { fire_patiently(firing, steps, me).await });
        let edit = tokio::spawn(async move { editing.edit(&edit).await.expect("no error surfaces") });
        let (fired, edited) = (fire.await.expect("firing ends"), edit.await.expect("editing ends"));
        let was_edited = matches!(edited, Changed::Done(_));
        assert_ne!(was_edited, fired.steps == [Stepped::Done], "one of the two is first, the other is stale");
        let stored = stage.read(&schedule).await;
        assert_eq!(stored.position.fired_through, if was_edited { "edited" } else { "1" });
        assert_eq!(stored.runs, u64::from(!was_edited));
    }
}

pub async fn a_pause_and_a_step_at_once_leave_no_half(stage: Stage) {
    let mut expected = 0;
    for round in 0..ROUNDS * 3 {
        let schedule: Schedule = stage.created(&format!("s{round}")).await;
        let steps = vec![stage.step(&schedule, "1")];
        let (firing, pausing, me) = (stage.world.schedules(), stage.world.schedules(), stage.me);
        let key = schedule.key.clone();
        let fire = tokio::spawn(async move { fire_patiently(firing, steps, me).await });
        let pause = tokio::spawn(async move { pausing.set_paused(&key, None, true).await.expect("no error surfaces") });
        let (fired, paused) = (fire.await.expect("firing ends"), pause.await.expect("pausing ends"));
        assert!(matches!(paused, Changed::Done(_)), "a pause of any version is made");
        let stored = stage.read(&schedule).await;
        let was_fired = fired.steps == [Stepped::Done];
        expected += usize::from(was_fired);
        assert_eq!((stored.paused, stored.version, stored.runs), (true, 2, u64::from(was_fired)));
    }
    assert_eq!(stage.jobs().await.len(), expected);
}

pub async fn the_same_steps_sent_by_many_at_once_are_taken_once(stage: Stage) {
    let mut expected = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut steps = Vec::new();
        for n in 0..10 {
            steps.push(stage.step(&stage.created(&format!("s-{round}-{n}")).await, "1"));
        }
        expected.extend(job_ids(&steps));
        let calls: Vec<_> = (0..5).map(|_| fire_patiently(stage.world.schedules(), steps.clone(), stage.me)).collect();
        for fired in crate::at_once(calls).await {
            assert!(fired.steps.iter().all(|step| *step == Stepped::Done), "each is told that it was taken");
            assert!(fired.receipt.is_some());
        }
    }
    assert_eq!(stage.jobs().await, expected);
}
