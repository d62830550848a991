//! Payments, over HTTP.

use crate::{
    client::Answer,
    world::{World, until},
};
use async_trait::async_trait;
use haul_core::{
    Tenant, Timestamp,
    payment::{
        Answer as Told, Assignment, Ended, ListOf, LookUp, Object, ObjectPage, ObjectState, Operation, Payment,
        Provider, ProviderRequest, Rules, drive,
    },
};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

const CHARGE: &str = r#"{"amount":1050,"currency":"EUR","source":"pm_card_visa","metadata":{"order":"7"}}"#;

async fn post(world: &World, path: &str, key: &str, body: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    world.send(&format!("POST {path}"), &headers, body).await
}

/// A provider that does whatever it is asked to.
struct Willing;

#[async_trait]
impl Provider for Willing {
    fn request(&self, payment: &Payment, operation: &Operation) -> ProviderRequest {
        let path = format!("{}/{}", payment.id, operation.number);
        ProviderRequest { path, body: operation.amount.to_string().into() }
    }
    async fn send(&self, _: &str, request: &ProviderRequest) -> Told {
        let (payment, operation) = request.path.split_once('/').unwrap();
        Told::Done(Object {
            id: format!("object-{operation}"),
            payment: payment.parse().ok(),
            operation: operation.parse().ok(),
            state: ObjectState::Done,
            amount: std::str::from_utf8(&request.body).unwrap().parse().unwrap(),
            currency: "eur".to_owned(),
        })
    }
    async fn look_up(&self, _: &Payment, _: &Operation) -> LookUp {
        LookUp::Absent
    }
    async fn list(&self, _: ListOf, _: Timestamp, _: Option<&str>) -> Result<ObjectPage, String> {
        Ok(ObjectPage::default())
    }
}

/// Does what the jobs of a payment would.
async fn run(world: &World, payment: &Value) {
    for operation in payment["operations"].as_array().unwrap() {
        if operation["state"] == "pending" {
            let number = operation["number"].as_u64().unwrap().try_into().unwrap();
            let assignment =
                Assignment { payment: payment["id"].as_str().unwrap().parse().unwrap(), operation: number };
            let job = crate::world::job_id(operation["job"].as_str().unwrap());
            let rules = Rules::default();
            let ended = drive(&*world.books, &Willing, &rules, &Tenant::default(), assignment, job).await.unwrap();
            assert!(matches!(ended, Ended::Succeeded { .. }), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn a_payment_is_made_with_its_job_once_per_key() {
    let world = World::new().await;
    let first = post(&world, "/v1/payments", "k", CHARGE).await;
    let payment = first.expect(201);
    assert_eq!(
        (&payment["state"], &payment["amount"], &payment["currency"]),
        (&json!("pending"), &json!(1_050), &json!("EUR"))
    );
    let again = post(&world, "/v1/payments", "k", CHARGE).await;
    assert_eq!(
        (again.header("idempotency-replayed"), again.header("location")),
        (Some("true"), first.header("location"))
    );
    assert_eq!(again.expect(201)["id"], payment["id"]);
    post(&world, "/v1/payments", "k", &CHARGE.replace("1050", "1051")).await.problem(422, "idempotency-key-reused");

    let job = world.get(&format!("/v1/jobs/{}", payment["operations"][0]["job"].as_str().unwrap())).await.expect(200);
    assert_eq!((&job["kind"], &job["payload"]["payment"]), (&json!("payment.charge"), &payment["id"]));
    until("one ticket", async || world.dispatch.enqueued.load(Ordering::Relaxed) == 1).await;
    world.end().await;
}

#[tokio::test]
async fn what_was_taken_is_given_back_once_and_never_more() {
    let world = World::new().await;
    let held = CHARGE.replace("\"source\"", "\"capture\":false,\"source\"");
    let payment = post(&world, "/v1/payments", "k", &held).await.expect(201);
    let path = format!("/v1/payments/{}", payment["id"].as_str().unwrap());
    let (capture, refunds) = (format!("{path}/capture"), format!("{path}/refunds"));
    post(&world, &capture, "early", "").await.problem(409, "payment-state");
    run(&world, &payment).await;
    post(&world, &refunds, "early", "").await.problem(409, "payment-state");

    let captured = post(&world, &capture, "c", r#"{"amount":1000}"#).await.expect(201);
    post(&world, &capture, "c2", "").await.problem(409, "payment-state");
    run(&world, &captured).await;
    post(&world, &refunds, "r", r#"{"amount":1001}"#).await.problem(422, "invalid-request");
    let refunded = post(&world, &refunds, "r", r#"{"amount":400}"#).await.expect(201);
    assert_eq!(
        post(&world, &refunds, "r", r#"{"amount":400}"#).await.expect(201)["operations"].as_array().unwrap().len(),
        3
    );
    post(&world, &refunds, "r", r#"{"amount":401}"#).await.problem(422, "idempotency-key-reused");
    post(&world, &refunds, "r2", r#"{"amount":601}"#).await.problem(422, "invalid-request");
    run(&world, &refunded).await;

    let payment = world.get(&path).await.expect(200);
    assert_eq!(
        (&payment["state"], &payment["captured"], &payment["refunded"]),
        (&json!("refunded"), &json!(1_000), &json!(400))
    );
    assert_eq!(payment["postings"].as_array().unwrap().len(), 2);
    let balances = world.get("/v1/payments/balances").await.expect(200);
    let receivable = json!({"account": "provider:receivable", "currency": "EUR", "amount": 600});
    assert!(balances["data"].as_array().unwrap().contains(&receivable), "{balances}");
    world.end().await;
}

#[tokio::test]
async fn card_numbers_are_refused_unechoed_however_they_are_spelled() {
    let world = World::new().await;
    for body in [
        CHARGE.replace("pm_card_visa", "4242424242424242"),
        CHARGE.replace("pm_card_visa", r"\u00342424242 42424242"),
        CHARGE.replace("\"7\"", "\"4242-4242-4242-4242\""),
        CHARGE.replace("order", r"\u0034242424242424242"),
        CHARGE.replace("\"source\"", "\"number\":4242424242424242,\"source\""),
    ] {
        let answer = post(&world, "/v1/payments", "k", &body).await;
        assert!(!answer.text().contains("4242"), "{}", answer.text());
        answer.problem(422, "card-number");
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_payment_is_told_by_its_place() {
    let world = World::new().await;
    for (body, pointer) in [
        (CHARGE.replace("1050", "10.5"), "/amount"),
        (CHARGE.replace("1050", "1e3"), "/amount"),
        (CHARGE.replace("1050", "\"10\""), "/amount"),
        (CHARGE.replace("1050", "0"), "/amount"),
        (CHARGE.replace("1050", "-1"), "/amount"),
        (CHARGE.replace("1050", "1000000000000"), "/amount"),
        (CHARGE.replace("EUR", "eur"), "/currency"),
        (CHARGE.replace("pm_card_visa", ""), "/source"),
        (CHARGE.replace("order", "haul_x"), "/metadata/haul_x"),
        (CHARGE.replace("\"source\"", "\"card\":{},\"source\""), "/card"),
        (r#"{"currency":"EUR","source":"pm"}"#.to_owned(), "/amount"),
    ] {
        let answer = post(&world, "/v1/payments", "k", &body).await;
        assert_eq!((answer.status, &answer.expect(422)["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    let headers = [("content-type", "application/json")];
    world.send("POST /v1/payments", &headers, CHARGE).await.problem(400, "invalid-header");
    world.get("/v1/payments/nothing").await.problem(400, "invalid-path");
    world.get("/v1/payments/01890a5d-ac96-774b-bcce-b302099a8057").await.problem(404, "payment-not-found");
    world.end().await;
}

#[tokio::test]
async fn payments_are_listed_page_by_page_and_by_state() {
    let world = World::new().await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(post(&world, "/v1/payments", &format!("k{n}"), CHARGE).await.expect(201));
    }
    run(&world, &made[2]).await;
    let first = world.get("/v1/payments?limit=3").await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("/v1/payments?limit=3&cursor={cursor}")).await.expect(200);
    let pages = [&first, &rest].into_iter().flat_map(|page| page["data"].as_array().unwrap());
    let ids: Vec<_> = pages.map(|payment| &payment["id"]).collect();
    assert_eq!(ids, made.iter().rev().map(|payment| &payment["id"]).collect::<Vec<_>>());
    assert_eq!(rest["has_more"], false);
    let done = world.get("/v1/payments?state=succeeded").await.expect(200);
    assert_eq!((done["data"].as_array().unwrap().len(), &done["data"][0]["id"]), (1, &made[2]["id"]));
    world.get("/v1/payments?state=paid").await.problem(400, "invalid-query");
    world.end().await;
}

#[tokio::test]
async fn a_cancelled_charge_is_run_again_for_the_same_payment() {
    let world = World::new().await;
    let made = post(&world, "/v1/payments", "k", CHARGE).await.expect(201);
    let job = made["operations"][0]["job"].as_str().unwrap();
    world.send(&format!("POST /v1/jobs/{job}/cancel"), &[], "").await.expect(200);
    let rerun = world.send(&format!("POST /v1/jobs/{job}/rerun"), &[], "").await.expect(201);
    let rerun = crate::world::job_id(rerun["id"].as_str().unwrap());
    let assignment = Assignment { payment: made["id"].as_str().unwrap().parse().unwrap(), operation: 1 };
    let by = async |job| {
        let driven = drive(&*world.books, &Willing, &Rules::default(), &Tenant::default(), assignment, job).await;
        driven.unwrap()
    };
    assert_eq!(by(crate::world::job_id(job)).await, Ended::Cancelled);
    assert!(matches!(by(rerun).await, Ended::Succeeded { .. }));
    world.send(&format!("POST /v1/jobs/{rerun}/cancel"), &[], "").await.problem(409, "payment-under-way");
    world.end().await;
}

#[tokio::test]
async fn a_job_of_a_payment_kind_needs_a_payment() {
    let world = World::new().await;
    let made = post(&world, "/v1/payments", "k", CHARGE).await.expect(201);
    let submit = |kind: &str, payment: &Value, operation: u32| {
        json!({"kind": kind, "payload": {"payment": payment, "operation": operation}}).to_string()
    };
    let unknown = json!("01981f2e-7d3c-7b11-8000-1234567890ab");
    for body in [
        submit("payment.charge", &unknown, 1),
        submit("payment.charge", &made["id"], 2),
        submit("payment.refund", &made["id"], 1),
        submit("payment.charge", &json!(7), 1),
    ] {
        post(&world, "/v1/jobs", "other", &body).await.problem(422, "invalid-request");
    }
    let good = submit("payment.charge", &made["id"], 1);
    post(&world, "/v1/jobs", "other", &good).await.expect(201);

    let good: Value = serde_json::from_str(&good).unwrap();
    let batch = json!({"jobs": [{"kind": "echo", "payload": 1}, good]});
    let answer = world.post_json("/v1/jobs/batch", &batch).await.expect(201);
    assert!(answer["data"][0]["id"].is_string(), "{answer}");
    assert_eq!(answer["data"][1]["error"]["errors"][0]["pointer"], "/jobs/1/kind", "{answer}");
    let schedule = json!({"name": "monthly", "every": "24h", "job": good});
    let problem = world.post_json("/v1/schedules", &schedule).await.problem(422, "invalid-schedule");
    assert_eq!(problem["errors"][0]["pointer"], "/job/kind", "{problem}");
    world.end().await;
}
