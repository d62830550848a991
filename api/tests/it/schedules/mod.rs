//! Schedules over HTTP.

mod bad_input;
mod change;
mod life;
mod lists;
mod preview;

use crate::{client::Answer, world::World};
use haul_core::{
    Job, Schedules, Tenant,
    schedules::{Move, Schedule, ScheduleRef, Step, Stepped},
};
use haul_schedule::{Place, Progress, ScheduleSpec};
use serde_json::{Value, json};

/// An hourly schedule of this name.
fn hourly(name: &str) -> Value {
    json!({"name": name, "cron": "0 * * * *", "job": {"kind": "echo", "payload": {"a": 1}}})
}

/// The definition of a schedule, as a change takes it.
fn definition(schedule: Value) -> Value {
    let mut schedule = schedule;
    schedule.as_object_mut().unwrap().remove("name");
    schedule
}

impl World {
    /// Creates a schedule; gives the answer.
    async fn create(&self, body: &Value) -> Answer {
        let answer = self.post_json("/v1/schedules", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer
    }

    async fn schedule(&self, name: &str) -> Value {
        self.get(&format!("/v1/schedules/{name}")).await.expect(200)
    }

    async fn put(&self, name: &str, if_match: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json"), ("if-match", if_match)];
        self.send(&format!("PUT /v1/schedules/{name}"), &headers, body.to_string()).await
    }

    async fn stored(&self, name: &str) -> Schedule {
        let key = ScheduleRef { tenant: Tenant::default(), name: name.parse().unwrap() };
        Schedules::get(&*self.ledger, &key).await.unwrap().expect("it is stored")
    }

    /// The step that a scheduler would take past the next tick of a schedule, though its time has not come.
    async fn step(&self, name: &str) -> Step {
        let stored = self.stored(name).await;
        let schedule = serde_json::from_str::<ScheduleSpec>(&stored.definition.spec).unwrap().validate().unwrap();
        let place: Place = stored.position.fired_through.parse().unwrap();
        let progress = Progress { fired_through: place.through, runs: stored.runs };
        let next = schedule.next(&place.through).unwrap();
        let due = schedule.due("", &progress, next.at);
        let mut to = stored.position.clone();
        to.fired_through = Place { through: due.progress.fired_through, waiting: None }.to_string();
        to.next_at = due.next.map(|tick| tick.at);
        let template = haul_core::JobTemplate::decode(&stored.definition.template).unwrap();
        let id = haul_core::IdMint::new(self.clock.clone()).next();
        let job: Job = template.job(id, &stored.key.tenant, name, &next.name.to_string(), id.created_at());
        let moved = Move { from: stored.position.fired_through.clone(), to };
        Step { schedule: stored.id, version: stored.version, moved, jobs: vec![job], problem: None }
    }

    async fn fire(&self, name: &str) -> Step {
        let step = self.step(name).await;
        let fired = Schedules::fire(&*self.ledger, std::slice::from_ref(&step), self.process, &[]).await.unwrap();
        assert_eq!(fired.steps, [Stepped::Done]);
        step
    }
}

fn etag(answer: &Answer) -> String {
    answer.header("etag").expect("an ETag").to_owned()
}
