//! Leases: who holds one, and what becomes of it.

use crate::world::{LONG, Worker, connect, eventually, from_now, ids, kind, lease, queue_on, shared, ticket, tickets};
use haul_core::{
    Dispatch,
    dispatch::{LeaseToken, Next, Settlement},
};
use std::time::Duration;

#[tokio::test]
async fn a_wrong_token_neither_extends_nor_settles() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    dispatch.enqueue(&queue, &tickets(&a, 2)).await.unwrap();
    let leases = Worker::new(std::slice::from_ref(&a)).take(&dispatch, &queue, 10).await;
    let mut foreign = leases.clone();
    foreign[0].token = LeaseToken::random();
    assert_eq!(dispatch.extend(&queue, &foreign, LONG).await.unwrap(), [false, true]);
    for next in [Next::Done, Next::Release, Next::Park(from_now(LONG))] {
        let settlement = Settlement { lease: foreign[0].clone(), next };
        dispatch.settle(&queue, &[settlement]).await.unwrap();
    }
    let asked: Vec<_> = leases.iter().map(|lease| (a.clone(), lease.id)).collect();
    assert_eq!(dispatch.leased(&queue, &asked).await.unwrap(), [true, true]);
    let stats = dispatch.stats(&queue, &[a]).await.unwrap();
    assert_eq!((stats.ready, stats.delayed, stats.leased), (0, 0, 2));
}

#[tokio::test]
async fn an_expired_lease_comes_back_first_as_a_suspect_and_stays_one_when_released() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    let lost = ticket(&a);
    dispatch.enqueue(&queue, std::slice::from_ref(&lost)).await.unwrap();
    let dead = Worker { lease: Duration::from_millis(100), ..Worker::new(std::slice::from_ref(&a)) };
    let stale = dead.take(&dispatch, &queue, 10).await;
    dispatch.enqueue(&queue, &tickets(&a, 3)).await.unwrap();
    let worker = Worker::new(std::slice::from_ref(&a));
    let (claim, token) = eventually(async || {
        let (claim, token) = worker.claim(&dispatch, &queue, 1).await;
        let leases =
            claim.tickets.iter().map(|claimed| Settlement { lease: lease(claimed, token), next: Next::Release });
        if claim.tickets[0].suspect {
            return Some((claim, token));
        }
        dispatch.settle(&queue, &leases.collect::<Vec<_>>()).await.unwrap();
        None
    })
    .await;
    assert_eq!(ids(&claim), [lost.id]);
    assert_eq!(dispatch.extend(&queue, &stale, LONG).await.unwrap(), [false], "the first holder has lost it");
    let release = Settlement { lease: lease(&claim.tickets[0], token), next: Next::Release };
    dispatch.settle(&queue, &[release]).await.unwrap();
    let (claim, token) = worker.claim(&dispatch, &queue, 1).await;
    assert!(claim.tickets[0].id == lost.id && claim.tickets[0].suspect, "it has not been tried yet");
    let tried = Settlement { lease: lease(&claim.tickets[0], token), next: Next::Park(from_now(Duration::ZERO)) };
    dispatch.settle(&queue, &[tried]).await.unwrap();
    let (claim, _) = worker.claim(&dispatch, &queue, 10).await;
    assert_eq!(claim.tickets.len(), 4);
    assert!(claim.tickets.iter().all(|claimed| !claimed.suspect), "an attempt that ended clears it");
}

#[tokio::test]
async fn released_tickets_stand_in_front_in_their_order() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    let all = tickets(&a, 2_500);
    dispatch.enqueue(&queue, &all).await.unwrap();
    let worker = Worker::new(&[a]);
    let leases = worker.take(&dispatch, &queue, 900).await;
    let released: Vec<_> = leases.into_iter().map(|lease| Settlement { lease, next: Next::Release }).collect();
    dispatch.settle(&queue, &released).await.unwrap();
    let (claim, _) = worker.claim(&dispatch, &queue, 1_000).await;
    let expected: Vec<_> = all[..1_000].iter().map(|ticket| ticket.id).collect();
    assert_eq!(ids(&claim), expected);
}

#[tokio::test]
async fn a_leased_job_is_not_enqueued_again() {
    let dispatch = connect(&shared().url()).await;
    let a = kind("a");
    let queue = queue_on(&dispatch, std::slice::from_ref(&a)).await;
    let mut all = tickets(&a, 2);
    dispatch.enqueue(&queue, &all).await.unwrap();
    let worker = Worker::new(std::slice::from_ref(&a));
    let leases = worker.take(&dispatch, &queue, 10).await;
    all[0].due = Some(from_now(LONG));
    dispatch.enqueue(&queue, &all).await.unwrap();
    let stats = dispatch.stats(&queue, std::slice::from_ref(&a)).await.unwrap();
    assert_eq!((stats.ready, stats.delayed, stats.leased), (0, 0, 2));
    let mut running = dispatch.running(&queue, &[a], 10).await.unwrap();
    running.sort_unstable();
    assert_eq!(running, leases.iter().map(|lease| lease.id).collect::<Vec<_>>());
}
