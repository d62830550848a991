//! Payments at the pace that their provider can take.

use crate::world::{World, config, quick};
use haul_core::{
    JobId, Pace, Span, Tenant, Timestamp,
    config::Override,
    pace::Breaker,
    payment::{Money, Operation, OperationKind, Payment, PaymentId},
};
use haul_handlers::Secrets;
use haul_testkit::{
    http::{Reply, Request, Sink},
    wait,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(30);

/// A provider that answers 503 to everything while it is ill, and does what it is asked to once it is well.
fn answer(request: &Request, is_ill: bool) -> Reply {
    if is_ill {
        return Reply::status(503);
    }
    let body = match request.header("idempotency-key") {
        Some(key) => {
            json!({"object": "payment_intent", "id": format!("pi_{key}"), "status": "succeeded", "amount": 1_050, "currency": "eur"})
        }
        None => json!({"object": "list", "data": [], "has_more": false}),
    };
    Reply::status(200).body(body.to_string())
}

/// 10.50 EUR, of which nothing was sent yet.
fn payment(job: JobId) -> Payment {
    let now = Timestamp::from_ms(0);
    Payment {
        id: PaymentId(Uuid::new_v4()),
        tenant: Tenant::default(),
        version: 1,
        amount: Money::new(1_050, "EUR".to_owned().try_into().unwrap()).unwrap(),
        capture: true,
        source: "pm_card_visa".to_owned(),
        description: None,
        metadata: BTreeMap::new(),
        operations: vec![Operation::new(1, OperationKind::Charge, 1_050, job)],
        created_at: now,
        updated_at: now,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_provider_that_is_down_uses_up_no_attempts_and_loses_no_payment() {
    let is_ill = Arc::new(AtomicBool::new(true));
    let ill = is_ill.clone();
    let provider = Sink::answering(move |request| answer(request, ill.load(Ordering::Relaxed))).await.unwrap();
    let mut config = config();
    config.payments.url = Some(provider.url("").trim_end_matches('/').to_owned());
    config.pace.failures = 2;
    (config.pace.open_base, config.pace.open_cap, config.pace.in_flight) = (Span::from_ms(200), Span::from_ms(200), 4);
    config.worker.concurrency = 10;
    let secret: Override = ("HAUL_SECRET_STRIPE_KEY".to_owned(), "MarkedAsSecret-of-the-provider".to_owned());
    let world = World::with(config, Secrets::new([(secret.0, secret.1.into())], None)).await;
    let mut jobs = Vec::new();
    for _ in 0..30 {
        jobs.push(world.pay(quick(20), payment).await);
    }
    let calls = provider.wait_requests(12, LIMIT).await.unwrap().len();
    let mut failures = 0;
    for job in &jobs {
        let record = world.look(*job).await;
        assert!(record.outcome.is_none(), "{:?}", record.outcome);
        failures += record.failures.len();
    }
    let calls_later = provider.requests().len();
    // An attempt makes two calls: it sends, and looks up what became of it.
    assert!(failures <= calls_later, "{failures} attempts were used up by {calls_later} calls");
    assert!(calls <= 40, "{calls} calls to a provider that is down");
    let is_open = async || {
        let seen = world.pace.list(10).await.unwrap();
        seen.iter().any(|sight| sight.breaker != Breaker::Closed).then_some(())
    };
    wait::until("an open breaker", LIMIT, is_open).await;
    is_ill.store(false, Ordering::Relaxed);
    for job in jobs {
        assert_eq!(world.succeeded(job).await["state"], "succeeded");
    }
    let mut keys: Vec<String> =
        provider.requests().iter().filter_map(|request| Some(request.header("idempotency-key")?.to_owned())).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 30, "one key per payment, however long it waited");
    world.end().await;
}
