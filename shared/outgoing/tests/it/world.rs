//! Little servers on loopback, and clients that may call some of them.
//!
//! Tests have no public address. So one loopback address, 127.0.0.2, is allowed and stands for all public ones, and the
//! others are as forbidden as ever.

use futures::future::BoxFuture;
use haul_core::{
    Config,
    config::{Allow, AllowList, OutgoingConfig},
};
use haul_outgoing::{Lookup, Outgoing};
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    process::Command,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Stands for all public addresses.
pub(crate) const PUBLIC: &str = "127.0.0.2";

pub(crate) fn allowing(entries: &[&str]) -> OutgoingConfig {
    let network = |text: &&str| match text.parse::<IpAddr>() {
        Ok(address) => Allow::Network(address.into()),
        Err(_) if *text == "loopback" => Allow::Loopback,
        Err(_) => text.parse().map_or_else(|_| Allow::Host((*text).to_owned()), Allow::Network),
    };
    let allow = AllowList::Only(entries.iter().map(network).collect());
    OutgoingConfig { allow, ..Config::defaults().outgoing }
}

/// A client for which 127.0.0.2 is public.
pub(crate) fn client() -> Outgoing {
    Outgoing::new(&allowing(&[PUBLIC])).unwrap()
}

/// A server that answers each request with what `answer` makes of it, and keeps them.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn on(host: &str, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (requests.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (kept, answer) = (kept.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
                        if stream.read_buf(&mut bytes).await? == 0 {
                            break;
                        }
                    }
                    let request = String::from_utf8_lossy(&bytes).into_owned();
                    let answer = answer(&request);
                    kept.lock().unwrap().push(request);
                    stream.write_all(&answer).await
                });
            }
        });
        Self { address, requests }
    }

    /// One that answers 200 with this body.
    pub(crate) async fn ok(host: &str) -> Self {
        Self::on(host, |_| answer("200 OK", "", b"fine")).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// An answer that closes its connection.
pub(crate) fn answer(status: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Gives one answer after the other, the last one for ever.
pub(crate) struct Script(Mutex<VecDeque<Vec<IpAddr>>>);

impl Script {
    pub(crate) fn of(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parse).collect())))
    }
}

impl Lookup for Script {
    fn lookup(&self, _name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { Ok(answer.unwrap_or_default()) })
    }
}

/// Runs the test of this name again where there is no network, so that a guard that fails sends nothing. Whether the caller
/// is done; where namespaces cannot be made it goes on by itself.
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
pub(crate) fn ran_without_network(test: &str) -> bool {
    const INSIDE: &str = "OUTGOING_TEST_WITHOUT_NETWORK";
    let may = || Command::new("unshare").args(["--net", "true"]).status().is_ok_and(|status| status.success());
    if std::env::var_os(INSIDE).is_some() || !may() {
        return false;
    }
    let this = std::env::current_exe().unwrap();
    let run = Command::new("unshare").arg("--net").arg(this).args(["--exact", test]).env(INSIDE, "1").output().unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && told.contains("1 passed"), "{told}{}", String::from_utf8_lossy(&run.stderr));
    true
}
