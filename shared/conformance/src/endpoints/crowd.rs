//! Many at once: each version is changed by one of them, and limits hold.

use super::stage::{Stage, done, edit_of, keyed, new_endpoint};
use haul_core::{
    Endpoints,
    endpoints::{Changed, Created, Delivered, Disabled, ENDPOINTS_MAX, Edit, NewEndpoint},
    ledger::LedgerError,
};
use std::sync::Arc;

const CALLERS: usize = 8;

pub async fn of_many_edits_of_one_version_one_is_made(stage: Stage) {
    let mut endpoint = stage.created().await;
    for _ in 0..10 {
        let calls = (0..CALLERS).map(|caller| {
            let mut edit = edit_of(&endpoint);
            edit.settings.description = caller.to_string();
            let endpoints = stage.world.endpoints();
            async move { endpoints.edit(&edit).await.expect("an answer comes") }
        });
        let answers = crate::at_once(calls).await;
        let mut made = answers.into_iter().filter(|answer| *answer != Changed::Stale);
        let edited = done(made.next().expect("one edit is made"));
        assert_eq!(made.next(), None, "only one edit is made");
        endpoint = stage.read(&endpoint).await;
        assert_eq!(endpoint, edited);
    }
}

async fn create_patiently(endpoints: Arc<dyn Endpoints>, new: NewEndpoint) -> Created {
    for _ in 0..20 {
        match endpoints.create(&new).await {
            Err(LedgerError::Contended(_)) => {}
            answer => return answer.expect("no error surfaces but one of contention"),
        }
    }
    panic!("an endpoint was not created in twenty calls");
}

pub async fn many_who_create_at_once_stay_within_the_limit(stage: Stage) {
    const FREE: usize = 3;
    for _ in 0..ENDPOINTS_MAX - FREE {
        stage.created().await;
    }
    let calls = (0..4 * CALLERS).map(|_| create_patiently(stage.world.endpoints(), new_endpoint("https://a.example/")));
    let answers = crate::at_once(calls).await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Created::New(_))).count(), FREE);
}

pub async fn of_many_requests_under_one_key_one_creates(stage: Stage) {
    for round in 0..10 {
        let calls = (0..CALLERS).map(|_| create_patiently(stage.world.endpoints(), keyed(&format!("k{round}"), 1)));
        let (mut made, mut replayed) = (Vec::new(), Vec::new());
        for answer in crate::at_once(calls).await {
            match answer {
                Created::New(endpoint) => made.push(endpoint.id),
                Created::Replayed(id) => replayed.push(id),
                refused => panic!("it is not created: {refused:?}"),
            }
        }
        assert_eq!((made.len(), replayed.len()), (1, CALLERS - 1));
        assert!(replayed.iter().all(|id| *id == made[0]));
    }
}

pub async fn of_many_reports_at_once_one_disables(stage: Stage) {
    for _ in 0..10 {
        let endpoint = stage.created().await;
        let calls = (0..CALLERS).map(|_| {
            let (endpoints, endpoint) = (stage.world.endpoints(), endpoint.clone());
            async move {
                let answer = endpoints.report(&endpoint.tenant, endpoint.id, endpoint.version, Delivered::Gone);
                answer.await.expect("a report is taken")
            }
        });
        let answers = crate::at_once(calls).await;
        assert_eq!(answers.iter().filter(|answer| **answer == Some(Disabled::Gone)).count(), 1);
        let read = stage.read(&endpoint).await;
        assert_eq!((read.version, read.disabled), (2, Some(Disabled::Gone)));
        // It can be enabled by one who has read that.
        done(stage.edit(&Edit { disabled: None, ..edit_of(&read) }).await);
    }
}
