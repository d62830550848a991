//! The customers' way to Haul: HTTP, tried again under the same key until it is answered.

use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long an answer may take before it is asked for again.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long one request is tried.
const TRIES_MAX: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// Entries on a page.
const PAGE: usize = 100;
/// Pages of one list.
const PAGES_MAX: usize = 10_000;

/// A client of the Haul of the demo.
#[derive(Clone)]
pub(super) struct Api {
    http: reqwest::Client,
    base: String,
}

impl Api {
    pub(super) fn new(base: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build()?;
        Ok(Self { http, base })
    }

    /// Whether it is ready.
    pub(super) async fn is_ready(&self) -> bool {
        let asked = self.http.get(format!("{}/readyz", self.base)).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }

    /// Posts until it is taken: a key makes that safe, also while Haul is dead.
    pub(super) async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, Some((key, body))).await
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// Every entry of a list, page by page.
    pub(super) async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut entries, mut cursor) = (Vec::new(), String::new());
        let mark = if path.contains('?') { '&' } else { '?' };
        for _ in 0..PAGES_MAX {
            let mut page = self.get(&format!("{path}{mark}limit={PAGE}{cursor}")).await?;
            match page["data"].take() {
                Value::Array(data) => entries.extend(data),
                _ => bail!("{path} answered no list"),
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(entries),
            }
        }
        bail!("{path} does not end")
    }

    async fn ask(&self, method: Method, path: &str, body: Option<(Option<&str>, &Value)>) -> anyhow::Result<Value> {
        let end = Instant::now() + TRIES_MAX;
        loop {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
            if let Some((key, body)) = body {
                request = request.header("content-type", "application/json").body(body.to_string());
                if let Some(key) = key {
                    request = request.header("idempotency-key", key);
                }
            }
            let why = match request.send().await {
                Err(error) => error.without_url().to_string(),
                Ok(answer) => {
                    let status = answer.status();
                    match answer.bytes().await {
                        Ok(body) if status.is_success() => {
                            return serde_json::from_slice(&body).with_context(|| format!("{path} answered no JSON"));
                        }
                        Ok(body) if status.is_client_error() && !matches!(status.as_u16(), 409 | 429) => {
                            bail!("{path} answered {status}: {}", String::from_utf8_lossy(&body))
                        }
                        Ok(_) => format!("{status}"),
                        Err(error) => error.without_url().to_string(),
                    }
                }
            };
            if Instant::now() >= end {
                bail!("{path}: no answer within {TRIES_MAX:?}: {why}");
            }
            sleep(PAUSE).await;
        }
    }
}
