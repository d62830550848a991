//! `http.request`: performs one HTTP request; its answer becomes the result.
//!
//! The payload is `{method, url, headers, body}`, the result `{status, headers, body, truncated}`. 2xx succeeds. 5xx, 408,
//! 429 and network errors are retried, not before a `Retry-After` says. Everything else is final: other 4xx, and 3xx too, as
//! redirects are not followed. Proxies of the environment are not used. Header values and bodies are never logged.
//!
//! Each request carries `Idempotency-Key: <job id>`, the same in every attempt, unless the payload's headers set their own: a
//! server that honours it applies the request once, however often it has to be sent.

use crate::{HandlerError, JobContext};
use haul_core::Timestamp;
use reqwest::{
    Client, ClientBuilder, Method, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue, RETRY_AFTER},
    redirect,
};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, SystemTime},
};

/// How long a connection may take to be made; the answer may take as long as the attempt may.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Idle connections kept per host.
const IDLE_PER_HOST_MAX: usize = 32;
/// Bytes of an answer's headers that are kept.
const HEADER_BYTES_MAX: usize = 16 * 1_024;
/// Bytes of an unsuccessful answer that are kept as the error's detail.
const DETAIL_BYTES_MAX: usize = 4 * 1_024;
/// The header by which a server knows a request that was sent before (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Headers that say how a message is framed: not the submitter's to set.
const FRAMING: [&str; 8] =
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// The payload.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// A string is sent as it is, other JSON as `application/json`.
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

fn get() -> String {
    "GET".to_owned()
}

/// The result.
#[derive(Serialize)]
pub(super) struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    truncated: bool,
}

/// One client for all requests, so that connections are shared.
pub(super) struct HttpClient(Client);

impl HttpClient {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        // Whoever came first has installed a provider: that is the one in use.
        drop(rustls::crypto::ring::default_provider().install_default());
        settings().build().map(Self).or_else(|error| {
            // A machine without CA certificates is no reason not to work: plain HTTP needs none.
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(cause, "no CA certificates are installed here: https requests will fail until there are");
            Self::trusting_nobody()
        })
    }

    fn trusting_nobody() -> Result<Self, reqwest::Error> {
        let tls = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        settings().tls_backend_preconfigured(tls).build().map(Self)
    }
}

fn settings() -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_MAX)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .user_agent(concat!("haul/", env!("CARGO_PKG_VERSION")))
}

pub(super) async fn perform(context: JobContext, request: Request) -> Result<Answer, HandlerError> {
    let HttpClient(client) = context.data()?;
    let mut request = request.build().map_err(HandlerError::do_not_retry)?;
    sign(&mut request, &idempotency_key(&context))?;
    // The URL may carry a secret, and errors are shown.
    let response = client.execute(request).await.map_err(|error| error.without_url())?;
    let status = response.status();
    if status.is_success() {
        return read_answer(response, context.result_bytes_max()).await;
    }
    let wait = retry_after(response.headers(), context.now());
    let (body, _) = read_body(response, DETAIL_BYTES_MAX).await.unwrap_or_default();
    Err(unsuccessful(status, wait).with_detail(body))
}

/// The same in every attempt.
fn idempotency_key(context: &JobContext) -> String {
    #[cfg(feature = "broken")]
    if crate::broken::makes_a_key_per_attempt() {
        return format!("{}-{}", context.job_id(), context.attempt());
    }
    context.job_id().to_string()
}

/// Adds the idempotency key, unless the request has one.
fn sign(request: &mut reqwest::Request, key: &str) -> Result<(), InvalidHeaderValue> {
    let key = HeaderValue::try_from(key)?;
    request.headers_mut().entry(IDEMPOTENCY_KEY).or_insert(key);
    Ok(())
}

fn unsuccessful(status: StatusCode, wait: Option<Duration>) -> HandlerError {
    let message = format!("the server answered {status}");
    let is_temporary =
        status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    match wait {
        _ if status.is_redirection() => HandlerError::do_not_retry(format!("{message}; redirects are not followed")),
        _ if !is_temporary => HandlerError::do_not_retry(message),
        Some(wait) => HandlerError::retry_after(wait, message),
        None => HandlerError::retry(message),
    }
}

impl Request {
    /// The request to send. An error says what is wrong, and quotes no header value.
    fn build(self) -> Result<reqwest::Request, String> {
        let method = match self.method.to_ascii_uppercase().as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            "HEAD" => Method::HEAD,
            "OPTIONS" => Method::OPTIONS,
            _ => return Err("`method` must be one of GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS".to_owned()),
        };
        let mut request = reqwest::Request::new(method, parse_url(&self.url)?);
        for (name, value) in &self.headers {
            let refused = || format!("`headers` holds {name:?}, which is no header name or has a value that is none");
            let name = HeaderName::try_from(name).map_err(|_| refused())?;
            if FRAMING.contains(&name.as_str()) {
                return Err(format!("`headers` may not set {:?}", name.as_str()));
            }
            let mut value = HeaderValue::try_from(value).map_err(|_| refused())?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        match self.body.as_deref().map(RawValue::get) {
            None | Some("null") => {}
            Some(text) if text.starts_with('"') => {
                let text: String = serde_json::from_str(text).map_err(|_| "`body` is not valid JSON".to_owned())?;
                *request.body_mut() = Some(text.into());
            }
            Some(json) => {
                *request.body_mut() = Some(json.to_owned().into());
                let json = HeaderValue::from_static("application/json");
                request.headers_mut().entry(CONTENT_TYPE).or_insert(json);
            }
        }
        Ok(request)
    }
}

/// Control characters are refused before parsing: the parser would silently drop some of them.
fn parse_url(text: &str) -> Result<Url, String> {
    if text.chars().any(char::is_control) {
        return Err("`url` holds a control character".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("`url` is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("`url` must begin with http:// or https://".to_owned());
    }
    Ok(url)
}

async fn read_answer(response: Response, bytes_max: usize) -> Result<Answer, HandlerError> {
    let status = response.status().as_u16();
    let (headers, headers_cut) = shown_headers(response.headers(), HEADER_BYTES_MAX.min(bytes_max / 2));
    let (mut body, body_cut) = read_body(response, bytes_max).await.map_err(|error| error.without_url())?;
    let mut answer = Answer { status, headers, body: String::new(), truncated: headers_cut || body_cut };
    let room = bytes_max.saturating_sub(serde_json::to_vec(&answer)?.len());
    let fits = written_prefix(&body, room);
    answer.truncated |= fits < body.len();
    body.truncate(fits);
    answer.body = body;
    Ok(answer)
}

/// How many bytes of the text take at most so many bytes as JSON.
fn written_prefix(text: &str, bytes_max: usize) -> usize {
    let mut written = 0;
    for (at, c) in text.char_indices() {
        written += match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            _ => c.len_utf8(),
        };
        if written > bytes_max {
            return at;
        }
    }
    text.len()
}

/// The headers as text, equal names joined, until there are too many bytes.
fn shown_headers(headers: &HeaderMap, bytes_max: usize) -> (BTreeMap<String, String>, bool) {
    let mut shown = BTreeMap::<String, String>::new();
    let mut bytes = 0;
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        bytes += name.as_str().len() + value.len() + 6;
        if bytes > bytes_max {
            return (shown, true);
        }
        match shown.get_mut(name.as_str()) {
            Some(values) => {
                values.push_str(", ");
                values.push_str(&value);
            }
            None => {
                shown.insert(name.as_str().to_owned(), value.into_owned());
            }
        }
    }
    (shown, false)
}

/// The body as text, up to so many bytes; the rest is not even read.
async fn read_body(mut response: Response, bytes_max: usize) -> Result<(String, bool), reqwest::Error> {
    let mut body = Vec::new();
    let mut cut = false;
    while let Some(chunk) = response.chunk().await? {
        let room = bytes_max - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            cut = true;
            break;
        }
    }
    Ok((String::from_utf8_lossy(&body).into_owned(), cut))
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds or an HTTP date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_ms(i64::try_from(date.as_millis()).ok()?).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> Result<reqwest::Request, String> {
        serde_json::from_str::<Request>(json).map_err(|error| error.to_string())?.build()
    }

    #[test]
    fn a_string_body_is_sent_as_it_is_and_other_json_as_json() {
        let text = request(r#"{"method":"post","url":"http://a/","body":"a \"b\""}"#).unwrap();
        assert_eq!(text.body().unwrap().as_bytes().unwrap(), b"a \"b\"");
        assert!(!text.headers().contains_key(CONTENT_TYPE));
        let json = request(r#"{"method":"POST","url":"http://a/","body":{"a": 1.0}}"#).unwrap();
        assert_eq!(json.body().unwrap().as_bytes().unwrap(), br#"{"a": 1.0}"#);
        assert_eq!(json.headers()[CONTENT_TYPE], "application/json");
        let own = request(r#"{"url":"http://a/","headers":{"Content-Type":"x/y"},"body":[1]}"#).unwrap();
        assert_eq!(own.headers()[CONTENT_TYPE], "x/y");
    }

    #[test]
    fn a_request_carries_its_job_as_idempotency_key_unless_it_has_its_own() {
        let key = |json| {
            let mut request = request(json).unwrap();
            sign(&mut request, "the-job").unwrap();
            request.headers()[IDEMPOTENCY_KEY].to_str().unwrap().to_owned()
        };
        assert_eq!(key(r#"{"url":"http://a/"}"#), "the-job");
        assert_eq!(key(r#"{"url":"http://a/","headers":{"Idempotency-Key":"mine"}}"#), "mine");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_quoting_values() {
        for bad in [
            r#"{"url":"ftp://a/"}"#,
            r#"{"url":"http://a/\n"}"#,
            r#"{"url":"/relative"}"#,
            r#"{"url":"http://a/","method":"BREW"}"#,
            r#"{"url":"http://a/","headers":{"a b":"hush"}}"#,
            r#"{"url":"http://a/","headers":{"x":"hush\r\nhost: b"}}"#,
            r#"{"url":"http://a/","headers":{"Transfer-Encoding":"hush"}}"#,
            r#"{"url":"http://a/","redirects":3}"#,
        ] {
            let error = request(bad).unwrap_err();
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_machine_without_ca_certificates_gets_a_client_all_the_same() {
        HttpClient::new().unwrap();
        HttpClient::trusting_nobody().unwrap();
    }

    #[test]
    fn the_body_is_cut_by_what_it_takes_as_json() {
        let text = "a\"\u{1}é\n";
        assert_eq!(serde_json::to_string(text).unwrap().len() - 2, 13);
        let kept: Vec<_> = [13, 12, 11, 10, 9, 8, 3, 2, 1, 0].map(|room| &text[..written_prefix(text, room)]).into();
        assert_eq!(kept, [text, "a\"\u{1}é", "a\"\u{1}é", "a\"\u{1}", "a\"\u{1}", "a\"", "a\"", "a", "a", ""]);
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = Timestamp::from_ms(784_111_777_000 - 30_000);
        let read = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]), now)
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Tue, 06 Nov 1984 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!((read("soon"), read("-1")), (None, None));
    }
}
