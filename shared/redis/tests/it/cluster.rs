//! The same on a real cluster of three masters.

use crate::world::{LONG, Worker, connect, eventually, ids, is_woken, kind, queue_on, ticket, tickets};
use haul_core::{
    Dispatch, QueueSettings,
    dispatch::{DispatchError, Next, Settlement},
};
use haul_redis::{RedisDispatch, Timeouts};
use haul_testkit::redis::Cluster;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn queues_on_every_node_work_and_wake_ups_cross_nodes() {
    let cluster = Cluster::start(3, 0).unwrap();
    let (submitter, dispatch) = (connect(&cluster.urls()).await, connect(&cluster.servers[2].url()).await);
    let kinds = [kind("a"), kind("b")];
    let worker = Worker::new(&kinds);
    let mut queues = Vec::new();
    for _ in 0..30 {
        let queue = queue_on(&dispatch, &kinds).await;
        assert!(worker.claim(&dispatch, &queue, 10).await.0.tickets.is_empty());
        let all: Vec<_> = kinds.iter().flat_map(|kind| tickets(kind, 5)).collect();
        submitter.enqueue(&queue, &all).await.unwrap();
        assert!(is_woken(&dispatch, &worker, &queue, Duration::from_secs(20)).await);
        let leases = worker.take(&dispatch, &queue, 100).await;
        assert_eq!(leases.len(), 10);
        assert_eq!(dispatch.extend(&queue, &leases, LONG).await.unwrap(), [true; 10]);
        let done = leases.into_iter().map(|lease| Settlement { lease, next: Next::Done });
        dispatch.settle(&queue, &done.collect::<Vec<_>>()).await.unwrap();
        queues.push(queue);
    }
    let used = cluster.servers.iter().filter(|server| server.cli(&["DBSIZE"]).unwrap() != "0").count();
    assert_eq!(used, 3, "thirty queues are spread over the nodes");
    assert!(dispatch.lost(&queues).await.unwrap().is_empty());

    cluster.servers[1].cli(&["FLUSHALL"]).unwrap();
    let lost = dispatch.lost(&queues).await.unwrap();
    assert!(!lost.is_empty() && lost.len() < queues.len(), "the loss of one node is the loss of its queues");

    cluster.servers[0].cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).unwrap();
    let refused = RedisDispatch::connect(&cluster.servers[1].url().as_str().into(), Timeouts::default()).await;
    assert!(matches!(refused, Err(DispatchError::Misconfigured(_))), "every node is looked at: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_a_loss_of_that_nodes_queues_and_the_others_go_on() {
    let mut cluster = Cluster::start(3, 1).unwrap();
    let dispatch = connect(&cluster.urls()).await;
    let a = kind("a");
    let kinds = std::slice::from_ref(&a);
    let mut queues = Vec::new();
    for _ in 0..20 {
        let queue = queue_on(&dispatch, kinds).await;
        dispatch.enqueue(&queue, &[ticket(&a)]).await.unwrap();
        queues.push(queue);
    }
    cluster.servers[0].kill().unwrap();
    let lost = eventually(async || {
        let lost = dispatch.lost(&queues).await.ok()?;
        (!lost.is_empty()).then_some(lost)
    })
    .await;
    assert!(lost.len() < queues.len());
    let worker = Worker::new(kinds);
    for queue in &queues {
        if lost.contains(queue) {
            let token = dispatch
                .begin_rebuild(queue, kinds, &QueueSettings::default(), LONG)
                .await
                .unwrap()
                .expect("nobody else rebuilds");
            assert!(dispatch.rebuild(queue, token, &[ticket(&a)], LONG).await.unwrap());
            assert!(dispatch.finish_rebuild(queue, token, &QueueSettings::default()).await.unwrap());
        }
        let (claim, _) = worker.claim(&dispatch, queue, 10).await;
        assert_eq!(ids(&claim).len(), 1);
    }
    assert!(dispatch.lost(&queues).await.unwrap().is_empty());
}
