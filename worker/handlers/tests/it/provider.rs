//! The client of the payment provider, against one that misbehaves on request.

use haul_core::{
    Config, JobId, Tenant, Timestamp,
    config::Override,
    payment::{
        Answer, ListOf, LookUp, Money, Object, ObjectState, Operation, OperationKind, Payment, PaymentId, Provider,
        idempotency_key,
    },
};
use haul_handlers::{HttpProvider, Outgoing, Secrets};
use haul_testkit::provider::{Fault, Options, Provider as Stripe, Weather};
use secrecy::SecretString;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

struct World {
    stripe: Stripe,
    provider: HttpProvider,
}

impl World {
    async fn new() -> Self {
        let weather = Weather { hang: Duration::from_secs(5), ..Weather::fair() };
        let stripe = Stripe::start_with(Options { weather, ..Options::default() }).await.unwrap();
        let provider = provider(&stripe.url(), stripe.secret_key());
        Self { stripe, provider }
    }

    async fn send(&self, payment: &Payment, operation: u32, generation: u32) -> Answer {
        let request = self.provider.request(payment, payment.operation(operation).unwrap());
        self.provider.send(&idempotency_key(payment.id, operation, generation), &request).await
    }

    async fn look_up(&self, payment: &Payment, operation: u32) -> LookUp {
        self.provider.look_up(payment, payment.operation(operation).unwrap()).await
    }
}

fn provider(url: &str, key: &str) -> HttpProvider {
    let set = |name: &str, value: &str| -> Override { (name.to_owned(), value.to_owned()) };
    let flags = [set("payments.url", url), set("payments.timeout", "500ms"), set("outgoing.allow", "loopback")];
    let (config, _) = Config::load(None, Vec::new(), &flags).unwrap();
    let secrets = Secrets::new([("HAUL_SECRET_STRIPE_KEY".to_owned(), SecretString::from(key))], None);
    HttpProvider::new(&Outgoing::new(&config.outgoing).unwrap(), &secrets, &config.payments).unwrap().unwrap()
}

/// A payment of 10.50 EUR by a token, of which nothing was sent yet.
fn payment(token: &str) -> Payment {
    let now = Timestamp::from_ms(0);
    Payment {
        id: PaymentId(Uuid::new_v4()),
        tenant: Tenant::default(),
        version: 1,
        amount: Money::new(1_050, "EUR".to_owned().try_into().unwrap()).unwrap(),
        capture: true,
        source: token.to_owned(),
        description: Some("an order & more".to_owned()),
        metadata: BTreeMap::from([("order".to_owned(), "7 = 7".to_owned())]),
        operations: vec![Operation::new(1, OperationKind::Charge, 1_050, JobId::from(Uuid::new_v4()))],
        created_at: now,
        updated_at: now,
    }
}

fn with(mut payment: Payment, kind: OperationKind, amount: i64, charged: &str) -> Payment {
    payment.operations[0].object = Some(charged.to_owned());
    let number = u32::try_from(payment.operations.len()).unwrap() + 1;
    payment.operations.push(Operation::new(number, kind, amount, JobId::from(Uuid::new_v4())));
    payment
}

fn done(answer: Answer) -> Object {
    match answer {
        Answer::Done(object) if object.state == ObjectState::Done => object,
        other => panic!("not done: {other:?}"),
    }
}

#[tokio::test]
async fn after_each_fault_a_look_up_tells_what_was_done_and_the_same_key_ends_it() {
    for fault in Fault::ALL {
        let world = World::new().await;
        let payment = payment(&format!("pm_fault_{}", fault.name()));
        let first = world.send(&payment, 1, 1).await;
        let is_as_expected = match fault {
            Fault::Decline => matches!(first, Answer::Declined { .. }),
            Fault::Busy => first == Answer::TurnedAway { after: Some(Duration::from_secs(1)) },
            Fault::Slow => matches!(first, Answer::Done(_)),
            _ => matches!(first, Answer::Unknown { .. }),
        };
        assert!(is_as_expected, "{fault:?}: {first:?}");

        let looked_up = world.look_up(&payment, 1).await;
        match world.stripe.books().movements.len() {
            0 if fault == Fault::Decline => {
                assert!(
                    matches!(&looked_up, LookUp::Found(object) if object.state != ObjectState::Done),
                    "{looked_up:?}"
                );
            }
            0 => assert_eq!(looked_up, LookUp::Absent, "{fault:?}"),
            _ => {
                let LookUp::Found(object) = looked_up else { panic!("{fault:?}: {looked_up:?}") };
                assert_eq!((object.state, object.amount), (ObjectState::Done, 1_050));
                assert_eq!((object.payment, object.operation), (Some(payment.id), Some(1)));
            }
        }
        let again = world.send(&payment, 1, 1).await;
        match fault {
            Fault::Decline => assert!(matches!(again, Answer::Declined { .. })),
            Fault::Fail | Fault::CommitAndFail => assert_eq!(again, Answer::Spent),
            _ => drop(done(again)),
        }
        assert!(world.stripe.books().applied_twice(&[]).is_empty());
    }
}

#[tokio::test]
async fn a_payment_that_was_applied_twice_is_seen_as_such() {
    let world = World::new().await;
    let payment = payment("pm_card_visa");
    done(world.send(&payment, 1, 1).await);
    done(world.send(&payment, 1, 2).await);
    assert_eq!(world.look_up(&payment, 1).await, LookUp::Several(2));
}

#[tokio::test]
async fn captures_and_refunds_are_found_again() {
    let world = World::new().await;
    let held = Payment { capture: false, ..payment("pm_card_visa") };
    let charged = done(world.send(&held, 1, 1).await);
    let held = with(held, OperationKind::Capture, 1_000, &charged.id);
    assert_eq!(world.look_up(&held, 2).await, LookUp::Absent);
    assert_eq!(done(world.send(&held, 2, 1).await).amount, 1_000);
    assert!(matches!(world.look_up(&held, 2).await, LookUp::Found(object) if object.amount == 1_000));
    // Under another key: the provider refuses, and it may have been us.
    assert!(matches!(world.send(&held, 2, 2).await, Answer::Unknown { .. }));

    let refunded = with(held, OperationKind::Refund, 400, &charged.id);
    assert_eq!(world.look_up(&refunded, 3).await, LookUp::Absent);
    done(world.send(&refunded, 3, 1).await);
    let LookUp::Found(refund) = world.look_up(&refunded, 3).await else { panic!("no refund") };
    assert_eq!((refund.amount, refund.operation), (400, Some(3)));
    let again = with(refunded, OperationKind::Refund, 700, &charged.id);
    assert!(matches!(world.send(&again, 4, 1).await, Answer::Declined { .. }), "more than is left");
    assert_eq!(world.stripe.books().totals()["eur"].net(), 600);
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let world = World::new().await;
    for _ in 0..103 {
        done(world.send(&payment("pm_card_visa"), 1, 1).await);
    }
    let first = world.provider.list(ListOf::Charges, Timestamp::from_ms(0), None).await.unwrap();
    assert_eq!(first.objects.len(), 100);
    let second = world.provider.list(ListOf::Charges, Timestamp::from_ms(0), first.next.as_deref()).await.unwrap();
    assert_eq!((second.objects.len(), second.next), (3, None));
}

#[tokio::test]
async fn a_provider_that_is_not_there_or_does_not_know_us_has_done_nothing() {
    let world = World::new().await;
    let stranger = provider(&world.stripe.url(), "another-key");
    let payment = payment("pm_card_visa");
    let request = stranger.request(&payment, &payment.operations[0]);
    assert_eq!(stranger.send("k", &request).await, Answer::TurnedAway { after: None });
    assert!(matches!(stranger.look_up(&payment, &payment.operations[0]).await, LookUp::Unclear(_)));

    let World { stripe, provider } = world;
    drop(stripe);
    assert_eq!(provider.send("k", &request).await, Answer::TurnedAway { after: None });
    let LookUp::Unclear(why) = provider.look_up(&payment, &payment.operations[0]).await else { panic!("clear") };
    assert!(!why.contains(haul_testkit::secret::MARK));
}
