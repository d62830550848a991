//! The whole list "Bad input that must get a clear answer", as far as it concerns jobs: each entry gets its problem,
//! never a 500, never a dropped connection, and the API goes on.

use crate::{
    client::{read, send},
    world::{World, request},
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

const JSON: (&str, &str) = ("content-type", "application/json");

/// A submit with these members beside kind and payload.
fn with(members: &str) -> String {
    format!("{{\"kind\":\"echo\",\"payload\":1,{members}}}")
}

fn payload(payload: &str) -> String {
    format!("{{\"kind\":\"echo\",\"payload\":{payload}}}")
}

async fn check(world: &World, name: &str, bytes: &[u8], status: u16, slug: &str) {
    println!("{name}");
    let answer = send(world.address, bytes).await;
    let problem = answer.problem(status, slug);
    assert_ne!(problem["detail"], "", "{name}");
}

#[tokio::test]
async fn json_that_is_none_is_400() {
    let world = World::new().await;
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("broken", b"{\"kind\":".to_vec()),
        ("empty", b"".to_vec()),
        ("blank", b" \n".to_vec()),
        ("trailing text", b"{\"kind\":\"echo\",\"payload\":1} x".to_vec()),
        ("two objects", b"{\"kind\":\"echo\",\"payload\":1}{}".to_vec()),
        ("trailing comma", b"{\"kind\":\"echo\",\"payload\":1,}".to_vec()),
        ("byte order mark", b"\xef\xbb\xbf{\"kind\":\"echo\",\"payload\":1}".to_vec()),
        ("UTF-16", b"\xff\xfe{\x00}\x00".to_vec()),
        ("invalid UTF-8", b"{\"kind\":\"echo\",\"payload\":\"\xff\"}".to_vec()),
        ("overlong UTF-8", b"{\"kind\":\"echo\",\"payload\":\"\xc0\xaf\"}".to_vec()),
        ("an encoded surrogate", b"{\"kind\":\"echo\",\"payload\":\"\xed\xa0\x80\"}".to_vec()),
        ("lone surrogate", payload("\"\\ud800\"").into_bytes()),
        ("lone low surrogate", payload("{\"\\udfff\":1}").into_bytes()),
        ("raw NUL in a string", b"{\"kind\":\"echo\",\"payload\":\"a\x00b\"}".to_vec()),
        ("depth bomb", "[".repeat(100_000).into_bytes()),
        ("depth bomb in the payload", payload(&deep(20_000)).into_bytes()),
        ("depth bomb in an unknown field", with(&format!("\"x\":{}", deep(20_000))).into_bytes()),
        ("one level too deep", payload(&deep(64)).into_bytes()),
        ("duplicate key", with("\"kind\":\"echo\"").into_bytes()),
        ("duplicate key, escaped", with("\"\\u006bind\":\"echo\"").into_bytes()),
        ("duplicate key in the payload", payload("{\"a\":1,\"a\":2}").into_bytes()),
        ("1e400", payload("1e400").into_bytes()),
        ("-1e400", payload("[-1e400]").into_bytes()),
        ("1e400 in an unknown field", with("\"x\":1e400").into_bytes()),
        ("NaN", payload("NaN").into_bytes()),
        ("leading zero", payload("01").into_bytes()),
        ("single quotes", b"{'kind':'echo'}".to_vec()),
    ];
    for (name, body) in cases {
        check(&world, name, &request("POST /v1/jobs", &[JSON], &body), 400, "malformed-json").await;
        let batch = [b"{\"jobs\":[", body.as_slice(), b"]}"].concat();
        if !matches!(name, "empty" | "blank" | "one level too deep") {
            check(&world, name, &request("POST /v1/jobs/batch", &[JSON], &batch), 400, "malformed-json").await;
        }
    }
    // What only looks dangerous is accepted.
    for body in
        [payload(&deep(63)), payload("\"\\u0000\""), payload("1e308"), payload("1e-400"), payload("\"\\ud83d\\ude00\"")]
    {
        world.send("POST /v1/jobs", &[JSON], &body).await.expect(201);
    }
}

#[tokio::test]
async fn data_that_cannot_be_is_422_and_says_where() {
    let world = World::new().await;
    let long = "x".repeat(300);
    let cases: Vec<(String, &str)> = vec![
        ("{}".into(), "/kind"),
        ("{\"kind\":\"echo\"}".into(), "/payload"),
        ("{\"payload\":1}".into(), "/kind"),
        ("{\"kind\":null,\"payload\":1}".into(), "/kind"),
        ("{\"kind\":[],\"payload\":1}".into(), "/kind"),
        ("{\"kind\":\"a b\",\"payload\":1}".into(), "/kind"),
        ("[]".into(), ""),
        ("null".into(), ""),
        ("\"echo\"".into(), ""),
        (with("\"queue\":\"\""), "/queue"),
        (with(&format!("\"queue\":\"{long}\"")), "/queue"),
        (with("\"queue\":\"a:b\""), "/queue"),
        (with("\"queue\":\"{a}\""), "/queue"),
        (with("\"queue\":\"../a\""), "/queue"),
        (with("\"queue\":\"a\\r\\nb\""), "/queue"),
        (with("\"queue\":\"a\\u0000\""), "/queue"),
        (with("\"queue\":\"'; DROP TABLE job\""), "/queue"),
        (with("\"queue\":7"), "/queue"),
        (with("\"max_attempts\":-1"), "/max_attempts"),
        (with("\"max_attempts\":0"), "/max_attempts"),
        (with("\"max_attempts\":1e9"), "/max_attempts"),
        (with("\"max_attempts\":1000000000"), "/max_attempts"),
        (with("\"max_attempts\":99999999999999999999999"), "/max_attempts"),
        (with("\"max_attempts\":1.5"), "/max_attempts"),
        (with("\"max_attempts\":\"3\""), "/max_attempts"),
        (with("\"priority\":10"), "/priority"),
        (with("\"timeout\":0"), "/timeout"),
        (with("\"timeout\":\"0s\""), "/timeout"),
        (with("\"timeout\":\"soon\""), "/timeout"),
        (with("\"timeout\":\"99999999999999999999h\""), "/timeout"),
        (with("\"run_at\":\"infinity\""), "/run_at"),
        (with("\"run_at\":\"300000-01-01T00:00:00Z\""), "/run_at"),
        (with("\"run_at\":\"9999-12-31T23:59:59Z\""), "/run_at"),
        (with("\"run_at\":\"2030-01-01T00:00:00\""), "/run_at"),
        (with("\"run_at\":1893456000"), "/run_at"),
        (with("\"run_at\":\"2030-02-30T00:00:00Z\""), "/run_at"),
        (with("\"run_at\":\"2030-01-01T00:00:00Z\",\"delay\":\"1s\""), "/delay"),
        (with("\"delay\":\"-1s\""), "/delay"),
        (with("\"delay\":\"100years\""), "/delay"),
        (with("\"deadline\":\"2020-01-01T00:00:00Z\""), "/deadline"),
        (with("\"tags\":{\"a\":1}"), "/tags/a"),
        (with("\"retry\":\"1s\""), "/retry"),
        (with("\"prioritty\":1"), "/prioritty"),
        (with("\"__proto__\":{}"), "/__proto__"),
        (with("\"idempotency_key\":\"k\""), "/idempotency_key"),
        (payload(&format!("\"{}\"", "x".repeat(262_144))), "/payload"),
    ];
    for (body, pointer) in cases {
        println!("{}", &body[..body.len().min(100)]);
        let answer = world.send("POST /v1/jobs", &[JSON], &body).await;
        let problem = answer.problem(422, "invalid-request");
        let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
        assert!(pointers.contains(&&json!(pointer)), "{problem}");
    }
    for (body, pointer) in [
        ("{}".to_owned(), "/jobs"),
        ("{\"jobs\":[]}".to_owned(), "/jobs"),
        ("{\"jobs\":{}}".to_owned(), "/jobs"),
        ("[]".to_owned(), ""),
        ("{\"jobs\":[1],\"x\":1}".to_owned(), "/x"),
        (format!("{{\"jobs\":[{}1]}}", "1,".repeat(10_000)), "/jobs"),
    ] {
        let answer = world.send("POST /v1/jobs/batch", &[JSON], &body).await;
        assert_eq!(answer.problem(422, "invalid-request")["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn values_are_never_echoed() {
    let world = World::new().await;
    let body = with("\"queue\":\"4242 4242 4242 4242\",\"priority\":4242424242424242,\"run_at\":\"4242424242424242\"");
    let answer = world.send("POST /v1/jobs", &[JSON], body).await;
    answer.problem(422, "invalid-request");
    assert!(!answer.text().contains("4242"), "{}", answer.text());
}

#[tokio::test]
async fn bodies_of_the_wrong_type_encoding_or_size_are_refused() {
    let world = World::new().await;
    let body = payload("1").into_bytes();
    for (name, headers) in [
        ("missing content type", vec![]),
        ("empty content type", vec![("content-type", "")]),
        ("text", vec![("content-type", "text/plain")]),
        ("a form", vec![("content-type", "application/x-www-form-urlencoded")]),
        ("two types", vec![JSON, ("content-type", "text/plain")]),
        ("another charset", vec![("content-type", "application/json; charset=utf-16")]),
        ("gzip", vec![JSON, ("content-encoding", "gzip")]),
        ("identity and gzip", vec![JSON, ("content-encoding", "identity"), ("content-encoding", "gzip")]),
    ] {
        check(&world, name, &request("POST /v1/jobs", &headers, &body), 415, "unsupported-media-type").await;
    }
    let line = "POST /v1/jobs/bulk";
    check(&world, "bulk as JSON", &request(line, &[JSON], &body), 415, "unsupported-media-type").await;
    for content_type in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
        world.send("POST /v1/jobs", &[("content-type", content_type)], &body).await.expect(201);
    }

    let large = vec![b' '; 3 << 20];
    check(&world, "large", &request("POST /v1/jobs", &[JSON], &large), 413, "body-too-large").await;
    let chunk = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    let chunked = request("POST /v1/jobs", &[JSON, ("transfer-encoding", "chunked")], &chunk);
    check(&world, "large, chunked", &chunked, 413, "body-too-large").await;
    let untold = request("POST /v1/jobs", &[JSON, ("content-length", "99999999999")], &large);
    check(&world, "larger than anybody sends", &untold, 413, "body-too-large").await;
    let asking = [JSON, ("expect", "100-continue"), ("content-length", "2000000")];
    check(&world, "large, asking first", &request("POST /v1/jobs", &asking, b""), 413, "body-too-large").await;
    world.echo().await;
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_body_is_not_lost() {
    let world = World::with(|config| config.admin_key = Some("k".to_owned().into())).await;
    let large = vec![b'x'; 8 << 20];
    for line in ["POST /v1/jobs", "POST /v1/jobs/bulk", "POST /v1/nope"] {
        check(&world, line, &request(line, &[JSON], &large), 401, "unauthorized").await;
    }
    check(&world, "no such path", &request("POST /nope", &[JSON], &large), 404, "not-found").await;
    check(&world, "no such method", &request("POST /healthz", &[JSON], &large), 405, "method-not-allowed").await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_408() {
    let world = World::with(|config| config.api.request_timeout = haul_core::Span::from_ms(500)).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let begun = request("POST /v1/jobs", &[JSON, ("content-length", "100")], b"{\"kind\":");
    stream.write_all(&begun).await.unwrap();
    read(&mut stream).await.problem(408, "request-timeout");
    // A client that ends its direction too early is told, too.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&begun).await.unwrap();
    stream.shutdown().await.unwrap();
    read(&mut stream).await.problem(400, "malformed-json");
}

#[tokio::test]
async fn ids_and_names_that_are_none_are_told_from_unknown_ones() {
    let world = World::new().await;
    let long = "a".repeat(5_000);
    for id in [
        "x",
        "%00",
        "%ff",
        "0",
        "..%2f",
        "01945a7ee9a17a3aba9a0e9a7d0e9f5",
        "{01945a7e-e9a1-7a3a-ba9a-0e9a7d0e9f5a}",
        "01945a7ee9a17a3aba9a0e9a7d0e9f5a",
        "01945a7e-e9a1-7a3a-ba9a-0e9a7d0e9f5g",
        "%F0%9F%98%80",
        &long,
        "1%27OR%271",
    ] {
        for line in
            [format!("GET /v1/jobs/{id}"), format!("POST /v1/jobs/{id}/cancel"), format!("POST /v1/jobs/{id}/rerun")]
        {
            check(&world, &line, &request(&line, &[], b""), 400, "invalid-path").await;
        }
    }
    for id in [
        "01945a7e-e9a1-7a3a-ba9a-0e9a7d0e9f5a",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ] {
        for line in
            [format!("GET /v1/jobs/{id}"), format!("POST /v1/jobs/{id}/cancel"), format!("POST /v1/jobs/{id}/rerun")]
        {
            check(&world, &line, &request(&line, &[], b""), 404, "job-not-found").await;
        }
    }
    for queue in ["%00", "%ff", "a%3Ab", "..%2fx", "%7Ba%7D", &long] {
        let line = format!("POST /v1/queues/{queue}/pause");
        check(&world, &line, &request(&line, &[], b""), 400, "invalid-path").await;
    }
    for line in ["GET /v1/jobs/", "GET /v1//jobs", "GET /v1/jobs/../jobs", "GET /v2/jobs", "GET /%00", "GET /%ff"] {
        check(&world, line, &request(line, &[], b""), 404, "not-found").await;
    }
}

#[tokio::test]
async fn queries_are_read_strictly() {
    let world = World::new().await;
    for query in [
        "limit=0",
        "limit=-1",
        "limit=abc",
        "limit=101",
        "limit=",
        "limit=1e1",
        "limit=%2B1",
        "limit=99999999999999999999",
        "limit=1&limit=1",
        "state=done",
        "state=",
        "queue=a:b",
        "queue=%00",
        "queue=%ff",
        "kind=",
        "tag=x",
        "tag=:x",
        "created_from=yesterday",
        "created_before=2026-01-01",
        "x=1",
        "Limit=1",
        "wait=1s",
        "limit=1&%6Cimit=1",
    ] {
        let line = format!("GET /v1/jobs?{query}");
        check(&world, &line, &request(&line, &[], b""), 400, "invalid-query").await;
    }
    let id = world.echo().await;
    for query in ["wait=1", "wait=-1s", "wait=61s", "wait=1s&wait=1s", "wait=", "x=1", "wait=forever"] {
        let line = format!("GET /v1/jobs/{id}?{query}");
        check(&world, &line, &request(&line, &[], b""), 400, "invalid-query").await;
    }
    let line = "POST /v1/jobs?dry=1";
    check(&world, line, &request(line, &[JSON], payload("1").as_bytes()), 400, "invalid-query").await;
    let answer = world.get("/v1/jobs?limit=0&x=1&state=y").await.problem(400, "invalid-query");
    let pointers: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(pointers, [json!("?state"), json!("?limit"), json!("?x")]);
}

#[tokio::test]
async fn idempotency_keys_are_read_strictly() {
    let world = World::new().await;
    let (longest, too_long) = ("k".repeat(255), "k".repeat(256));
    let body = payload("1").into_bytes();
    for (name, keys) in [
        ("empty", vec![""]),
        ("256 characters", vec![too_long.as_str()]),
        ("doubled", vec!["k", "k"]),
        ("a tab", vec!["a\tb"]),
        ("no ASCII", vec!["é"]),
    ] {
        let mut headers = vec![JSON];
        headers.extend(keys.into_iter().map(|key| ("idempotency-key", key)));
        check(&world, name, &request("POST /v1/jobs", &headers, &body), 400, "invalid-header").await;
    }
    world.send("POST /v1/jobs", &[JSON], &body).await.expect(201);
    world.send("POST /v1/jobs", &[JSON, ("idempotency-key", &longest)], &body).await.expect(201);
    for (line, content_type) in
        [("POST /v1/jobs/batch", "application/json"), ("POST /v1/jobs/bulk", "application/x-ndjson")]
    {
        let headers = [("content-type", content_type), ("idempotency-key", "k")];
        check(&world, line, &request(line, &headers, b"{}"), 400, "invalid-header").await;
    }
    for key in ["\"\"", &format!("\"{too_long}\""), "7", "\"a\\nb\"", "\"é\""] {
        let batch = format!("{{\"jobs\":[{{\"kind\":\"echo\",\"payload\":1,\"idempotency_key\":{key}}}]}}");
        let answer = world.send("POST /v1/jobs/batch", &[JSON], batch).await.expect(201);
        assert_eq!(answer["data"][0]["error"]["errors"][0]["pointer"], "/jobs/0/idempotency_key");
    }
}

#[tokio::test]
async fn jobs_in_the_wrong_state_are_409() {
    let world = World::new().await;
    let (running, ended) = (world.echo().await, world.echo().await);
    world.succeed(&ended).await;
    assert_eq!(world.claim("default", 1).await.len(), 1);
    world.post(&format!("/v1/jobs/{running}/rerun")).await.problem(409, "job-not-ended");
    world.post(&format!("/v1/jobs/{ended}/cancel")).await.problem(409, "job-ended");
    let rerun = format!("POST /v1/jobs/{ended}/rerun");
    world.send(&rerun, &[JSON], "{\"x\":1}").await.problem(422, "invalid-request");
    world.send(&rerun, &[JSON], "nonsense").await.problem(400, "malformed-json");
    world.send(&rerun, &[JSON], "{}").await.expect(201);
}

#[tokio::test]
async fn every_line_of_a_bulk_request_is_judged_alone() {
    let world = World::new().await;
    let good = payload("1");
    let lines: Vec<(Vec<u8>, Option<&str>)> = vec![
        (good.clone().into_bytes(), None),
        (b"{".to_vec(), Some("malformed-json")),
        (b"\xef\xbb\xbf{}".to_vec(), Some("malformed-json")),
        (b"\"\xff\"".to_vec(), Some("malformed-json")),
        (payload("\"\\ud800\"").into_bytes(), Some("malformed-json")),
        (payload("1e400").into_bytes(), Some("malformed-json")),
        (payload(&"[".repeat(200_000)).into_bytes(), Some("malformed-json")),
        (with("\"kind\":\"x\"").into_bytes(), Some("malformed-json")),
        (format!("{good}{good}").into_bytes(), Some("malformed-json")),
        (with("\"queue\":\"a:b\"").into_bytes(), Some("invalid-request")),
        (b"{}".to_vec(), Some("invalid-request")),
        (b"[]".to_vec(), Some("invalid-request")),
        (vec![b' '; 2 << 20], Some("body-too-large")),
        (format!(" {good}\r").into_bytes(), None),
    ];
    let body: Vec<u8> = lines.iter().flat_map(|(line, _)| [line, &b"\n"[..], b"\n"].concat()).collect();
    let answer = world.send("POST /v1/jobs/bulk", &[("content-type", "application/x-ndjson")], body).await;
    assert_eq!(answer.status, 200);
    let items: Vec<serde_json::Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(items.len(), lines.len() + 1);
    for (item, (line, slug)) in items.iter().zip(&lines) {
        let slug = slug.map(|slug| json!(format!("/problems/{slug}"))).unwrap_or_default();
        assert_eq!(item["error"]["type"], slug, "{}", String::from_utf8_lossy(&line[..line.len().min(80)]));
        assert_eq!(item["id"].is_string(), slug.is_null());
    }
    assert_eq!(items[lines.len()], json!({"accepted": 2, "rejected": 12}));
}

#[tokio::test]
async fn what_is_known_of_a_kinds_payload_is_told_at_its_submit() {
    let world = World::new().await;
    let one = world.send("POST /v1/jobs", &[JSON], r#"{"kind": "picky", "payload": "bad", "priority": 99}"#).await;
    let problem = one.problem(422, "invalid-request");
    let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert!(pointers.contains(&&json!("/payload/url")) && pointers.contains(&&json!("/priority")), "{problem}");
    let batch = r#"{"jobs": [{"kind": "picky", "payload": "good"}, {"kind": "picky", "payload": "bad"}]}"#;
    let answer = world.send("POST /v1/jobs/batch", &[JSON], batch).await.json();
    assert_eq!(answer["data"][1]["error"]["errors"][0]["pointer"], "/jobs/1/payload/url", "{answer}");
    assert!(answer["data"][0]["id"].is_string(), "{answer}");
}
