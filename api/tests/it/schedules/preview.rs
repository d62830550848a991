//! Previews: what clocks show, when that is, and what is made of days on which clocks are set.

use crate::world::World;
use serde_json::{Value, json};

async fn preview(world: &World, body: Value) -> Value {
    world.post_json("/v1/schedules/preview", &body).await.expect(200)
}

#[tokio::test]
async fn a_fold_and_a_gap_are_shown_with_what_the_policy_does() {
    let world = World::new().await;
    let question = |overlap: &str| {
        json!({"cron": "30 1 * * *", "timezone": "America/New_York", "dst": {"overlap": overlap},
            "from": "2026-11-01T00:00:00Z", "count": 2})
    };
    let both = preview(&world, question("both")).await;
    let expected = json!({
        "dst": {"gap": "run_once_after", "overlap": "both"},
        "ticks": [
            {"tick": "2026-11-01T01:30:00[America/New_York]", "local": "2026-11-01T01:30:00",
                "timezone": "America/New_York", "fold": false, "at": "2026-11-01T05:30:00.000Z", "clocks": "first",
                "note": "comes twice: runs the first time"},
            {"tick": "2026-11-01T01:30:00[America/New_York]+fold", "local": "2026-11-01T01:30:00",
                "timezone": "America/New_York", "fold": true, "at": "2026-11-01T06:30:00.000Z", "clocks": "second",
                "note": "comes twice: runs the second time"},
        ],
        "left_out": []
    });
    assert_eq!(both, expected);
    let first = preview(&world, question("first")).await;
    assert_eq!(first["left_out"][0]["note"], "comes twice: left out the second time");
    assert_eq!(first["ticks"][1]["at"], "2026-11-02T06:30:00.000Z");

    let skipped = json!({"cron": "30 2 * * *", "timezone": "America/New_York", "dst": {"gap": "skip"},
        "from": "2026-03-08T00:00:00Z", "count": 1});
    let skipped = preview(&world, skipped).await;
    assert_eq!(skipped["ticks"][0]["local"], "2026-03-09T02:30:00");
    assert_eq!(skipped["left_out"][0]["note"], "does not exist: left out");
    let after =
        json!({"cron": "30 2 * * *", "timezone": "America/New_York", "from": "2026-03-08T00:00:00Z", "count": 1});
    let after = preview(&world, after).await;
    assert_eq!(after["ticks"][0]["note"], "does not exist: runs once, at the end of the gap");
    assert_eq!(after["ticks"][0]["at"], "2026-03-08T07:00:00.000Z");
}

#[tokio::test]
async fn an_interval_and_an_end_are_shown() {
    let world = World::new().await;
    let question = json!({"every": "90s", "from": "2026-11-01T05:00:00Z", "end_at": "2026-11-01T05:04:30Z"});
    let shown = preview(&world, question).await;
    let at: Vec<&str> = shown["ticks"].as_array().unwrap().iter().map(|tick| tick["at"].as_str().unwrap()).collect();
    assert_eq!(at, ["2026-11-01T05:01:30.000Z", "2026-11-01T05:03:00.000Z"]);
    assert_eq!((&shown["dst"], &shown["ticks"][0]["timezone"]), (&json!(null), &json!(null)));
    let runs = preview(&world, json!({"every": "1h", "max_runs": 3})).await;
    assert_eq!(runs["ticks"].as_array().unwrap().len(), 3);
    assert_eq!(preview(&world, json!({"every": "1h"})).await["ticks"].as_array().unwrap().len(), 10);
    assert_eq!(preview(&world, json!({"every": "1h", "count": 100})).await["ticks"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let world = World::new().await;
    for (body, pointer) in [
        (json!({"cron": "60 * * * *"}), "/cron"),
        (json!({"every": "1h", "count": 0}), "/count"),
        (json!({"every": "1h", "count": 101}), "/count"),
        (json!({"every": "1h", "from": "now"}), "/from"),
        (json!({"every": "1h", "name": "a"}), "/name"),
        (json!({}), "/cron"),
        (json!([]), ""),
    ] {
        let problem = world.post_json("/v1/schedules/preview", &body).await.problem(422, "invalid-schedule");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
    }
    // No schedule can hide behind the path of previews.
    let problem = world.post_json("/v1/schedules", &super::hourly("preview")).await.problem(422, "invalid-schedule");
    assert_eq!(problem["errors"][0]["pointer"], "/name");
}
