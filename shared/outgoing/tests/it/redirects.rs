//! Redirects: not followed unless asked, and measured by the same rules at each step.

use crate::world::{PUBLIC, Server, answer, client};
use haul_outgoing::{Call, CallError, Refusal};
use http::{HeaderValue, Method, header};

#[tokio::test]
async fn a_redirect_is_an_answer_unless_a_call_asks_for_more() {
    let server = Server::on(PUBLIC, |_| answer("302 Found", "Location: /next\r\n", b"")).await;
    let outgoing = client();
    let call = Call::new(Method::GET, outgoing.check(&server.url("/")).unwrap());
    assert_eq!(outgoing.send(call.clone()).await.unwrap().status, 302);
    let post = Call { method: Method::POST, redirects_max: 3, ..call.clone() };
    assert_eq!(outgoing.send(post).await.unwrap().status, 302);
    let endless = outgoing.send(Call { redirects_max: 3, ..call }).await.unwrap_err();
    assert!(matches!(endless, CallError::Refused(Refusal::Redirects(3))), "{endless:?}");
    assert_eq!(server.requests().len(), 1 + 1 + 4);
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_place_is_refused_and_never_dialled() {
    let victim = Server::ok("127.0.0.1").await;
    let port = victim.address.port();
    let places = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("//127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://user@127.0.0.2:{port}/"),
        "file:///etc/passwd".to_owned(),
        "http://169.254.169.254/".to_owned(),
        format!("\\\\127.0.0.1:{port}/"),
    ];
    let outgoing = client();
    for place in places {
        let server = {
            let place = place.clone();
            Server::on(PUBLIC, move |_| answer("302 Found", &format!("Location: {place}\r\n"), b"")).await
        };
        let target = outgoing.check(&server.url("/")).unwrap();
        let error = outgoing.send(Call { redirects_max: 5, ..Call::new(Method::GET, target) }).await.unwrap_err();
        assert!(matches!(error, CallError::Refused(Refusal::Redirected(_))), "{place}: {error:?}");
    }
    assert!(victim.requests().is_empty());
}

#[tokio::test]
async fn credentials_go_no_further_than_the_first_place() {
    let second = Server::ok(PUBLIC).await;
    let location = format!("Location: {}\r\n", second.url("/second"));
    let first = Server::on(PUBLIC, move |request| match request.starts_with("GET /first") {
        true => answer("307 Temporary Redirect", "Location: /same\r\n", b""),
        false => answer("307 Temporary Redirect", &location, b""),
    })
    .await;
    let outgoing = client();
    let mut call = Call::new(Method::GET, outgoing.check(&first.url("/first")).unwrap());
    call.redirects_max = 5;
    let mut secret = HeaderValue::from_static("hush");
    call.headers.insert(header::AUTHORIZATION, secret.clone());
    secret.set_sensitive(true);
    call.headers.insert("x-key", secret);
    call.headers.insert("x-plain", HeaderValue::from_static("seen"));
    assert_eq!(outgoing.send(call).await.unwrap().body, "fine");
    assert!(first.requests().iter().all(|request| request.contains("hush")) && first.requests().len() == 2);
    let [request] = &second.requests()[..] else { panic!("{:?}", second.requests()) };
    assert!(!request.contains("hush") && request.contains("x-plain: seen"), "{request}");
}
