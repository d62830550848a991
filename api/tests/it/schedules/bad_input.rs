//! What is no schedule is refused, with the field, the reason and what to write instead.

use super::hourly;
use crate::world::World;
use serde_json::{Value, json};

/// Members of a schedule, where the error is, and a part of what is said.
const BAD: &[(&str, &str, &str)] = &[
    (r#""cron":"0 0 2 * * *""#, "/cron", "\"seconds\": true"),
    (r#""cron":"60 * * * *""#, "/cron", "minute"),
    (r#""cron":"*/0 * * * *""#, "/cron", "minute"),
    (r#""cron":"*/60 * * * *""#, "/cron", "minute"),
    (r#""cron":"0 0 31 2 *""#, "/cron", "never fires"),
    (r#""cron":"0 0 * *""#, "/cron", "4 field(s)"),
    (r#""cron":"""#, "/cron", "is empty"),
    (r#""cron":"@reboot""#, "/cron", "@reboot"),
    (r#""cron":"@every 5m""#, "/cron", "\"every\""),
    (r#""cron":"CRON_TZ=UTC 0 0 * * *""#, "/cron", "\"timezone\""),
    (r#""cron":"0 0 ? * *""#, "/cron", "day-of-month"),
    (r#""cron":"'; DROP TABLE x; --""#, "/cron", "write"),
    (r#""cron":"* * * * *\u0000""#, "/cron", "day-of-week"),
    (r#""cron":5"#, "/cron", "must be a string"),
    (r#""cron":null"#, "/cron", "is missing"),
    (r#""cron":"0 * * * *","every":"5m""#, "/every", "write one of them"),
    (r#""every":"1500ms""#, "/every", "second"),
    (r#""every":"0s""#, "/every", "second"),
    (r#""every":"often""#, "/every", "is not a duration"),
    (r#""every":"5m","timezone":"UTC""#, "/timezone", "belongs to \"cron\""),
    (r#""every":"5m","seconds":true"#, "/seconds", "belongs to \"cron\""),
    (r#""cron":"0 * * * *","timezone":"Europe/Londn""#, "/timezone", "is not an IANA time zone"),
    (r#""cron":"0 * * * *","timezone":"../../etc/passwd""#, "/timezone", "is not an IANA time zone"),
    (r#""cron":"0 * * * *","seconds":"yes""#, "/seconds", "true or false"),
    (r#""cron":"0 * * * *","dst":"skip""#, "/dst", "must be an object"),
    (r#""cron":"0 * * * *","dst":{"gap":"jump"}"#, "/dst/gap", "`run_once_after`"),
    (r#""cron":"0 * * * *","dst":{"overlap":"third"}"#, "/dst/overlap", "`both`"),
    (r#""cron":"0 * * * *","dst":{"fold":"first"}"#, "/dst/fold", "gap, overlap"),
    (r#""cron":"0 * * * *","missed":{}"#, "/missed/policy", "is required"),
    (r#""cron":"0 * * * *","missed":{"policy":"some"}"#, "/missed/policy", "`last`"),
    (r#""cron":"0 * * * *","missed":{"policy":"all","max":0}"#, "/missed/max", "from 1 to 1000"),
    (r#""cron":"0 * * * *","missed":{"policy":"all","max":1001}"#, "/missed/max", "from 1 to 1000"),
    (r#""cron":"0 * * * *","missed":{"policy":"last","max":3}"#, "/missed/max", "`all`"),
    (r#""cron":"0 * * * *","missed":{"policy":"all","max_age":"30s"}"#, "/missed/max_age", "at least 1m"),
    (r#""cron":"0 * * * *","overlap":"wait""#, "/overlap", "`queue`"),
    (r#""cron":"0 * * * *","jitter":"25h""#, "/jitter", "at most"),
    (r#""cron":"0 * * * *","jitter":"-5m""#, "/jitter", "is not a duration"),
    (r#""cron":"0 * * * *","start_at":"tomorrow""#, "/start_at", "RFC 3339"),
    (r#""cron":"0 * * * *","end_at":"+300000-01-01T00:00:00Z""#, "/end_at", "RFC 3339"),
    (r#""cron":"0 * * * *","end_at":"2026-11-22T09:00:00""#, "/end_at", "with an offset"),
    (r#""cron":"0 * * * *","end_at":"2026-02-01T00:00:00Z""#, "/end_at", "would never fire"),
    (
        r#""cron":"0 * * * *","start_at":"2090-01-01T00:00:00Z","end_at":"2089-01-01T00:00:00Z""#,
        "/end_at",
        "after \"start_at\"",
    ),
    (r#""cron":"0 * * * *","max_runs":0"#, "/max_runs", "from 1"),
    (r#""cron":"0 * * * *","max_runs":1.5"#, "/max_runs", "whole number"),
    (r#""cron":"0 * * * *","max_runs":18446744073709551616"#, "/max_runs", "whole number"),
    (r#""cron":"0 * * * *","paused":"no""#, "/paused", "true or false"),
    (r#""cron":"0 * * * *","source":"my file""#, "/source", "letters"),
    (r#""cron":"0 * * * *","crn":1"#, "/crn", "is not a field of a schedule"),
    (r#""cron":"0 * * * *","id":"x""#, "/id", "is not a field of a schedule"),
];

/// The same of its job.
const BAD_JOBS: &[(&str, &str, &str)] = &[
    (r#"null"#, "/job", "must be an object"),
    (r#"{"payload":1}"#, "/job/kind", "is required"),
    (r#"{"kind":"echo"}"#, "/job/payload", "is required"),
    (r#"{"kind":"a b","payload":1}"#, "/job/kind", "letters"),
    (r#"{"kind":"echo","payload":1,"queue":"a:b"}"#, "/job/queue", "letters"),
    (r#"{"kind":"echo","payload":1,"priority":10}"#, "/job/priority", "from 0 to 9"),
    (r#"{"kind":"echo","payload":1,"max_attempts":0}"#, "/job/max_attempts", "from 1 to 1000"),
    (r#"{"kind":"echo","payload":1,"timeout":"25h"}"#, "/job/timeout", "24h"),
    (r#"{"kind":"echo","payload":1,"retry":{"base":"0s"}}"#, "/job/retry/base", "1ms"),
    (r#"{"kind":"echo","payload":1,"retry":{"jitter":1}}"#, "/job/retry/jitter", "is not a field of retry"),
    (r#"{"kind":"echo","payload":1,"tags":{"a:b":"c"}}"#, "/job/tags/a:b", "':'"),
    (r#"{"kind":"echo","payload":1,"tags":{"haul.tick":"c"}}"#, "/job/tags/haul.tick", "is set by the schedule"),
    (r#"{"kind":"echo","payload":1,"run_at":"2027-01-01T00:00:00Z"}"#, "/job/run_at", "at its tick"),
    (r#"{"kind":"echo","payload":1,"delay":"1s"}"#, "/job/delay", "at its tick"),
    (r#"{"kind":"echo","payload":1,"deadline":"2027-01-01T00:00:00Z"}"#, "/job/deadline", "cannot share"),
    (r#"{"kind":"echo","payload":1,"idempotency_key":"k"}"#, "/job/idempotency_key", "is not needed"),
    (r#"{"kind":"echo","payload":1,"quue":"x"}"#, "/job/quue", "is not a field of a schedule's job"),
];

#[tokio::test]
async fn what_is_no_schedule_is_refused_with_its_place_the_reason_and_a_hint() {
    let world = World::new().await;
    let job = r#"{"kind":"echo","payload":1}"#;
    let bodies = BAD
        .iter()
        .map(|(members, pointer, said)| (format!("{{\"name\":\"a\",{members},\"job\":{job}}}"), pointer, said));
    let jobs = BAD_JOBS.iter().map(|(job, pointer, said)| {
        (format!("{{\"name\":\"a\",\"cron\":\"0 * * * *\",\"job\":{job}}}"), pointer, said)
    });
    let mut wrong = Vec::new();
    for (body, pointer, said) in bodies.chain(jobs) {
        let answer = world.send("POST /v1/schedules", &[("content-type", "application/json")], &body).await;
        let problem = answer.problem(422, "invalid-schedule");
        assert!(problem["hint"].as_str().unwrap().contains("preview"), "{problem}");
        let errors = problem["errors"].as_array().unwrap();
        let is_said = |error: &Value| error["pointer"] == *pointer && error["detail"].as_str().unwrap().contains(said);
        if errors.len() != 1 || !is_said(&errors[0]) {
            wrong.push(format!("{body} is answered {errors:?}, not {pointer} {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(world.get("/v1/schedules").await.expect(200)["data"], json!([]), "nothing was created");
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let world = World::new().await;
    let body = json!({"cron": "61 * * * *", "timezone": "Mars/Base", "color": 1, "job": {"kind": "", "priority": 10}});
    let problem = world.post_json("/v1/schedules", &body).await.problem(422, "invalid-schedule");
    let mut pointers: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/color", "/cron", "/job/kind", "/job/payload", "/job/priority", "/name", "/timezone"]);
}

#[tokio::test]
async fn broken_requests_are_told_from_wrong_ones() {
    let world = World::new().await;
    let json_type = [("content-type", "application/json")];
    for body in ["", "{", "{\"name\":\"a\"} x", "{\"name\":\"a\",\"name\":\"b\"}", "\u{feff}{}"] {
        world.send("POST /v1/schedules", &json_type, body).await.problem(400, "malformed-json");
    }
    for body in ["[]", "7", "null"] {
        let problem = world.send("POST /v1/schedules", &json_type, body).await.problem(422, "invalid-schedule");
        assert_eq!(problem["errors"][0]["detail"], "must be an object");
    }
    world.send("POST /v1/schedules", &[], hourly("a").to_string()).await.problem(415, "unsupported-media-type");
    let deep = format!("{{\"name\":\"a\",\"job\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    world.send("POST /v1/schedules", &json_type, deep).await.problem(400, "malformed-json");
    for path in ["/v1/schedules/a%00b", "/v1/schedules/a%ffb", "/v1/schedules/a%20b", "/v1/schedules/%2e%2e"] {
        world.get(path).await.problem(400, "invalid-path");
    }
    for query in ["limit=0", "limit=101", "limit=abc", "limit=1&limit=1", "page=1"] {
        world.get(&format!("/v1/schedules?{query}")).await.problem(400, "invalid-query");
    }
    world.create(&hourly("a")).await;
    for query in ["next=-1", "next=101", "prev=1"] {
        world.get(&format!("/v1/schedules/a?{query}")).await.problem(400, "invalid-query");
    }
    world.post_json("/v1/schedules?dry_run=maybe", &hourly("b")).await.problem(400, "invalid-query");
    for key in ["", &"k".repeat(256)] {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        world.send("POST /v1/schedules", &headers, hourly("b").to_string()).await.problem(400, "invalid-header");
    }
}

#[tokio::test]
async fn a_job_has_room_for_the_two_tags_of_a_schedule() {
    let world = World::new().await;
    let tags = |count: usize| -> Value { (0..count).map(|n| (format!("t{n}"), json!("v"))).collect() };
    let with = |count| json!({"name": "a", "every": "1h", "job": {"kind": "echo", "payload": 1, "tags": tags(count)}});
    let problem = world.post_json("/v1/schedules", &with(15)).await.problem(422, "invalid-schedule");
    assert_eq!(problem["errors"][0], json!({"pointer": "/job/tags", "detail": "has 15 tags, at most 14 are allowed"}));
    world.create(&with(14)).await;
    assert_eq!(world.post("/v1/schedules/a/run").await.expect(201)["tags"].as_object().unwrap().len(), 16);
}
