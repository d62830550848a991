//! Payments with `haul up`: made, and compared with the provider by whoever fires schedules.

use crate::world::{outcome, submit, text, until};
use haul_parties::provider::{Fault, Options, Provider, Weather, Webhook};
use haul_testkit::process::haul;
use http::Request;
use serde_json::json;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_payment_is_made_and_compared_with_the_provider() {
    let provider = Provider::start_with(Options::default()).await.expect("a provider");
    let up = haul(&["up"])
        .env("HAUL_PAYMENTS_URL", &provider.url())
        .env("HAUL_SECRET_STRIPE_KEY", provider.secret_key())
        .env("HAUL_MAINTENANCE_SCHEDULES", "true");
    let up = up.start().await.expect("up");
    let client = up.client();
    let request =
        Request::post("/v1/payments").header("content-type", "application/json").header("idempotency-key", "p-1");
    let body = json!({ "amount": 1_050, "currency": "EUR", "source": "pm_card_visa" });
    let answer = client.send(request, body.to_string().into()).await.expect("an answer");
    assert_eq!(answer.status, 201, "{}", text(&answer));
    let id = answer.json().expect("JSON")["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/payments/{id}");
    let paid = until("the payment is made", LIMIT, || async {
        let payment = client.get(&path).await.ok()?.json().ok()?;
        (payment["state"] == "succeeded").then_some(payment)
    });
    paid.await;
    assert_eq!(provider.books().totals()["eur"].net(), 1_050);

    up.wait_output("maintenance is scheduled", LIMIT).expect("it says so");
    let read = haul(&["schedules", "get", "maintenance.reconcile_payments", "--url", up.url()]).run().expect("it runs");
    assert_eq!(read.code, Some(0), "{read:?}");
    let job = json!({ "kind": "maintenance.reconcile_payments", "payload": {}, "queue": "maintenance" });
    let job = outcome(&client, &submit(&client, job).await).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(job["outcome"]["result"]["compared"], 1, "{job}");
}

#[tokio::test]
async fn an_event_of_the_provider_settles_what_its_job_has_given_up() {
    // It does what it is asked to, and never says so.
    let weather = Weather { per_mille: vec![(Fault::CommitAndHangUp, 1_000)], ..Weather::fair() };
    let provider = Provider::start_with(Options { weather, ..Options::default() }).await.expect("a provider");
    let up = haul(&["up"])
        .env("HAUL_PAYMENTS_URL", &provider.url())
        .env("HAUL_SECRET_STRIPE_KEY", provider.secret_key())
        .env("HAUL_PAYMENTS_WEBHOOK_SECRET", "stripe-events")
        .env("HAUL_SECRET_STRIPE_EVENTS", "whsec_events")
        .env("HAUL_JOBS_MAX_ATTEMPTS", "1");
    let up = up.start().await.expect("up");
    let client = up.client();
    let request =
        Request::post("/v1/payments").header("content-type", "application/json").header("idempotency-key", "p-1");
    let body = json!({ "amount": 1_050, "currency": "EUR", "source": "pm_card_visa" });
    let answer = client.send(request, body.to_string().into()).await.expect("an answer");
    assert_eq!(answer.status, 201, "{}", text(&answer));
    let payment = answer.json().expect("JSON");
    let job = payment["operations"][0]["job"].as_str().expect("a job").to_owned();
    assert_eq!(outcome(&client, &job).await["state"], "dead");
    let path = format!("/v1/payments/{}", payment["id"].as_str().expect("an id"));
    let read = client.get(&path).await.expect("an answer").json().expect("JSON");
    assert_eq!(read["state"], "unknown", "{read}");

    provider.weather(Weather::fair());
    provider.tell(Webhook { url: format!("{}/v1/payments/webhook", up.url()), secret: "whsec_events".to_owned() });
    let settled = until("the payment is settled", LIMIT, || async {
        let payment = client.get(&path).await.ok()?.json().ok()?;
        (payment["state"] == "succeeded").then_some(payment)
    });
    assert_eq!(settled.await["captured"], 1_050);
    assert_eq!(provider.books().totals()["eur"].net(), 1_050, "nothing was sent again");
    assert_eq!(provider.told().forged_and_taken, 0);
}
