//! Payments with `haul up`: made, and compared with the provider by whoever fires schedules.

use crate::world::{outcome, submit, text, until};
use haul_parties::provider::{Options, Provider};
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
