//! Names, and what they resolve to.

use crate::world::{PUBLIC, Script, Server, allowing, ran_without_network};
use haul_core::Config;
use haul_outgoing::{Answer, Call, CallError, Outgoing, Refusal};
use http::Method;
use std::sync::Arc;

async fn get(outgoing: &Outgoing, url: &str) -> Result<Answer, CallError> {
    outgoing.send(Call::new(Method::GET, outgoing.check(url).unwrap())).await
}

#[tokio::test]
async fn a_name_that_resolves_to_a_forbidden_address_is_refused() {
    if ran_without_network("names::a_name_that_resolves_to_a_forbidden_address_is_refused") {
        return;
    }
    let addresses = [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.168.1.1",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "ff02::1",
    ];
    for address in addresses {
        let outgoing = Outgoing::with_lookup(&Config::defaults().outgoing, Script::of(&[&[address]])).unwrap();
        let error = get(&outgoing, "http://hooks.example.com/?key=hush").await.unwrap_err();
        assert!(matches!(&error, CallError::Refused(Refusal::Resolved { .. })), "{address}: {error:?}");
        // The submitter learns what kind of address it is, not which.
        assert!(!error.to_string().contains(address) || address == "::", "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"));
    }
}

#[tokio::test]
async fn one_forbidden_address_among_others_refuses_the_name() {
    let (public, victim) = (Server::ok(PUBLIC).await, Server::ok("127.0.0.1").await);
    let mixed: [&[&str]; 2] = [&[PUBLIC, "127.0.0.1"], &["127.0.0.1", PUBLIC]];
    for answer in mixed {
        let outgoing = Outgoing::with_lookup(&allowing(&[PUBLIC]), Script::of(&[answer])).unwrap();
        for port in [public.address.port(), victim.address.port()] {
            let error = get(&outgoing, &format!("http://mixed.example:{port}/")).await.unwrap_err();
            assert!(matches!(error, CallError::Refused(_)), "{error:?}");
        }
    }
    assert!(public.requests().is_empty() && victim.requests().is_empty());
}

#[tokio::test]
async fn a_name_that_is_rebound_between_two_looks_leads_to_neither() {
    let public = Server::ok(PUBLIC).await;
    let script = Script::of(&[&[PUBLIC], &["127.0.0.1"]]);
    let outgoing = Outgoing::with_lookup(&allowing(&[PUBLIC]), script).unwrap();
    let url = format!("http://rebound.example:{}/", public.address.port());
    // Were the name resolved once to check it and once more to dial it, this would reach 127.0.0.1.
    assert_eq!(get(&outgoing, &url).await.unwrap().body, "fine");
    let error = get(&outgoing, &url).await.unwrap_err();
    assert!(matches!(error, CallError::Refused(Refusal::Resolved { .. })), "{error:?}");
    assert_eq!(public.requests().len(), 1);
}

#[tokio::test]
async fn an_allowed_name_may_be_private_but_never_metadata() {
    let config = allowing(&["inside.example"]);
    let server = Server::ok("127.0.0.1").await;
    let url = |name: &str| format!("http://{name}:{}/", server.address.port());
    let inside = Outgoing::with_lookup(&config, Script::of(&[&["127.0.0.1"]])).unwrap();
    assert_eq!(get(&inside, &url("inside.example")).await.unwrap().status, 200);
    assert!(matches!(get(&inside, &url("other.example")).await, Err(CallError::Refused(_))));
    let metadata = Outgoing::with_lookup(&config, Script::of(&[&["169.254.169.254"]])).unwrap();
    assert!(matches!(get(&metadata, &url("inside.example")).await, Err(CallError::Refused(_))));
}

#[tokio::test]
async fn a_name_without_an_address_is_not_sent_and_may_be_tried_again() {
    let nothing: Arc<Script> = Script::of(&[&[]]);
    let outgoing = Outgoing::with_lookup(&Config::defaults().outgoing, nothing).unwrap();
    let error = get(&outgoing, "http://nowhere.example/?key=hush").await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
}
