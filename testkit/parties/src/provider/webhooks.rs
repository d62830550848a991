//! Telling a client what happened, signed as Stripe signs, out of order and sometimes twice; and somebody else who tells it too,
//! and does not know the secret.

use super::now_ms;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rand::Rng;
use sha2::Sha256;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How often an event is sent until it is taken.
const TRIES_MAX: u32 = 10;
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How late an event may be sent: later ones overtake it.
const LATE_MAX_MS: u64 = 500;
/// How many events in a hundred are sent twice.
const TWICE_PERCENT: u32 = 20;
/// How many events in a hundred are forged, too: sent by somebody who has another secret.
const FORGED_PERCENT: u32 = 5;

/// Where events go.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The URL.
    pub url: String,
    /// What they are signed with.
    pub secret: String,
}

/// What became of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// Answered with 2xx, each time that one was sent.
    pub taken: u64,
    /// Sent with a wrong signature, and answered.
    pub forged: u64,
    /// Of those, answered with 2xx: there should be none.
    pub forged_and_taken: u64,
}

/// Brings events to a webhook.
#[derive(Debug)]
pub(super) struct Courier {
    webhook: Webhook,
    told: Arc<Mutex<Told>>,
}

impl Courier {
    pub(super) fn new(webhook: Webhook) -> Self {
        Self { webhook, told: Arc::default() }
    }

    pub(super) fn told(&self) -> Told {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends an event, at some time, until it is answered with 2xx.
    pub(super) fn send(&self, event: String) {
        let times = if rand::rng().random_range(0..100) < TWICE_PERCENT { 2 } else { 1 };
        for _ in 0..times {
            drop(tokio::spawn(deliver(self.webhook.clone(), event.clone(), Arc::clone(&self.told), false)));
        }
        if rand::rng().random_range(0..100) < FORGED_PERCENT {
            let forger = Webhook { secret: format!("not {}", self.webhook.secret), ..self.webhook.clone() };
            drop(tokio::spawn(deliver(forger, event, Arc::clone(&self.told), true)));
        }
    }
}

async fn deliver(webhook: Webhook, event: String, told: Arc<Mutex<Told>>, is_forged: bool) {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    for tried in 0..TRIES_MAX {
        let late_ms = rand::rng().random_range(0..=LATE_MAX_MS) * u64::from(tried + 1);
        sleep(Duration::from_millis(late_ms)).await;
        let request = hyper::Request::post(&webhook.url)
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", signature(&webhook.secret, &event, now_ms() / 1_000))
            .body(Full::from(event.clone()));
        let Ok(request) = request else { return eprintln!("no webhook can be sent to {}", webhook.url) };
        let Ok(Ok(answer)) = timeout(ANSWER_MAX, client.request(request)).await else { continue };
        let is_taken = answer.status().is_success();
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if is_forged {
            told.forged += 1;
            told.forged_and_taken += u64::from(is_taken);
            return;
        }
        if is_taken {
            told.taken += 1;
            return;
        }
    }
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 over the time, a dot and the body.
fn signature(secret: &str, body: &str, at_s: u64) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{at_s}.{body}").as_bytes());
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at_s},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_openssl_computes() {
        // printf '1492774577.{"id":"evt_1"}' | openssl dgst -sha256 -hmac secret
        let expected = "fd87bb560d5be38a3736e069e26b921d4a6358eca72432402e4a2d8b62f4940a";
        assert_eq!(signature("secret", r#"{"id":"evt_1"}"#, 1_492_774_577), format!("t=1492774577,v1={expected}"));
    }
}
