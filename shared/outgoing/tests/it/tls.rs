//! HTTPS to a server whose certificate no public authority has signed: `outgoing.roots`.

use crate::world::{Script, allowing};
use haul_core::config::OutgoingConfig;
use haul_outgoing::{Answer, Call, CallError, Outgoing};
use haul_testkit::receiver::{Hook, Receiver};
use http::Method;
use std::{error::Error, io::Write};
use tempfile::NamedTempFile;

const NAME: &str = "hooks.example.com";

/// A server that is called [`NAME`], and the file with its certificate.
async fn server() -> (Receiver, Hook, NamedTempFile) {
    let receiver = Receiver::start_tls(&[NAME]).await.unwrap();
    let hook = receiver.hook("/hook");
    let mut roots = NamedTempFile::new().unwrap();
    roots.write_all(receiver.certificate_pem().unwrap().as_bytes()).unwrap();
    (receiver, hook, roots)
}

/// A client that finds every name at 127.0.0.1, and may call there.
fn trusting(roots: Option<&NamedTempFile>) -> Outgoing {
    let roots = roots.map(|file| file.path().to_owned());
    let config = OutgoingConfig { roots, ..allowing(&["127.0.0.1"]) };
    Outgoing::with_lookup(&config, Script::of(&[&["127.0.0.1"]])).unwrap()
}

async fn post(outgoing: &Outgoing, url: &str) -> Result<Answer, CallError> {
    outgoing.send(Call::new(Method::POST, outgoing.check(url).unwrap())).await
}

/// An error with its causes.
fn chain(error: &CallError) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text.push_str(&format!("\n{error}"));
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_server_is_believed_with_its_root_and_not_without() {
    let (_receiver, hook, roots) = server().await;
    // It answers, over TLS: 401, as it knows no secret.
    assert_eq!(post(&trusting(Some(&roots)), hook.url()).await.unwrap().status, 401);
    assert_eq!(hook.books().arrivals.len(), 1);
    let error = post(&trusting(None), hook.url()).await.unwrap_err();
    assert!(chain(&error).contains("certificate"), "{}", chain(&error));
    let (_other, _, another) = server().await;
    let error = post(&trusting(Some(&another)), hook.url()).await.unwrap_err();
    assert!(chain(&error).contains("certificate"), "{}", chain(&error));
    assert_eq!(hook.books().arrivals.len(), 1, "nothing was said to a server that is not believed");
}

#[tokio::test]
async fn a_server_is_not_believed_under_a_name_that_its_certificate_does_not_hold() {
    let (receiver, hook, roots) = server().await;
    for host in ["hooks.example.net", "example.com", "127.0.0.1"] {
        let error =
            post(&trusting(Some(&roots)), &format!("https://{host}:{}/hook", receiver.port())).await.unwrap_err();
        assert!(chain(&error).contains("certificate"), "{host}: {}", chain(&error));
    }
    assert!(hook.books().arrivals.is_empty());
}
