//! Many who enter at once: no more get in than may.

use super::stage::{SECOND, Stage};
use haul_core::pace::{Enter, Entry};

async fn entered_at_once(stage: &Stage, count: usize) -> usize {
    let entries = (0..count).map(|_| {
        let (pace, to, rules) = (stage.world.pace(), stage.to.clone(), stage.rules);
        let (job, permit) = (stage.job(), stage.id(0x8000));
        async move {
            let entry = Entry { destination: &to, job, permit, rules: &rules };
            pace.enter(&entry).await.expect("an entry is answered")
        }
    });
    let answers = crate::at_once(entries).await;
    answers.iter().filter(|answer| matches!(answer, Enter::Go(_))).count()
}

pub async fn of_many_at_once_only_so_many_enter(stage: Stage) {
    assert_eq!(entered_at_once(&stage, 64).await, 4);
}

pub async fn of_many_probes_at_once_one_is_let_through(stage: Stage) {
    stage.open().await;
    stage.pass(SECOND);
    assert_eq!(entered_at_once(&stage, 64).await, 1);
}
