use super::{Stage, stage::worker};
use haul_core::{
    ProcessId,
    fleet::{About, Report},
    ledger::ProcessInfo,
};
use std::time::Duration;

pub async fn what_a_process_tells_is_shown_whole(stage: Stage) {
    assert_eq!(stage.alive(10).await, []);
    let before = stage.ledger.now().await.expect("the time");
    let told = worker(7);
    stage.report(&told).await;
    let after = stage.ledger.now().await.expect("the time");
    let members = stage.alive(10).await;
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].report, told);
    assert!((before..=after).contains(&members[0].since), "{members:?}, told between {before} and {after}");
    assert!((before..=after).contains(&members[0].seen), "{members:?}, told between {before} and {after}");
}

pub async fn what_was_told_before_is_forgotten_but_not_since_when(stage: Stage) {
    let first = worker(7);
    stage.report(&first).await;
    let since = stage.alive(10).await[0].since;
    // Long enough for any clock to move.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut second = Report { id: first.id, ..worker(0) };
    second.about.work = None;
    second.role = "up".to_owned();
    stage.report(&second).await;
    let members = stage.alive(10).await;
    assert_eq!(members.len(), 1);
    assert_eq!((&members[0].report, members[0].since), (&second, since));
    assert!(members[0].seen > since);
}

pub async fn a_heartbeat_alone_shows_a_process_and_changes_nothing_that_it_told(stage: Stage) {
    let told = worker(7);
    stage.report(&told).await;
    let silent = ProcessId::random();
    for id in [told.id, silent] {
        let process = ProcessInfo { id, role: "worker".to_owned() };
        stage.ledger.heartbeat(&process).await.expect("a heartbeat is taken");
    }
    let mut shown: Vec<Report> = stage.alive(10).await.into_iter().map(|member| member.report).collect();
    shown.sort_by_key(|report| report.id != told.id);
    assert_eq!(shown, [told, Report { id: silent, role: "worker".to_owned(), about: About::default() }]);
}

pub async fn a_process_that_is_silent_is_gone_until_it_is_heard_of_again(stage: Stage) {
    let (quiet, gone) = (worker(1), worker(2));
    stage.report(&gone).await;
    stage.world.age(Duration::from_secs(10)).await;
    stage.report(&quiet).await;
    assert_eq!(stage.alive(10).await.len(), 2, "10 s are no silence");
    stage.world.age(Duration::from_secs(6)).await;
    let shown: Vec<ProcessId> = stage.alive(10).await.iter().map(|member| member.report.id).collect();
    assert_eq!(shown, [quiet.id]);
    stage.report(&gone).await;
    assert_eq!(stage.alive(10).await.len(), 2);
}

pub async fn pages_come_in_order_and_name_each_process_once(stage: Stage) {
    let mut ids = Vec::new();
    for n in 0..25 {
        let told = worker(n);
        stage.report(&told).await;
        ids.push(told.id);
    }
    ids.sort_unstable();
    for page in [1, 7, 25, 100] {
        let shown: Vec<ProcessId> = stage.alive(page).await.iter().map(|member| member.report.id).collect();
        assert_eq!(shown, ids, "by pages of {page}");
    }
}

pub async fn who_reports_keeps_its_receipts(stage: Stage) {
    let told = worker(1);
    stage.report(&told).await;
    stage.accept(told.id).await;
    stage.world.age(Duration::from_secs(10)).await;
    stage.report(&told).await;
    stage.world.age(Duration::from_secs(10)).await;
    let taken = stage.ledger.take_receipts(ProcessId::random(), 10).await.expect("receipts are looked for");
    assert_eq!(taken, [], "their owner is alive");
}
