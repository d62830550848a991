//! The payment provider: Stripe's answers, and books that tell the truth whatever was answered.

use haul_parties::provider::{Fault, Operation, Options, Provider, Totals, Weather, Webhook};
use haul_testkit::http::{Answer, Client, Sink};
use serde_json::Value;
use std::time::Duration;

const CHARGE: &str = "amount=1050&currency=eur&confirm=true&payment_method=pm_card_visa&metadata[order]=1";

struct World {
    provider: Provider,
    client: Client,
}

impl World {
    async fn with(options: Options) -> Self {
        let provider = Provider::start_with(options).await.expect("start");
        let client = Client::new(&provider.url());
        Self { provider, client }
    }

    async fn new() -> Self {
        let weather = Weather { hang: Duration::from_millis(50), ..Weather::fair() };
        Self::with(Options { weather, ..Options::default() }).await
    }

    async fn try_post(&self, path: &str, key: &str, body: &str) -> Option<Answer> {
        let request = http::Request::post(path)
            .header("authorization", format!("Bearer {}", self.provider.secret_key()))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("idempotency-key", key);
        self.client.send(request, body.to_owned().into()).await.ok()
    }

    async fn post(&self, path: &str, key: &str, body: &str) -> (u16, Value) {
        let answer = self.try_post(path, key, body).await.expect("an answer");
        (answer.status, answer.json().expect("JSON"))
    }

    async fn get(&self, path: &str) -> Value {
        let authorization = format!("Bearer {}", self.provider.secret_key());
        let request = http::Request::get(path).header("authorization", authorization);
        self.client.send(request, Default::default()).await.expect("an answer").json().expect("JSON")
    }
}

#[tokio::test]
async fn a_key_is_answered_as_before_and_belongs_to_one_request() {
    let world = World::new().await;
    let first = world.try_post("/v1/payment_intents", "k", CHARGE).await.expect("an answer");
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, None));
    let again = world.try_post("/v1/payment_intents", "k", CHARGE).await.expect("an answer");
    assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, Some("true")));

    let (status, other) = world.post("/v1/payment_intents", "k", &CHARGE.replace("1050", "1051")).await;
    assert_eq!((status, other["error"]["type"].as_str()), (400, Some("idempotency_error")));
    assert_eq!(world.provider.books().totals()["eur"].net(), 1_050);

    // What is refused before anything begins leaves the key free.
    let (status, wrong) = world.post("/v1/payment_intents", "k2", "amount=1&currency=eur&card=1").await;
    assert_eq!((status, wrong["error"]["code"].as_str()), (400, Some("parameter_unknown")));
    assert_eq!(world.post("/v1/payment_intents", "k2", CHARGE).await.0, 200);
    assert_eq!(world.provider.books().applied_twice(&[]).len(), 1, "two keys for one order");
}

#[tokio::test]
async fn a_key_in_use_is_a_conflict_and_a_forgotten_one_is_new() {
    let world = World::new().await;
    let slow = CHARGE.replace("pm_card_visa", "pm_fault_slow");
    let (slow, conflict) = tokio::join!(world.post("/v1/payment_intents", "k", &slow), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.try_post("/v1/payment_intents", "k", &slow).await.expect("an answer")
    });
    assert_eq!((slow.0, conflict.status, conflict.header("stripe-should-retry")), (200, 409, Some("true")));
    world.provider.key_window(Duration::ZERO);
    assert_eq!(world.post("/v1/payment_intents", "k", CHARGE).await.0, 200);
    assert_eq!(world.provider.books().movements.len(), 2);
}

#[tokio::test]
async fn each_fault_commits_what_it_says() {
    for fault in Fault::ALL {
        let world = World::new().await;
        let charge = CHARGE.replace("pm_card_visa", &format!("pm_fault_{}", fault.name()));
        let first = world.try_post("/v1/payment_intents", "k", &charge).await.map(|answer| answer.status);
        let done = world.provider.books().movements.len();
        let expected = match fault {
            Fault::Decline => (Some(402), 0),
            Fault::Busy => (Some(429), 0),
            Fault::Fail => (Some(500), 0),
            Fault::CommitAndFail => (Some(500), 1),
            Fault::Hang | Fault::HangUp => (None, 0),
            Fault::CommitAndHang | Fault::CommitAndHangUp | Fault::CommitAndCutOff => (None, 1),
            Fault::Slow => (Some(200), 1),
        };
        assert_eq!((first, done), expected, "{fault:?}");
        assert_eq!(world.provider.books().faults.get(&fault), Some(&1), "{fault:?}");

        let again = world.try_post("/v1/payment_intents", "k", &charge).await.expect("an answer");
        let (replayed, done) = (again.header("idempotent-replayed").is_some(), world.provider.books().movements.len());
        let expected = match fault {
            Fault::Decline => (402, true, 0),
            Fault::Fail => (500, true, 0),
            Fault::CommitAndFail => (500, true, 1),
            Fault::Busy | Fault::Hang | Fault::HangUp => (200, false, 1),
            Fault::CommitAndHang | Fault::CommitAndHangUp | Fault::CommitAndCutOff | Fault::Slow => (200, true, 1),
        };
        assert_eq!((again.status, replayed, done), expected, "{fault:?} again");
    }
}

#[tokio::test]
async fn what_was_authorised_is_captured_once_and_refunded_up_to_it() {
    let world = World::new().await;
    let (_, intent) = world.post("/v1/payment_intents", "a", &format!("{CHARGE}&capture_method=manual")).await;
    assert_eq!(
        (intent["status"].as_str(), intent["amount_capturable"].as_u64()),
        (Some("requires_capture"), Some(1_050))
    );
    let id = intent["id"].as_str().expect("an id");
    assert_eq!(world.provider.books().totals().get("eur"), Some(&Totals::default()), "nothing was taken yet");

    let capture = format!("/v1/payment_intents/{id}/capture");
    assert_eq!(world.post(&capture, "b", "amount_to_capture=1000").await.1["amount_received"], 1_000);
    let (status, again) = world.post(&capture, "c", "").await;
    assert_eq!((status, again["error"]["code"].as_str()), (400, Some("payment_intent_unexpected_state")));

    let refund = format!("payment_intent={id}&amount=600&metadata[n]=1");
    let (_, first) = world.post("/v1/refunds", "d", &refund).await;
    assert_eq!(world.post("/v1/refunds", "e", &refund).await.0, 400, "more than is left");
    let refunds = world.get(&format!("/v1/refunds?payment_intent={id}")).await;
    assert_eq!(refunds["data"].as_array().map(Vec::as_slice), Some(&[first][..]));
    let books = world.provider.books();
    assert_eq!(books.totals()["eur"].net(), 400);
    let operations: Vec<_> = books.movements.iter().map(|movement| movement.operation).collect();
    assert_eq!(operations, [Operation::Authorize, Operation::Capture, Operation::Refund]);
}

#[tokio::test]
async fn searching_lags_behind_and_listing_does_not() {
    let world = World::with(Options { search_lag: Duration::from_secs(3_600), ..Options::default() }).await;
    for n in 0..3 {
        world.post("/v1/payment_intents", &format!("k{n}"), CHARGE).await;
    }
    let search = "/v1/payment_intents/search?query=metadata%5B%27order%27%5D%3A%271%27";
    assert_eq!(world.get(search).await["data"], serde_json::json!([]));
    let page = world.get("/v1/payment_intents?limit=2&created[gte]=1").await;
    assert_eq!((page["data"].as_array().map(Vec::len), page["has_more"].as_bool()), (Some(2), Some(true)));
    let last = page["data"][1]["id"].as_str().expect("an id");
    world.post("/v1/payment_intents", "one", &format!("{CHARGE}&transfer_group=mine")).await;
    let charges = world.get("/v1/charges?transfer_group=mine").await;
    assert_eq!(charges["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (charges["data"][0]["status"].as_str(), charges["data"][0]["amount"].as_u64()),
        (Some("succeeded"), Some(1_050))
    );
    let rest = world.get(&format!("/v1/payment_intents?limit=2&starting_after={last}")).await;
    assert_eq!((rest["data"].as_array().map(Vec::len), rest["has_more"].as_bool()), (Some(1), Some(false)));
}

#[tokio::test]
async fn a_wrong_secret_key_gets_nothing_and_a_webhook_is_told_of_what_happened() {
    let sink = Sink::start().await.expect("sink");
    let webhook = Some(Webhook { url: sink.url("/hook"), secret: "hush".to_owned() });
    let world = World::with(Options { webhook, ..Options::default() }).await;
    assert_eq!(world.client.get("/v1/events").await.expect("an answer").status, 401);

    world.post("/v1/payment_intents", "k", CHARGE).await;
    let told = sink.wait_requests(1, Duration::from_secs(10)).await.expect("an event");
    let event: Value = serde_json::from_slice(&told[0].body).expect("JSON");
    assert_eq!(event["type"], "payment_intent.succeeded");
    assert!(told[0].header("stripe-signature").is_some_and(|signature| signature.starts_with("t=")));
    assert_eq!(world.get("/v1/events").await["data"][0]["id"], event["id"]);
}
