//! Mail and its attachments at the pace that their servers can take.

use crate::world::{World, config, quick};
use haul_core::{
    Config, JobId, Pace, Span,
    config::{MailProtection, MailServer as Place},
    pace::{Breaker, Destination, Sight},
};
use haul_handlers::Secrets;
use haul_parties::smtp::{MailServer, Step, Verdict};
use haul_testkit::{
    http::{Reply, Sink},
    wait,
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(30);

/// Breakers that open at the second failure, for so long.
fn mailing(server: &MailServer, open: Span) -> Config {
    let mut config = config();
    config.email.url =
        Some(Place { host: "127.0.0.1".to_owned(), port: server.port(), protection: MailProtection::None });
    config.email.from = Some("Shop <shop@example.com>".to_owned());
    config.pace.failures = 2;
    (config.pace.open_base, config.pace.open_cap, config.pace.in_flight) = (open, open, 4);
    config.worker.concurrency = 10;
    config
}

async fn letter(world: &World, change: Value) -> JobId {
    let mut payload = json!({"to": "ann@example.com", "subject": "Your order", "text": "It is on its way."});
    payload.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    world.submit("email.send", &payload, quick(20)).await
}

async fn sight(world: &World, server: &MailServer) -> Option<Sight> {
    let destination = Destination::new(format!("smtp://127.0.0.1:{}", server.port())).unwrap();
    world.pace.look(&destination).await.unwrap()
}

async fn until_open(world: &World, server: &MailServer) {
    wait::until("an open breaker", LIMIT, async || {
        sight(world, server).await.filter(|sight| sight.breaker == Breaker::Open)
    })
    .await;
}

/// Refuses every session while it is ill, and counts sessions.
fn greet_badly(server: &MailServer) -> (Arc<AtomicBool>, Arc<AtomicUsize>) {
    let (is_ill, sessions) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicUsize>::default());
    let (ill, count) = (is_ill.clone(), sessions.clone());
    server.judge(move |step| match step {
        Step::Greeting => {
            count.fetch_add(1, Ordering::Relaxed);
            if ill.load(Ordering::Relaxed) { Verdict::Refuse(421) } else { Verdict::Accept }
        }
        _ => Verdict::Accept,
    });
    (is_ill, sessions)
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_mail_server_that_is_down_uses_up_no_attempts() {
    let server = MailServer::start().await.unwrap();
    let (is_ill, sessions) = greet_badly(&server);
    let world = World::with(mailing(&server, Span::from_ms(200)), Secrets::default()).await;
    let mut letters = Vec::new();
    for _ in 0..40 {
        letters.push(letter(&world, json!({})).await);
    }
    let seen = || sessions.load(Ordering::Relaxed);
    wait::until("a few trials", LIMIT, async || (seen() >= 8).then_some(())).await;
    let so_far = seen();
    let mut failures = 0;
    for letter in &letters {
        failures += world.look(*letter).await.failures.len();
    }
    let later = seen();
    assert!(failures <= later, "{failures} attempts were used up by {later} sessions");
    assert!(so_far <= 20, "{so_far} sessions with a server that is down");
    is_ill.store(false, Ordering::Relaxed);
    for letter in letters {
        world.succeeded(letter).await;
    }
    assert_eq!(server.messages().len(), 40);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mail_server_refuses_keeps_nobody_elses_mail_back() {
    let server = MailServer::start().await.unwrap();
    server.judge(|step| match step {
        Step::Recipient("gone@example.com") => Verdict::Refuse(550),
        Step::Recipient("busy@example.com") => Verdict::Refuse(450),
        Step::Sender("spam@example.com") => Verdict::Refuse(553),
        _ => Verdict::Accept,
    });
    let world = World::with(mailing(&server, Span::from_secs(60)), Secrets::default()).await;
    for change in [json!({"to": "gone@example.com"}), json!({"from": "spam@example.com"})] {
        for _ in 0..3 {
            world.died(letter(&world, change.clone()).await).await;
        }
    }
    // Refused for now: it is tried again and again.
    world.died(letter(&world, json!({"to": "busy@example.com"})).await).await;
    world.succeeded(letter(&world, json!({})).await).await;
    let sight = sight(&world, &server).await.expect("it was called");
    assert_eq!((sight.breaker, sight.failures), (Breaker::Closed, 0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_for_a_mail_server_that_lets_nobody_through() {
    let (server, files) = (MailServer::start().await.unwrap(), Sink::start().await.unwrap());
    let (_is_ill, sessions) = greet_badly(&server);
    let world = World::with(mailing(&server, Span::from_secs(60)), Secrets::default()).await;
    letter(&world, json!({})).await;
    until_open(&world, &server).await;
    let waiting = async || sight(&world, &server).await.map_or(0, |sight| sight.waiting);
    let before = (waiting().await, sessions.load(Ordering::Relaxed));
    let attachment = json!([{"filename": "a", "url": files.url("/a")}]);
    let id = letter(&world, json!({"attachments": attachment})).await;
    wait::until("it waits", LIMIT, async || (waiting().await > before.0).then_some(())).await;
    assert!(world.look(id).await.failures.is_empty());
    assert_eq!((files.requests().len(), sessions.load(Ordering::Relaxed)), (0, before.1));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_an_attachment_uses_up_no_attempts_and_delays_no_other_mail() {
    let is_ill = Arc::new(AtomicBool::new(true));
    let ill = is_ill.clone();
    let files = Sink::answering(move |_| Reply::status(if ill.load(Ordering::Relaxed) { 503 } else { 200 }));
    let (server, files) = (MailServer::start().await.unwrap(), files.await.unwrap());
    let world = World::with(mailing(&server, Span::from_ms(200)), Secrets::default()).await;
    let attachment = json!([{"filename": "a", "url": files.url("/a")}]);
    let mut letters = Vec::new();
    for _ in 0..30 {
        letters.push(letter(&world, json!({"attachments": attachment})).await);
    }
    let calls = files.wait_requests(6, LIMIT).await.unwrap().len();
    world.succeeded(letter(&world, json!({})).await).await;
    let mut failures = 0;
    for letter in &letters {
        failures += world.look(*letter).await.failures.len();
    }
    let calls_later = files.requests().len();
    assert!(failures <= calls_later, "{failures} attempts were used up by {calls_later} calls");
    assert!(calls <= 20, "{calls} calls to a server that is down");
    is_ill.store(false, Ordering::Relaxed);
    for letter in letters {
        world.succeeded(letter).await;
    }
    world.end().await;
}
