//! Which servers are let in.

use haul_core::dispatch::DispatchError;
use haul_redis::{RedisDispatch, Timeouts};
use haul_testkit::redis::{Options, Server};

async fn refusal(url: &str) -> DispatchError {
    RedisDispatch::connect(&url.into(), Timeouts::default()).await.expect_err("it was let in")
}

#[tokio::test]
async fn a_server_that_may_evict_is_refused_with_the_command_that_mends_it() {
    let server = Server::start(&Options::default()).unwrap();
    for maxmemory in ["100mb", "0"] {
        server.cli(&["CONFIG", "SET", "maxmemory", maxmemory]).unwrap();
        server.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).unwrap();
        let error = refusal(&server.url()).await;
        let DispatchError::Misconfigured(text) = &error else { panic!("{error:?}") };
        assert!(text.contains("CONFIG SET maxmemory-policy noeviction"), "{text}");
        server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).unwrap();
        RedisDispatch::connect(&server.url().as_str().into(), Timeouts::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_mistake_and_no_outage_and_is_not_shown() {
    let server = Server::start(&Options { settings: vec!["--requirepass".into(), "hush".into()], append_only: false });
    // The testkit waits for the log line only, and so needs no password.
    let server = server.unwrap();
    for url in [server.url(), format!("redis://:hushhush@127.0.0.1:{}", server.port())] {
        let error = refusal(&url).await;
        assert!(matches!(error, DispatchError::Misconfigured(_)), "{error:?}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    let url = format!("redis://:hush@127.0.0.1:{}", server.port());
    RedisDispatch::connect(&url.as_str().into(), Timeouts::default()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_outage() {
    let mut server = Server::start(&Options::default()).unwrap();
    server.kill().unwrap();
    let error = refusal(&server.url()).await;
    assert!(matches!(error, DispatchError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn several_servers_that_are_no_cluster_are_refused() {
    let url = crate::world::shared().url();
    let error = refusal(&format!("{url},{url}")).await;
    assert!(matches!(&error, DispatchError::Misconfigured(text) if text.contains("no Redis Cluster")), "{error:?}");
}
