//! The processes that are alive.

use crate::world::World;
use haul_core::{
    ProcessId,
    fleet::{About, Report, Work},
    ledger::ProcessInfo,
};

fn worker(host: &str) -> Report {
    let work = Work { queues: vec!["mail".to_owned()], slots: 100, busy: 7 };
    let about = About { host: host.into(), pid: 42, version: "1.2.3".into(), work: Some(work), schedules: false };
    Report { id: ProcessId::random(), role: "worker".into(), about }
}

#[tokio::test]
async fn a_worker_is_shown_with_its_slots_and_others_without() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/workers").await.expect(200)["data"], serde_json::json!([]));
    world.fleet.report(&worker("box")).await.unwrap();
    let shown = &world.get("/v1/workers").await.expect(200)["data"][0];
    for (name, value) in [("role", "worker"), ("host", "box"), ("version", "1.2.3")] {
        assert_eq!(shown[name], value, "{shown}");
    }
    for (name, value) in [("pid", 42), ("slots", 100), ("busy", 7)] {
        assert_eq!(shown[name], value, "{shown}");
    }
    assert_eq!(shown["queues"], serde_json::json!(["mail"]));
    assert!(shown["since"].is_string() && shown["last_heartbeat"].is_string(), "{shown}");

    let other = World::new().await;
    let silent = ProcessInfo { id: ProcessId::random(), role: "api".to_owned() };
    haul_core::Ledger::heartbeat(&*other.ledger, &silent).await.unwrap();
    let shown = &other.get("/v1/workers").await.expect(200)["data"][0];
    for name in ["host", "pid", "version", "queues", "slots", "busy"] {
        assert!(shown[name].is_null(), "{shown}");
    }
}

#[tokio::test]
async fn pages_name_each_process_once_and_are_bounded() {
    let world = World::new().await;
    for n in 0..7 {
        world.fleet.report(&worker(&n.to_string())).await.unwrap();
    }
    let (mut hosts, mut path) = (Vec::new(), "/v1/workers?limit=3".to_owned());
    loop {
        let page = world.get(&path).await.expect(200);
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 3);
        hosts.extend(data.iter().map(|worker| worker["host"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/workers?limit=3&cursor={cursor}");
    }
    hosts.sort_unstable();
    assert_eq!(hosts, ["0", "1", "2", "3", "4", "5", "6"]);
    for query in ["limit=0", "limit=101", "limit=abc", "cursor=AAAA", "limit=1&limit=2", "colour=red"] {
        world.get(&format!("/v1/workers?{query}")).await.expect(400);
    }
}
