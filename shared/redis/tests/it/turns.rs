//! Whose turn a chore is.

use crate::world::connect;
use haul_core::{Dispatch, dispatch::Chore};
use haul_testkit::redis::{Options, Server};
use std::time::Duration;

#[tokio::test]
async fn of_two_processes_one_has_its_turn_within_a_time() {
    let server = Server::start(&Options::default()).unwrap();
    let (one, other) = (connect(&server.url()).await, connect(&server.url()).await);
    let long = Duration::from_secs(600);
    assert!(one.turn(Chore::Audit, long).await.unwrap());
    assert!(!one.turn(Chore::Audit, long).await.unwrap());
    assert!(!other.turn(Chore::Audit, long).await.unwrap());
    let short = Duration::from_millis(50);
    assert!(other.turn(Chore::SecondLook, short).await.unwrap(), "another chore");
    crate::world::eventually(async || one.turn(Chore::SecondLook, short).await.unwrap().then_some(())).await;
    server.cli(&["FLUSHALL"]).unwrap();
    assert!(other.turn(Chore::Audit, long).await.unwrap());
}
