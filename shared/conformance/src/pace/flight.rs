//! Calls in flight, and how many begin per second.

use super::stage::{SECOND, Stage, destination};
use haul_core::pace::{Destination, Left, Permit, Rules, Verdict, Why};
use std::time::Duration;

pub async fn no_more_calls_are_in_flight_than_allowed(stage: Stage) {
    let mut permits = Vec::new();
    for _ in 0..4 {
        permits.push(stage.go().await);
    }
    let (time, why) = stage.wait().await;
    assert_eq!(why, Why::Busy);
    assert!(time < SECOND, "whoever waits for a place looks again soon: {time:?}");
    stage.leave(&permits[0], Verdict::Works).await;
    stage.pass(SECOND);
    stage.go().await;
    assert_eq!(stage.wait().await.1, Why::Busy);
}

pub async fn an_expired_permit_comes_back_and_leaves_no_trace(stage: Stage) {
    let mut lost = Vec::new();
    for _ in 0..4 {
        lost.push(stage.go().await);
    }
    stage.pass(stage.rules.permit);
    for _ in 0..4 {
        stage.go().await;
    }
    for permit in &lost {
        assert_eq!(stage.leave(permit, Verdict::AtFault(Some(SECOND))).await, Left::NotHeld);
    }
    let sight = stage.sight().await;
    assert_eq!((sight.in_flight, sight.failures, sight.opens_in), (4, 0, None));
}

pub async fn an_extended_permit_lasts(stage: Stage) {
    let permit = stage.go().await;
    for _ in 0..5 {
        stage.pass(stage.rules.permit * 2 / 3);
        assert!(stage.world.pace().extend(&permit, &stage.rules).await.expect("extending is answered"));
    }
    assert_eq!(stage.sight().await.in_flight, 1);
    assert_eq!(stage.leave(&permit, Verdict::AtFault(None)).await, Left::Done);
    assert_eq!(stage.sight().await.failures, 1);
}

pub async fn an_expired_permit_cannot_be_extended(stage: Stage) {
    let permit = stage.go().await;
    stage.pass(stage.rules.permit);
    assert!(!stage.world.pace().extend(&permit, &stage.rules).await.expect("extending is answered"));
    assert_eq!(stage.sight().await.in_flight, 0);
}

pub async fn a_permit_is_given_back_once(stage: Stage) {
    let permit = stage.go().await;
    assert_eq!(stage.leave(&permit, Verdict::AtFault(None)).await, Left::Done);
    for _ in 0..10 {
        assert_eq!(stage.leave(&permit, Verdict::AtFault(None)).await, Left::NotHeld);
    }
    assert_eq!(stage.sight().await.failures, 1);
}

pub async fn a_permit_of_nobody_changes_nothing(stage: Stage) {
    let permit = stage.go().await;
    let pace = stage.world.pace();
    let elsewhere = Permit { destination: destination("https://b.example:443"), ..permit.clone() };
    for wrong in [Permit { id: stage.id(0), ..permit.clone() }, elsewhere] {
        for _ in 0..5 {
            let left = pace.leave(&wrong, Verdict::AtFault(Some(SECOND)), &stage.rules).await;
            assert_eq!(left.expect("leaving is answered"), Left::NotHeld);
        }
        assert!(!pace.extend(&wrong, &stage.rules).await.expect("extending is answered"));
    }
    let sight = stage.sight().await;
    assert_eq!((sight.in_flight, sight.failures, sight.opens_in), (1, 0, None));
}

pub async fn destinations_do_not_touch_each_other(mut stage: Stage) {
    stage.open().await;
    let others = ["https://a.example:444", "http://a.example:443", "https://b.example:443"];
    for other in others.map(destination) {
        stage.to = other;
        for _ in 0..4 {
            stage.go().await;
        }
        assert_eq!(stage.wait().await.1, Why::Busy);
    }
    stage.to = Destination::new("https://a.example:443").expect("a destination");
    assert_eq!(stage.wait().await.1, Why::Open);
}

pub async fn a_burst_goes_at_once_and_then_the_rate_holds(mut stage: Stage) {
    stage.rules = Rules { rate: 10, burst: 3, ..stage.rules };
    for _ in 0..3 {
        stage.call(Verdict::Works).await;
    }
    let begun = stage.wait().await;
    assert_eq!(begun, (SECOND / 10, Why::Rate));
    let mut stage = Stage::new(stage.harness.clone()).await;
    stage.rules = Rules { rate: 10, burst: 3, in_flight: 1_000, ..stage.rules };
    // Whoever waits comes when it was told to: ten go in each second.
    let mut waiting: Vec<(Duration, haul_core::JobId)> = Vec::new();
    for _ in 0..33 {
        let job = stage.job();
        match stage.enter_as(job).await {
            haul_core::pace::Enter::Go(_) => {}
            haul_core::pace::Enter::Wait(time, _) => waiting.push((time, job)),
        }
    }
    assert_eq!(waiting.len(), 30);
    let mut passed = Duration::ZERO;
    for (at, job) in waiting {
        stage.pass(at - passed);
        passed = at;
        super::stage::go(stage.enter_as(job).await);
    }
    assert_eq!(passed, SECOND * 3);
}

pub async fn a_rate_that_was_not_used_is_not_saved_beyond_the_burst(mut stage: Stage) {
    stage.rules = Rules { rate: 10, burst: 2, ..stage.rules };
    stage.call(Verdict::Works).await;
    stage.pass(SECOND * 60);
    stage.call(Verdict::Works).await;
    stage.call(Verdict::Works).await;
    assert_eq!(stage.wait().await.1, Why::Rate);
}
