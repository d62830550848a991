//! Bulk: streamed both ways, in constant memory, however the client reads.

use crate::{
    client::read,
    world::{World, job_id, until},
};
use haul_core::Ledger;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const HEAD: &str = "POST /v1/jobs/bulk HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n\
                    transfer-encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("{{\"kind\":\"echo\",\"payload\":{n}}}\n")).collect()
}

fn items(body: &str) -> Vec<Value> {
    body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn items_come_in_order_with_the_totals_last() {
    let world = World::new().await;
    let body = format!("{}{{}}\n\n{}", lines(0..2_500), lines(2_500..2_501));
    let answer = world.send("POST /v1/jobs/bulk", &[("content-type", "application/x-ndjson")], body).await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let items = items(answer.text());
    assert_eq!(items.len(), 2_503);
    assert_eq!(items[2_502], json!({"accepted": 2_501, "rejected": 1}));
    assert_eq!(items[2_500]["error"]["type"], "/problems/invalid-request");
    for (n, place) in [(0, 0), (999, 999), (1_000, 1_000), (2_499, 2_499), (2_500, 2_501)] {
        let id = job_id(items[place]["id"].as_str().unwrap());
        assert_eq!(world.ledger.load(&[id]).await.unwrap()[0].job.payload, n.to_string());
    }
    until("the tickets", async || world.dispatch.enqueued.load(Ordering::Relaxed) == 2_501).await;
}

#[tokio::test]
async fn each_line_is_answered_while_the_client_still_writes() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    let mut received = String::new();
    for n in 0..20 {
        stream.write_all(&chunk(&lines(n..n + 1))).await.unwrap();
        let expected = n as usize + 1;
        while received.matches("\"id\"").count() < expected {
            let mut buffer = [0; 4_096];
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the answer ended early: {received}");
            received.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    while !rest.ends_with(b"0\r\n\r\n") {
        assert!(stream.read_buf(&mut rest).await.unwrap() > 0, "the answer ended early");
    }
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains("{\"accepted\":20,\"rejected\":0}"), "{rest}");
}

#[tokio::test]
async fn a_client_that_reads_last_gets_every_item() {
    const LINES: u32 = 120_000;
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    for from in (0..LINES).step_by(1_000) {
        stream.write_all(&chunk(&lines(from..from + 1_000))).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    // Nothing was read so far: some 6 MB of items wait, more than memory and socket buffers are allowed to hold.
    until("all jobs", async || world.ledger.batches.lock().iter().sum::<usize>() == LINES as usize).await;
    let answer = read(&mut stream).await;
    let items = items(answer.text());
    assert_eq!(items.len(), LINES as usize + 1);
    assert_eq!(items[LINES as usize], json!({"accepted": LINES, "rejected": 0}));
    let id = |n: usize| job_id(items[n]["id"].as_str().unwrap());
    for n in [0, 1, 60_000, LINES as usize - 1] {
        assert_eq!(world.ledger.load(&[id(n)]).await.unwrap()[0].job.payload, n.to_string());
    }
}

#[tokio::test]
async fn what_was_read_before_a_client_left_is_accepted() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    stream.write_all(&chunk(&lines(0..10))).await.unwrap();
    until("ten jobs", async || world.ledger.batches.lock().iter().sum::<usize>() == 10).await;
    drop(stream);
    world.echo().await;
    world.end().await;
}

#[tokio::test]
async fn without_the_ledger_each_line_is_told_so_and_later_ones_go_on() {
    let world = World::new().await;
    // A batch that ran out of tries makes the following ones fail at once.
    world.ledger.down.store(true, Ordering::Relaxed);
    let first = world.post_json("/v1/jobs", &json!({"kind": "echo", "payload": 1})).await;
    let problem = first.problem(503, "ledger-unavailable");
    assert!(!problem.to_string().contains("secret-host"));
    assert!(first.header("retry-after").is_some());
    let answer = world.send("POST /v1/jobs/bulk", &[("content-type", "application/x-ndjson")], lines(0..3)).await;
    let items_down = items(answer.text());
    assert_eq!(items_down[0]["error"]["type"], "/problems/ledger-unavailable");
    assert_eq!(items_down[3], json!({"accepted": 0, "rejected": 3}));
    let batch = json!({"jobs": [{"kind": "echo", "payload": 1}]});
    world.post_json("/v1/jobs/batch", &batch).await.problem(503, "ledger-unavailable");
    world.get("/v1/jobs").await.problem(503, "ledger-unavailable");
    world.ledger.down.store(false, Ordering::Relaxed);
    let answer = world.send("POST /v1/jobs/bulk", &[("content-type", "application/x-ndjson")], lines(0..3)).await;
    assert_eq!(items(answer.text())[3], json!({"accepted": 3, "rejected": 0}));
}
