//! What operators see and do, and what is left after a loss.

use super::stage::{SECOND, Stage, destination};
use haul_core::pace::{Breaker, Destination, Left, Verdict, Why};
use std::time::Duration;

pub async fn nothing_is_shown_of_nobody(stage: Stage) {
    assert!(stage.world.pace().list(100).await.expect("destinations are listed").is_empty());
}

pub async fn a_destination_shows_what_is_known_of_it(stage: Stage) {
    let permit = stage.go().await;
    let sight = stage.sight().await;
    assert_eq!((sight.breaker, sight.failures, sight.in_flight, sight.waiting), (Breaker::Closed, 0, 1, 0));
    assert_eq!(sight.opens_in, None);
    stage.open().await;
    stage.wait().await;
    stage.wait().await;
    let sight = stage.sight().await;
    assert_eq!((sight.breaker, sight.failures, sight.in_flight, sight.waiting), (Breaker::Open, 3, 1, 2));
    assert_eq!(sight.opens_in, Some(SECOND));
    stage.leave(&permit, Verdict::Unknown).await;
    stage.pass(SECOND);
    stage.go().await;
    let sight = stage.sight().await;
    assert_eq!((sight.breaker, sight.in_flight, sight.opens_in), (Breaker::HalfOpen, 1, None));
}

pub async fn a_destination_shows_since_when_its_breaker_is_as_it_is(stage: Stage) {
    let unchanged_for = async || stage.sight().await.unchanged_for;
    stage.call(Verdict::Works).await;
    stage.pass(SECOND * 3);
    assert_eq!(unchanged_for().await, SECOND * 3, "closed since it was met");
    stage.open().await;
    assert_eq!(unchanged_for().await, Duration::ZERO);
    stage.pass(SECOND / 2);
    stage.wait().await;
    assert_eq!(unchanged_for().await, SECOND / 2, "who waits changes nothing");
    stage.pass(SECOND / 2);
    let probe = stage.go().await;
    assert_eq!(unchanged_for().await, Duration::ZERO, "half-open from the probe on");
    stage.pass(SECOND);
    assert_eq!(stage.leave(&probe, Verdict::Works).await, Left::Changed(Breaker::Closed));
    stage.pass(SECOND * 5);
    assert_eq!(unchanged_for().await, SECOND * 5);
    assert!(stage.world.pace().reset(&stage.to).await.expect("a reset is answered"));
    assert_eq!(unchanged_for().await, Duration::ZERO, "a reset begins anew");
}

pub async fn no_more_are_listed_than_asked_for(mut stage: Stage) {
    for n in 0..5 {
        stage.to = destination(&format!("https://host-{n}.example:443"));
        stage.call(Verdict::Works).await;
    }
    for (limit, listed) in [(0, 0), (3, 3), (100, 5)] {
        assert_eq!(stage.world.pace().list(limit).await.expect("destinations are listed").len(), listed);
    }
}

pub async fn pages_go_by_name_and_show_each_destination_once(mut stage: Stage) {
    let page = async |stage: &Stage, after: Option<&Destination>, limit| {
        let page = stage.world.pace().page(after, limit).await.expect("a page is answered");
        page.into_iter().map(|sight| sight.destination).collect::<Vec<_>>()
    };
    assert_eq!(page(&stage, None, 100).await, []);
    // Not in the order of their names.
    for n in [3, 1, 4, 0, 2] {
        stage.to = destination(&format!("https://host-{n}.example:443"));
        stage.call(Verdict::Works).await;
    }
    let all: Vec<_> = (0..5).map(|n| destination(&format!("https://host-{n}.example:443"))).collect();
    assert_eq!(page(&stage, None, 0).await, []);
    assert_eq!(page(&stage, None, 100).await, all);
    assert_eq!(page(&stage, None, 2).await, all[..2]);
    assert_eq!(page(&stage, Some(&all[1]), 2).await, all[2..4]);
    assert_eq!(page(&stage, Some(&all[3]), 2).await, all[4..]);
    assert_eq!(page(&stage, Some(&all[4]), 2).await, []);
    let between = destination("https://host-1.example:444");
    assert_eq!(page(&stage, Some(&between), 1).await, all[2..3], "whom a page ends with need not be known any longer");
}

pub async fn one_destination_is_looked_up_as_it_is_listed(mut stage: Stage) {
    let look = async |stage: &Stage| stage.world.pace().look(&stage.to).await.expect("a look is answered");
    assert_eq!(look(&stage).await, None);
    let permit = stage.go().await;
    stage.open().await;
    stage.wait().await;
    let seen = look(&stage).await.expect("it is known");
    assert_eq!(seen, stage.sight().await);
    assert_eq!((seen.breaker, seen.failures, seen.in_flight, seen.waiting), (Breaker::Open, 3, 1, 1));
    assert_eq!(stage.world.pace().page(None, 10).await.expect("a page is answered"), [seen]);
    stage.leave(&permit, Verdict::Unknown).await;
    stage.to = destination("https://nobody.example:443");
    assert_eq!(look(&stage).await, None, "looking makes nobody known");
    assert_eq!(look(&stage).await, None);
}

pub async fn a_reset_closes_the_breaker_and_keeps_what_is_in_flight(stage: Stage) {
    let old = stage.go().await;
    stage.open().await;
    for _ in 0..10 {
        stage.wait().await;
    }
    assert!(stage.world.pace().reset(&stage.to).await.expect("a reset is answered"));
    let sight = stage.sight().await;
    assert_eq!((sight.breaker, sight.failures, sight.in_flight, sight.waiting), (Breaker::Closed, 0, 1, 0));
    assert_eq!(stage.leave(&old, Verdict::AtFault(None)).await, Left::Done, "it is older than the reset");
    assert_eq!(stage.sight().await.failures, 0);
    for _ in 0..4 {
        stage.go().await;
    }
    assert_eq!(stage.wait().await.1, Why::Busy);
}

pub async fn what_is_unknown_cannot_be_reset(stage: Stage) {
    assert!(!stage.world.pace().reset(&stage.to).await.expect("a reset is answered"));
    assert!(stage.world.pace().list(100).await.expect("destinations are listed").is_empty());
}

pub async fn a_loss_forgets_counts_and_nothing_else(stage: Stage) {
    let old = stage.go().await;
    stage.open().await;
    stage.wait().await;
    stage.world.lose().await;
    let permit = stage.go().await;
    assert_eq!(stage.leave(&old, Verdict::AtFault(None)).await, Left::NotHeld);
    assert_eq!(stage.leave(&permit, Verdict::Works).await, Left::Done);
}
