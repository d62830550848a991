//! Audits on demand.

use crate::world::{World, queue_ref};
use haul_core::{Dispatch, Kind, QueueSettings};
use serde_json::json;
use std::{sync::atomic::Ordering, time::Duration};

#[tokio::test]
async fn an_audit_tells_what_it_found_by_queue_and_heals_it() {
    let world = World::new().await;
    let id = world.submit(json!({"kind": "echo", "payload": 1, "queue": "mail"})).await;
    let report = world.post("/v1/audit").await.expect(200);
    assert_eq!((&report["findings"], &report["queues"][0]["compared"]), (&json!(0), &json!(false)), "it is lost");
    // A rebuild that forgets the job, two minutes ago.
    world.rebuild_without_tickets("mail").await;
    world.clock.sync(world.clock.now().plus(Duration::from_secs(120)), Duration::ZERO);
    let report = world.post("/v1/audit").await.expect(200);
    assert_eq!((&report["complete"], &report["findings"]), (&json!(true), &json!(1)));
    let none = json!({"count": 0, "examples": []});
    let expected = json!({
        "name": "mail", "compared": true, "jobs": 1, "tickets": 0, "leftover": 0,
        "unreachable": {"count": 1, "examples": [id]}, "abandoned": none, "settled": none,
    });
    assert_eq!(report["queues"], json!([expected]));
    assert_eq!(world.claim("mail", 1).await, [crate::world::job_id(&id)]);
}

#[tokio::test]
async fn of_two_audits_at_once_one_is_refused_and_may_be_sent_again() {
    let world = World::new().await;
    world.submit(json!({"kind": "echo", "payload": 1, "queue": "mail"})).await;
    world.rebuild_without_tickets("mail").await;
    world.clock.sync(world.clock.now().plus(Duration::from_secs(120)), Duration::ZERO);
    let (one, other) = tokio::join!(world.post("/v1/audit"), world.post("/v1/audit"));
    let (served, refused) = if one.status == 200 { (one, other) } else { (other, one) };
    assert_eq!(served.expect(200)["findings"], json!(1));
    assert!(refused.header("retry-after").is_some());
    refused.problem(409, "audit-under-way");
}

#[tokio::test]
async fn without_a_store_there_is_no_report() {
    let world = World::new().await;
    world.submit(json!({"kind": "echo", "payload": 1})).await;
    world.dispatch.down.store(true, Ordering::Relaxed);
    world.post("/v1/audit").await.problem(503, "dispatch-unavailable");
    world.post("/v1/audit?deep=yes").await.problem(400, "invalid-query");
}

impl World {
    async fn rebuild_without_tickets(&self, queue: &str) {
        let (queue, kinds, hold) = (queue_ref(queue), [Kind::new("echo").unwrap()], Duration::from_secs(60));
        let settings = QueueSettings::default();
        // The ticket of the submit is on its way.
        crate::world::until("the ticket", async || self.dispatch.enqueued.load(Ordering::Relaxed) == 1).await;
        let token = self.dispatch.begin_rebuild(&queue, &kinds, &settings, hold).await.unwrap().unwrap();
        assert!(self.dispatch.finish_rebuild(&queue, token, &settings).await.unwrap());
    }
}
