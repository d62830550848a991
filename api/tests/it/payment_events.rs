//! Events of the payment provider, over HTTP.

use crate::{
    client::{Answer, send},
    world::{World, job_id, request},
};
use async_trait::async_trait;
use haul_core::{
    Tenant, Timestamp,
    config::Config,
    payment::{
        Answer as Told, Assignment, Ended, ListOf, LookUp, ObjectPage, Operation, Payment, Provider, ProviderRequest,
        Rules, drive,
    },
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = "whsec-of-the-provider";

fn trusting(config: &mut Config) {
    config.payments.webhook_secret = Some(SECRET.to_owned());
}

/// What the provider would sign, so many seconds ago.
fn signed(world: &World, secret: &str, body: &str, seconds_ago: i64) -> String {
    let at = world.clock.now().as_ms() / 1_000 - seconds_ago;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

async fn deliver(world: &World, body: &str, signature: &str) -> Answer {
    let headers = [("content-type", "application/json; charset=utf-8"), ("stripe-signature", signature)];
    world.send("POST /v1/payments/webhook", &headers, body).await
}

async fn tell(world: &World, body: &str) -> Answer {
    deliver(world, body, &signed(world, SECRET, body, 0)).await
}

fn event(id: &str, payment: &Value) -> String {
    let object = json!({"object": "payment_intent", "status": "succeeded", "metadata": {"haul_payment": payment}});
    json!({"id": id, "type": "payment_intent.succeeded", "data": {"object": object}}).to_string()
}

/// A provider that never answers.
struct Silent;

#[async_trait]
impl Provider for Silent {
    fn request(&self, _: &Payment, _: &Operation) -> ProviderRequest {
        ProviderRequest { path: "/".to_owned(), body: "".into() }
    }
    async fn send(&self, _: &str, _: &ProviderRequest) -> Told {
        Told::Unknown { after: None }
    }
    async fn look_up(&self, _: &Payment, _: &Operation) -> LookUp {
        LookUp::Unclear("no answer".to_owned())
    }
    async fn list(&self, _: ListOf, _: Timestamp, _: Option<&str>) -> Result<ObjectPage, String> {
        Ok(ObjectPage::default())
    }
}

/// A payment whose charge was sent, and never answered.
async fn unknown(world: &World) -> Value {
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let body = r#"{"amount":1050,"currency":"EUR","source":"pm_card_visa"}"#;
    let payment = world.send("POST /v1/payments", &headers, body).await.expect(201);
    let assignment = Assignment { payment: payment["id"].as_str().unwrap().parse().unwrap(), operation: 1 };
    let job = job_id(payment["operations"][0]["job"].as_str().unwrap());
    let ended = drive(&*world.books, &Silent, &Rules::default(), &Tenant::default(), assignment, job).await.unwrap();
    assert!(matches!(ended, Ended::Later { .. }), "{ended:?}");
    payment["id"].clone()
}

/// Its jobs, the newest first.
async fn jobs(world: &World) -> Vec<Value> {
    let page = world.get("/v1/jobs?kind=payment.charge&limit=100").await.expect(200);
    page["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_event_sets_nothing_and_has_an_open_operation_looked_up_by_one_job_at_a_time() {
    let world = World::with(trusting).await;
    let payment = unknown(&world).await;
    let received = tell(&world, &event("evt_1", &payment)).await.expect(200);
    assert_eq!(received, json!({"received": true, "duplicate": false}));
    let read = world.get(&format!("/v1/payments/{}", payment.as_str().unwrap())).await.expect(200);
    assert_eq!((&read["state"], &read["postings"]), (&json!("unknown"), &json!([])), "an event is no proof");
    let woken = jobs(&world).await;
    assert_eq!(woken.len(), 2);
    assert_eq!(woken[0]["payload"], json!({"payment": payment, "operation": 1}));

    tell(&world, &event("evt_2", &payment)).await.expect(200);
    assert_eq!(jobs(&world).await.len(), 2, "the job of the first event is still to look");
    world.succeed(woken[0]["id"].as_str().unwrap()).await;
    assert_eq!(tell(&world, &event("evt_2", &payment)).await.expect(200)["duplicate"], true);
    assert_eq!(jobs(&world).await.len(), 2, "an event that came before");
    tell(&world, &event("evt_3", &payment)).await.expect(200);
    assert_eq!(jobs(&world).await.len(), 3, "another event, and nobody who looks");
    world.end().await;
}

#[tokio::test]
async fn an_event_about_what_is_settled_or_never_sent_or_not_ours_wakes_nobody() {
    let world = World::with(trusting).await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let body = r#"{"amount":1050,"currency":"EUR","source":"pm_card_visa"}"#;
    let pending = world.send("POST /v1/payments", &headers, body).await.expect(201);
    for (id, payment) in [
        ("evt_1", &pending["id"]),
        ("evt_2", &json!("01981f2e-7d3c-7b11-8000-1234567890ab")),
        ("evt_3", &json!("order-7")),
        ("evt_4", &json!(null)),
    ] {
        tell(&world, &event(id, payment)).await.expect(200);
        assert!(world.books.is_noted(id).await.unwrap());
    }
    assert_eq!(jobs(&world).await.len(), 1);
    world.end().await;
}

#[tokio::test]
async fn what_the_provider_did_not_sign_just_now_is_refused_and_changes_nothing() {
    let world = World::with(trusting).await;
    let payment = unknown(&world).await;
    let body = event("evt_1", &payment);
    let good = signed(&world, SECRET, &body, 0);
    for (signature, body) in [
        ("", body.as_str()),
        ("t=1,v1=", &body),
        (&signed(&world, "another-secret", &body, 0), &body),
        (&signed(&world, "", &body, 0), &body),
        (&signed(&world, SECRET, &body, 310), &body),
        (&signed(&world, SECRET, &body, -310), &body),
        (&good, &event("evt_1", &json!("another"))),
        (&good.replace("v1=", "v0="), &body),
    ] {
        let problem = deliver(&world, body, signature).await.problem(400, "untrusted-event");
        assert!(!problem.to_string().contains(SECRET));
    }
    let json = [("content-type", "application/json")];
    world.send("POST /v1/payments/webhook", &json, &body).await.problem(400, "untrusted-event");
    assert!(!world.books.is_noted("evt_1").await.unwrap());
    assert_eq!(jobs(&world).await.len(), 1);

    // While a secret is replaced: signed with both, in any order.
    let other = signed(&world, "another-secret", &body, 0);
    deliver(&world, &body, &format!("{good},{}", other.split_once(',').unwrap().1)).await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn an_untrusted_event_is_refused_before_its_body_comes_and_no_body_is_larger_than_it_may_be() {
    let world = World::with(trusting).await;
    let old = signed(&world, SECRET, "{}", 310);
    let headers =
        [("content-type", "application/json"), ("stripe-signature", old.as_str()), ("content-length", "1000")];
    // No body follows: whoever waited for it would not answer.
    send(world.address, &request("POST /v1/payments/webhook", &headers, b"")).await.problem(400, "untrusted-event");
    let large = format!("{{\"id\":\"evt_1\",\"data\":{{\"object\":\"{}\"}}}}", "x".repeat(256 * 1_024));
    tell(&world, &large).await.problem(413, "body-too-large");
    for bad in ["", "{", "[]", "{\"id\":\"evt_1\"}", "{\"id\":\"\",\"data\":{\"object\":{}}}"] {
        tell(&world, bad).await.problem(400, "malformed-json");
    }
    world.end().await;
}

#[tokio::test]
async fn the_signature_stands_for_a_key_here_and_nowhere_else() {
    let world = World::with(|config| {
        trusting(config);
        config.admin_key = Some("key".to_owned().into());
    })
    .await;
    let body = event("evt_1", &json!(null));
    tell(&world, &body).await.expect(200);
    let signature = signed(&world, SECRET, &body, 0);
    let headers = [("content-type", "application/json"), ("stripe-signature", signature.as_str())];
    for path in ["/v1/payments", "/v1/payments/webhook/", "/v1/payments/%77ebhook", "/v1/payments/webhook/x"] {
        world.send(&format!("POST {path}"), &headers, &body).await.problem(401, "unauthorized");
    }
    world.end().await;

    let world = World::new().await;
    let problem = tell(&world, &body).await.problem(400, "untrusted-event");
    assert!(problem["detail"].as_str().unwrap().contains("payments.webhook_secret is not set"), "{problem}");
    world.end().await;
}
