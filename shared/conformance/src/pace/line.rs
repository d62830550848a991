//! The line: who comes when.

use super::stage::{SECOND, Stage, go, wait};
use haul_core::pace::{
    Rules, Verdict, Why,
    machine::{LATE_MAX, LINE_MAX},
};
use std::time::Duration;

pub async fn those_who_wait_come_one_after_the_other(stage: Stage) {
    stage.open().await;
    let mut times = Vec::new();
    for _ in 0..100 {
        times.push(stage.wait().await.0);
    }
    let spaced = times.windows(2).all(|pair| pair[1] == pair[0] + SECOND / 100);
    assert!(times[0] == SECOND && spaced, "a hundred per second: {times:?}");
}

pub async fn whoever_asks_too_early_keeps_its_place(stage: Stage) {
    stage.open().await;
    let (early, late) = (stage.job(), stage.job());
    let (first, _) = wait(stage.enter_as(early).await);
    let (second, _) = wait(stage.enter_as(late).await);
    stage.pass(SECOND / 2);
    for _ in 0..3 {
        assert_eq!(wait(stage.enter_as(late).await).0, second - SECOND / 2);
        assert_eq!(wait(stage.enter_as(early).await).0, first - SECOND / 2);
    }
    assert_eq!(stage.sight().await.waiting, 2);
}

pub async fn whoever_comes_in_time_goes_before_a_newcomer(mut stage: Stage) {
    stage.rules = Rules { rate: 1, burst: 1, ..stage.rules };
    stage.call(Verdict::Works).await;
    let (one, other) = (stage.job(), stage.job());
    assert_eq!(wait(stage.enter_as(one).await).0, SECOND);
    assert_eq!(wait(stage.enter_as(other).await).0, SECOND * 2);
    stage.pass(SECOND);
    let (time, why) = stage.wait().await;
    assert_eq!((time, why), (SECOND * 2, Why::Line), "the token is for whoever waited for it");
    go(stage.enter_as(one).await);
    stage.pass(SECOND);
    go(stage.enter_as(other).await);
}

pub async fn a_newcomer_passes_the_line_where_there_is_plenty_of_room(stage: Stage) {
    stage.open().await;
    for _ in 0..50 {
        stage.wait().await;
    }
    stage.pass(SECOND);
    stage.call(Verdict::Works).await;
    // Half of the places are for newcomers, the others for those who wait.
    stage.go().await;
    stage.go().await;
    assert_eq!(stage.wait().await.1, Why::Line);
}

pub async fn beyond_its_length_times_are_drawn_by_chance(mut stage: Stage) {
    stage.rules = Rules { returns: 1, ..stage.rules };
    stage.open().await;
    let mut last = Duration::ZERO;
    for _ in 0..=LINE_MAX.as_secs() {
        let (time, _) = stage.wait().await;
        assert!(time > last);
        last = time;
    }
    assert_eq!(last, LINE_MAX + SECOND);
    let mut drawn = Vec::new();
    for chance in [0, 0x7fff, 0xffff] {
        let permit = stage.id(chance);
        let entry = haul_core::pace::Entry { destination: &stage.to, job: stage.job(), permit, rules: &stage.rules };
        drawn.push(wait(stage.world.pace().enter(&entry).await.expect("an entry is answered")).0);
    }
    assert!(drawn[0] >= LINE_MAX / 2 && drawn[0] < drawn[1] && drawn[1] < drawn[2], "{drawn:?}");
    assert!(drawn[2] <= LINE_MAX + SECOND);
    assert_eq!(stage.sight().await.waiting, LINE_MAX.as_secs() + 1, "their places are not kept");
}

pub async fn whoever_does_not_come_loses_its_place(stage: Stage) {
    stage.open().await;
    stage.wait().await;
    stage.pass(SECOND + LATE_MAX);
    stage.go().await;
    assert_eq!(stage.sight().await.waiting, 0);
}

pub async fn waits_for_a_free_place_grow_with_the_silence(stage: Stage) {
    for _ in 0..4 {
        stage.go().await;
    }
    let job = stage.job();
    let (mut asked, mut passed) = (0, Duration::ZERO);
    while passed < SECOND * 12 {
        let (time, why) = wait(stage.enter_as(job).await);
        assert_eq!(why, Why::Busy);
        stage.pass(time);
        (asked, passed) = (asked + 1, passed + time);
    }
    assert!((5..=15).contains(&asked), "asked {asked} times in {passed:?}");
}
