//! The circuit breaker: when it opens, for how long, and how it is closed again.

use super::stage::{SECOND, Stage, go, wait};
use haul_core::pace::{Breaker, Entry, Left, Rules, Verdict, Why};
use std::time::Duration;

const FAULT: Verdict = Verdict::AtFault(None);

pub async fn failures_in_a_row_open_it_for_everybody(stage: Stage) {
    stage.open().await;
    for _ in 0..10 {
        let (time, why) = stage.wait().await;
        assert_eq!(why, Why::Open);
        assert!(time >= SECOND * 4 / 5 && time <= SECOND * 2, "{time:?}");
    }
}

pub async fn a_call_that_works_begins_the_count_anew(stage: Stage) {
    for _ in 0..4 {
        assert_eq!(stage.call(FAULT).await, Left::Done);
        assert_eq!(stage.call(FAULT).await, Left::Done);
        assert_eq!(stage.call(Verdict::Works).await, Left::Done);
        stage.pass(SECOND * 11);
    }
}

pub async fn a_share_of_failures_opens_it_and_a_few_calls_do_not(stage: Stage) {
    // Every other one: never three in a row.
    for _ in 0..4 {
        assert_eq!(stage.call(Verdict::Works).await, Left::Done);
        assert_eq!(stage.call(FAULT).await, Left::Done);
    }
    assert_eq!(stage.call(Verdict::Works).await, Left::Done);
    assert_eq!(stage.call(FAULT).await, Left::Changed(Breaker::Open), "five of ten");
}

pub async fn failures_of_an_earlier_window_are_forgotten(stage: Stage) {
    for _ in 0..4 {
        stage.call(Verdict::Works).await;
        stage.call(FAULT).await;
    }
    stage.pass(stage.rules.window);
    stage.call(Verdict::Works).await;
    assert_eq!(stage.call(FAULT).await, Left::Done);
}

pub async fn it_is_open_twice_as_long_each_time_up_to_the_cap(stage: Stage) {
    stage.open().await;
    let mut open = SECOND;
    for _ in 0..8 {
        let (time, why) = stage.wait().await;
        assert_eq!(why, Why::Open);
        assert!(time + SECOND / 100 >= open && time <= open + SECOND / 100, "{time:?} of {open:?}");
        stage.pass(time - Duration::from_millis(1));
        assert_eq!(stage.wait().await.1, Why::Open);
        stage.pass(Duration::from_millis(1));
        assert_eq!(stage.call(FAULT).await, Left::Changed(Breaker::Open));
        open = (open * 2).min(stage.rules.open_cap);
    }
}

pub async fn how_long_it_is_open_is_spread_by_chance(stage: Stage) {
    let mut times = Vec::new();
    for chance in [0, 0xffff] {
        let stage = Stage::new(stage.harness.clone()).await;
        stage.call(FAULT).await;
        stage.call(FAULT).await;
        let entry = Entry { destination: &stage.to, job: stage.job(), permit: stage.id(chance), rules: &stage.rules };
        let last = go(stage.world.pace().enter(&entry).await.expect("an entry is answered"));
        assert_eq!(stage.leave(&last, FAULT).await, Left::Changed(Breaker::Open));
        times.push(stage.wait().await.0);
    }
    assert!(times[0] == SECOND * 4 / 5 && times[1] > SECOND * 119 / 100 && times[1] <= SECOND * 6 / 5, "{times:?}");
}

pub async fn half_open_lets_a_few_probes_through_and_no_more(mut stage: Stage) {
    stage.rules = Rules { probes: 2, ..stage.rules };
    stage.open().await;
    stage.pass(SECOND);
    let probes = [stage.go().await, stage.go().await];
    assert!(probes.iter().all(|probe| probe.is_probe));
    assert_eq!(stage.wait().await.1, Why::Probing);
}

pub async fn a_probe_that_works_closes_it(stage: Stage) {
    stage.open().await;
    stage.pass(SECOND);
    assert_eq!(stage.call(Verdict::Works).await, Left::Changed(Breaker::Closed));
    let permits = [stage.go().await, stage.go().await];
    assert!(permits.iter().all(|permit| !permit.is_probe));
    // And all begins anew, from the first failure and with the shortest opening.
    assert_eq!(stage.leave(&permits[0], FAULT).await, Left::Done);
    assert_eq!(stage.leave(&permits[1], FAULT).await, Left::Done);
    assert_eq!(stage.call(FAULT).await, Left::Changed(Breaker::Open));
    assert_eq!(stage.wait().await.0, SECOND);
}

pub async fn a_probe_that_fails_opens_it_anew(stage: Stage) {
    stage.open().await;
    stage.pass(SECOND);
    assert_eq!(stage.call(FAULT).await, Left::Changed(Breaker::Open));
    assert_eq!(stage.wait().await, (SECOND * 2, Why::Open));
}

pub async fn a_probe_that_learnt_nothing_makes_room_for_another(stage: Stage) {
    stage.open().await;
    stage.pass(SECOND);
    assert_eq!(stage.call(Verdict::Unknown).await, Left::Done);
    assert!(stage.go().await.is_probe);
}

pub async fn a_probe_that_expires_makes_room_for_another(stage: Stage) {
    stage.open().await;
    stage.pass(SECOND);
    let lost = stage.go().await;
    let (time, why) = stage.wait().await;
    assert_eq!(why, Why::Probing);
    assert!(time < stage.rules.permit);
    stage.pass(stage.rules.permit);
    let probe = stage.go().await;
    assert!(probe.is_probe);
    assert_eq!(stage.leave(&lost, Verdict::Works).await, Left::NotHeld);
    assert_eq!(stage.leave(&probe, Verdict::Works).await, Left::Changed(Breaker::Closed));
}

pub async fn what_was_learnt_before_a_change_is_not_counted(stage: Stage) {
    let old = stage.go().await;
    let older = stage.go().await;
    stage.open().await;
    assert_eq!(stage.leave(&old, Verdict::Works).await, Left::Done, "it does not close what is open");
    assert_eq!(stage.wait().await.1, Why::Open);
    stage.pass(SECOND * 2);
    let probe = stage.go().await;
    assert_eq!(stage.leave(&older, Verdict::Works).await, Left::Done, "nor what is half-open");
    assert_eq!(stage.leave(&probe, FAULT).await, Left::Changed(Breaker::Open));
}

pub async fn a_pause_that_was_asked_for_is_kept_by_everybody_and_cut_to_the_cap(stage: Stage) {
    assert_eq!(stage.call(Verdict::AtFault(Some(SECOND * 5))).await, Left::Done);
    assert_eq!(wait(stage.enter().await), (SECOND * 5, Why::Asked));
    stage.pass(SECOND * 4);
    assert_eq!(stage.wait().await.1, Why::Asked);
    stage.pass(SECOND * 2);
    stage.call(Verdict::AtFault(Some(SECOND * 3_600))).await;
    stage.pass(stage.rules.open_cap);
    assert!(!stage.go().await.is_probe);
}

pub async fn what_was_not_learnt_is_not_counted(stage: Stage) {
    for _ in 0..20 {
        assert_eq!(stage.call(Verdict::Unknown).await, Left::Done);
    }
    assert_eq!(stage.call(FAULT).await, Left::Done);
    assert_eq!(stage.sight().await.failures, 1);
}
