//! Whom jobs call: shown in pages and one by one, and reset.

use crate::world::World;
use haul_core::{
    JobId, Pace, Timestamp,
    pace::{Destination, Enter, Entry, PaceRules, Permit, Rules, Verdict},
};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// What workers by the default settings go by, with breakers that open soon and stay so.
fn rules() -> Rules {
    let minute = std::time::Duration::from_secs(60);
    Rules { failures: 2, open_base: minute, open_cap: minute, in_flight: 3, ..Rules::default() }
}

async fn enter(world: &World, name: &str) -> Enter {
    let destination = Destination::new(name).unwrap();
    let (job, rules) = (JobId(Uuid::new_v4()), rules());
    let entry = Entry { destination: &destination, job, permit: Uuid::new_v4(), rules: &rules };
    world.pace.enter(&entry).await.unwrap()
}

async fn go(world: &World, name: &str) -> Permit {
    match enter(world, name).await {
        Enter::Go(permit) => permit,
        wait @ Enter::Wait(..) => panic!("{wait:?}"),
    }
}

async fn call(world: &World, name: &str, verdict: Verdict) {
    let permit = go(world, name).await;
    world.pace.leave(&permit, verdict, &rules()).await.unwrap();
}

/// Opens a breaker.
async fn fail(world: &World, name: &str) {
    for _ in 0..2 {
        call(world, name, Verdict::AtFault(None)).await;
    }
}

/// The path of a destination, its name percent-encoded.
fn path(name: &str) -> String {
    format!("/v1/destinations/{}", name.replace(':', "%3A").replace('/', "%2F").replace('[', "%5B").replace(']', "%5D"))
}

fn time(value: &Value) -> Timestamp {
    serde_json::from_value(value.clone()).unwrap()
}

#[tokio::test]
async fn an_open_breaker_is_shown_with_since_when_and_until_when() {
    let world = World::with(|config| {
        config.pace.hosts = PaceRules::parse_hosts("slow.example rate=5 burst=7 in_flight=2").unwrap();
    })
    .await;
    assert_eq!(world.get("/v1/destinations").await.expect(200)["data"], json!([]));
    let begun = world.clock.now();
    let held = go(&world, "https://ill.example:443").await;
    fail(&world, "https://ill.example:443").await;
    enter(&world, "https://ill.example:443").await;
    call(&world, "http://slow.example:8080", Verdict::Works).await;

    let page = world.get("/v1/destinations").await.expect(200);
    assert_eq!((&page["has_more"], &page["next_cursor"]), (&json!(false), &Value::Null));
    let [slow, ill] = &page["data"].as_array().unwrap()[..] else { panic!("{page}") };
    assert_eq!(ill["destination"], "https://ill.example:443");
    assert_eq!((&ill["breaker"], &ill["failures"]), (&json!("open"), &json!(2)));
    assert_eq!((&ill["in_flight"], &ill["waiting"]), (&json!(1), &json!(1)));
    assert_eq!(ill["limits"], json!({"rate": null, "burst": null, "in_flight": 32}));
    let now = world.clock.now();
    let (since, until) = (time(&ill["since"]), time(&ill["until"]));
    // A millisecond is lost where a time is cut.
    assert!(begun.as_ms() <= since.as_ms() + 1 && since <= now, "{ill}");
    // It is open for a minute, spread by a fifth.
    assert!((47..=73).contains(&until.since(since).as_secs()), "{ill}");

    assert_eq!(slow["destination"], "http://slow.example:8080");
    assert_eq!((&slow["breaker"], &slow["until"]), (&json!("closed"), &Value::Null));
    assert_eq!(slow["limits"], json!({"rate": 5, "burst": 7, "in_flight": 2}), "the host's own");

    let one = world.get(&path("https://ill.example:443")).await.expect(200);
    for name in ["destination", "breaker", "failures", "in_flight", "waiting", "limits"] {
        assert_eq!(one[name], ill[name], "{name}");
    }
    drop(held);
}

#[tokio::test]
async fn pages_name_each_destination_once_in_order_and_are_bounded() {
    let world = World::new().await;
    let mut names: Vec<_> = (0..7).map(|n| format!("https://host-{n}.example:443")).collect();
    for n in [3, 6, 0, 5, 1, 4, 2] {
        call(&world, &names[n], Verdict::Works).await;
    }
    names.sort_unstable();
    let (mut seen, mut path) = (Vec::new(), "/v1/destinations?limit=3".to_owned());
    loop {
        let page = world.get(&path).await.expect(200);
        let data = page["data"].as_array().unwrap();
        assert!(!data.is_empty() && data.len() <= 3);
        seen.extend(data.iter().map(|it| it["destination"].as_str().unwrap().to_owned()));
        assert_eq!(page["has_more"], page["next_cursor"].is_string());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/destinations?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, names);
    let page = world.get("/v1/destinations?limit=3").await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let foreign = format!("/v1/workers?cursor={cursor}");
    for path in ["limit=0", "limit=101", "limit=abc", "cursor=AAAA", "limit=1&limit=2", "colour=red"]
        .map(|query| format!("/v1/destinations?{query}"))
        .into_iter()
        .chain([foreign])
    {
        world.get(&path).await.expect(400);
    }
}

#[tokio::test]
async fn a_reset_closes_the_breaker_and_lets_the_next_call_through() {
    let world = World::new().await;
    let name = "https://[2001:db8::1]:8443";
    fail(&world, name).await;
    assert!(matches!(enter(&world, name).await, Enter::Wait(..)));
    let shown = world.post(&format!("{}/reset", path(name))).await.expect(200);
    assert_eq!((&shown["destination"], &shown["breaker"]), (&json!(name), &json!("closed")));
    assert_eq!((&shown["failures"], &shown["waiting"], &shown["until"]), (&json!(0), &json!(0), &Value::Null));
    call(&world, name, Verdict::Works).await;
}

#[tokio::test]
async fn what_is_unknown_is_404_and_what_is_no_destination_400() {
    let world = World::new().await;
    let nobody = path("https://nobody.example:443");
    for answer in [world.get(&nobody).await, world.post(&format!("{nobody}/reset")).await] {
        answer.problem(404, "destination-not-found");
    }
    assert_eq!(world.get("/v1/destinations").await.expect(200)["data"], json!([]), "asking makes nobody known");
    for bad in ["ill.example", "https%3A%2F%2Fill.example", "HTTPS%3A%2F%2Fill.example%3A443", "%00", "%ff", "a%7Bb"] {
        world.get(&format!("/v1/destinations/{bad}")).await.problem(400, "invalid-path");
        world.post(&format!("/v1/destinations/{bad}/reset")).await.problem(400, "invalid-path");
    }
    world.get(&format!("{nobody}?colour=red")).await.expect(400);
    world.send(&format!("DELETE {nobody}"), &[], "").await.expect(405);
}

#[tokio::test]
async fn a_store_that_is_away_is_503_and_says_nothing_of_the_inside() {
    let world = World::new().await;
    call(&world, "https://a.example:443", Verdict::Works).await;
    world.pace.down.store(true, Ordering::Relaxed);
    let one = path("https://a.example:443");
    for answer in
        [world.get("/v1/destinations").await, world.get(&one).await, world.post(&format!("{one}/reset")).await]
    {
        assert_eq!(answer.header("retry-after"), Some("1"));
        let problem = answer.problem(503, "pace-unavailable");
        assert!(!problem.to_string().contains("secret-host"), "{problem}");
    }
    world.pace.down.store(false, Ordering::Relaxed);
    world.get(&one).await.expect(200);
}
