//! What is sent, how much is read, and what an error says.

use crate::world::{PUBLIC, Server, answer, client};
use haul_outgoing::{Beyond, Call, CallError, Caps, Refusal};
use http::{HeaderName, HeaderValue, Method};
use std::time::Duration;
use tokio::net::TcpListener;

#[tokio::test]
async fn a_body_is_read_up_to_its_cap_and_never_decompressed() {
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0xcb, 0xcc, 0x4b, 5, 0];
    let server = Server::on(PUBLIC, move |request| match request.starts_with("GET /packed") {
        true => answer("200 OK", "Content-Encoding: gzip\r\n", &packed),
        false => answer("200 OK", "", &[b'x'; 100_000]),
    })
    .await;
    let outgoing = client();
    let call = |path: &str, body_bytes_max, beyond| Call {
        caps: Caps { body_bytes_max, beyond },
        ..Call::new(Method::GET, outgoing.check(&server.url(path)).unwrap())
    };
    let cut = outgoing.send(call("/", 1_000, Beyond::Cut)).await.unwrap();
    assert_eq!((cut.body.len(), cut.truncated), (1_000, true));
    let exact = outgoing.send(call("/", 100_000, Beyond::Refuse)).await.unwrap();
    assert_eq!((exact.body.len(), exact.truncated), (100_000, false));
    let refused = outgoing.send(call("/", 99_999, Beyond::Refuse)).await.unwrap_err();
    assert!(matches!(refused, CallError::TooLarge { part: "body", bytes_max: 99_999 }), "{refused:?}");
    assert_eq!(outgoing.send(call("/packed", 1_000, Beyond::Refuse)).await.unwrap().body, &packed[..]);
    assert!(server.requests().iter().all(|request| !request.contains("accept-encoding")));
}

#[tokio::test]
async fn a_large_head_fails_the_call() {
    let head = format!("X-Large: {}\r\n", "x".repeat(80_000));
    let many = "X-Many: 1\r\n".repeat(200);
    let server = Server::on(PUBLIC, move |request| {
        answer("200 OK", if request.starts_with("GET /many") { &many } else { &head }, b"")
    })
    .await;
    let outgoing = client();
    let get = |path: &str| outgoing.send(Call::new(Method::GET, outgoing.check(&server.url(path)).unwrap()));
    let error = get("/").await.unwrap_err();
    assert!(matches!(error, CallError::TooLarge { part: "head", .. }), "{error:?}");
    assert!(matches!(get("/many").await, Err(CallError::Unknown { .. })));
}

#[tokio::test]
async fn headers_that_frame_or_route_are_refused_before_anything_is_sent() {
    let server = Server::ok(PUBLIC).await;
    let outgoing = client();
    for name in [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-authorization",
        "x-forwarded-for",
        "forwarded",
        "via",
        "keep-alive",
    ] {
        let mut call = Call::new(Method::GET, outgoing.check(&server.url("/")).unwrap());
        call.headers.insert(HeaderName::from_static(name), HeaderValue::from_static("hush"));
        let error = outgoing.send(call).await.unwrap_err();
        assert!(matches!(&error, CallError::Refused(Refusal::Header(refused)) if refused == name), "{error:?}");
    }
    let mut call = Call::new(Method::GET, outgoing.check(&server.url("/")).unwrap());
    call.headers.insert("x-large", HeaderValue::from_bytes(&[b'x'; 70_000]).unwrap());
    assert!(matches!(outgoing.send(call).await, Err(CallError::Refused(Refusal::HeaderBytes(_)))));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn what_was_not_sent_is_told_from_what_nobody_knows() {
    let outgoing = client();
    let send = async |url: &str| {
        let call = Call::new(Method::POST, outgoing.check(url).unwrap());
        outgoing.send(Call { timeout: Some(Duration::from_millis(300)), ..call }).await.unwrap_err()
    };
    let unused = TcpListener::bind((PUBLIC, 0)).await.unwrap().local_addr().unwrap();
    let not_sent = send(&format!("http://{unused}/?key=hush")).await;
    assert!(matches!(not_sent, CallError::NotSent { .. }), "{not_sent:?}");
    let hangs_up = Server::on(PUBLIC, |_| Vec::new()).await;
    let broken = send(&hangs_up.url("/?key=hush")).await;
    assert!(matches!(broken, CallError::Unknown { .. }), "{broken:?}");
    // Accepts connections, and says nothing.
    let silent = TcpListener::bind((PUBLIC, 0)).await.unwrap();
    let late = send(&format!("http://{}/?key=hush", silent.local_addr().unwrap())).await;
    assert!(matches!(late, CallError::Unknown { what: "it took too long", .. }), "{late:?}");
    let breaks_off = Server::on(PUBLIC, |_| b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour".to_vec()).await;
    assert!(matches!(send(&breaks_off.url("/")).await, CallError::Unknown { .. }));
    for error in [not_sent, broken, late] {
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
    let fails = Server::on(PUBLIC, |_| b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nfour".to_vec()).await;
    let told = outgoing.send(Call::new(Method::GET, outgoing.check(&fails.url("/")).unwrap())).await.unwrap();
    assert_eq!((told.status.as_u16(), &told.body[..], told.truncated), (500, &b"four"[..], true));
}

#[tokio::test]
async fn plain_calls_are_refused_where_only_encrypted_ones_are_allowed() {
    use haul_core::{Config, config::Scheme};
    let config = haul_core::config::OutgoingConfig { schemes: vec![Scheme::Https], ..Config::defaults().outgoing };
    let outgoing = haul_outgoing::Outgoing::new(&config).unwrap();
    assert_eq!(outgoing.check("http://example.com/"), Err(Refusal::Scheme("https://")));
    assert!(outgoing.check("https://example.com/").is_ok());
}
