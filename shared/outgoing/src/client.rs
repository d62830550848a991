//! The one client: it dials nothing but what the rules let through.

use crate::{
    call::{Answer, Beyond, Call, CallError},
    headers,
    policy::Policy,
    refusal::Refusal,
    resolver::{GuardedResolver, Lookup, SystemLookup},
    target::{Destination, Target},
    traced::Traced,
};
use bytes::{Bytes, BytesMut};
use haul_core::config::OutgoingConfig;
use http::{Method, StatusCode, header};
use reqwest::{Certificate, Client, ClientBuilder, Response, redirect};
use rustls::{ClientConfig, RootCertStore};
use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::timeout;

/// Idle connections kept per host, and for how long.
const IDLE_PER_HOST_MAX: usize = 32;
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Headers of an answer. More than these, or some 400 KB of them, and its head is not read to its end.
const HEADERS_MAX: usize = 100;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    /// The file that `outgoing.roots` names cannot be read.
    #[error("the certificate authorities in {path} (`outgoing.roots`) cannot be read")]
    Roots {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

/// Calls third parties. Cheap to clone: connections are shared.
#[derive(Clone)]
pub struct Outgoing(Arc<Inner>);

struct Inner {
    client: Client,
    policy: Arc<Policy>,
    timeout: Duration,
    header_bytes_max: usize,
    body_bytes_max: usize,
}

impl Outgoing {
    /// A client for these settings, with the system's resolver.
    pub fn new(config: &OutgoingConfig) -> Result<Self, OutgoingError> {
        Self::with_lookup(config, Arc::new(SystemLookup))
    }

    /// A client that finds addresses in another way. What it finds is measured by the same rules.
    pub fn with_lookup(config: &OutgoingConfig, lookup: Arc<dyn Lookup>) -> Result<Self, OutgoingError> {
        // Whoever came first has installed a provider: that is the one in use.
        drop(rustls::crypto::ring::default_provider().install_default());
        let policy = Arc::new(Policy::new(config));
        let resolver = GuardedResolver::new(policy.clone(), lookup);
        let roots = roots(config)?;
        let settings = || settings(config, resolver.clone());
        let client = settings().tls_certs_merge(roots.clone()).build().or_else(|error| {
            if !roots.is_empty() {
                return Err(OutgoingError::Client(error));
            }
            // A machine without CA certificates is no reason not to work: plain HTTP needs none.
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(cause, "no CA certificates are installed here: https requests will fail until there are");
            trusting_nobody(settings()).map_err(OutgoingError::Client)
        })?;
        Ok(Self(Arc::new(Inner {
            client,
            policy,
            timeout: config.timeout.as_duration(),
            header_bytes_max: config.header_bytes_max,
            body_bytes_max: config.body_bytes_max,
        })))
    }

    /// The target of this URL, or what is wrong with it, as far as can be told without DNS.
    pub fn check(&self, url: &str) -> Result<Target, Refusal> {
        self.0.policy.check(url)
    }

    /// The rules.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Sends a request, and waits for its answer. Any status is an answer.
    pub async fn send(&self, call: Call) -> Result<Answer, CallError> {
        let limit = call.timeout.unwrap_or(self.0.timeout).min(self.0.timeout);
        let destination = call.target.destination().to_string();
        let late = |_| CallError::Unknown { destination, what: "it took too long", source: None };
        timeout(limit, self.follow(call)).await.map_err(late)?
    }

    async fn follow(&self, mut call: Call) -> Result<Answer, CallError> {
        let mut redirects = 0;
        loop {
            headers::check(&call.headers)?;
            // The rules of this client, whichever rules the target has passed before.
            let target = self.check(call.target.url().as_str())?;
            let response = self.exchange(&call, &target).await?;
            let may_follow = call.redirects_max > 0 && matches!(call.method, Method::GET | Method::HEAD);
            if !(may_follow && is_redirect(response.status())) {
                return self.read(&call, target.destination(), response).await;
            }
            redirects += 1;
            if redirects > call.redirects_max {
                return Err(Refusal::Redirects(call.redirects_max).into());
            }
            let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
            let next = location.ok_or(Refusal::NoLocation)?;
            let next = target.join(next, &self.0.policy).map_err(|error| Refusal::Redirected(Box::new(error)))?;
            if next.destination() != target.destination() {
                headers::drop_credentials(&mut call.headers);
            }
            call.target = next;
        }
    }

    async fn exchange(&self, call: &Call, target: &Target) -> Result<Response, CallError> {
        let mut request = reqwest::Request::new(call.method.clone(), target.url().clone());
        *request.headers_mut() = call.headers.clone();
        if !call.body.is_empty() {
            *request.body_mut() = Some(call.body.clone().into());
        }
        let mut traced = Traced::begin(&mut request, target.destination());
        let response = self.0.client.execute(request).await.map_err(|error| unsent(target.destination(), error))?;
        traced.answered(response.status());
        if headers::bytes(response.headers()) > self.0.header_bytes_max {
            return Err(CallError::TooLarge { part: "head", bytes_max: self.0.header_bytes_max });
        }
        Ok(response)
    }

    async fn read(&self, call: &Call, from: &Destination, mut response: Response) -> Result<Answer, CallError> {
        let bytes_max = call.caps.body_bytes_max.min(self.0.body_bytes_max);
        let too_large = || CallError::TooLarge { part: "body", bytes_max };
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = BytesMut::new();
        let mut truncated = false;
        loop {
            let chunk: Bytes = match response.chunk().await {
                Ok(None) => break,
                Ok(Some(chunk)) => chunk,
                Err(_) if !status.is_success() => {
                    truncated = true;
                    break;
                }
                Err(error) => return Err(broken(from, error)),
            };
            let room = bytes_max - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                match call.caps.beyond {
                    Beyond::Refuse => return Err(too_large()),
                    Beyond::Cut => truncated = true,
                }
                break;
            }
        }
        Ok(Answer { status, headers, body: body.freeze(), truncated })
    }
}

/// Those that name another place for the same request.
fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Why there is no answer: the guard's refusal, no connection, or nobody knows.
fn unsent(to: &Destination, error: reqwest::Error) -> CallError {
    if let Some(refusal) = refusal_in(&error) {
        return CallError::Refused(refusal);
    }
    if error.is_connect() {
        return CallError::NotSent { destination: to.to_string(), source: error.without_url().into() };
    }
    broken(to, error)
}

fn broken(from: &Destination, error: reqwest::Error) -> CallError {
    let what = if error.is_timeout() { "it took too long" } else { "the connection broke off" };
    CallError::Unknown { destination: from.to_string(), what, source: Some(error.without_url().into()) }
}

/// The resolver's refusal among the causes of an error.
fn refusal_in(error: &reqwest::Error) -> Option<Refusal> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return Some(refusal.clone());
        }
        next = cause.source();
    }
    None
}

fn settings(config: &OutgoingConfig, resolver: GuardedResolver) -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        // Whatever another crate in the build switches on: a small answer must not become a large one here.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .http1_only()
        .http1_max_headers(HEADERS_MAX)
        .referer(false)
        .dns_resolver(resolver)
        .connect_timeout(config.connect_timeout.as_duration())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .user_agent(concat!("haul/", env!("CARGO_PKG_VERSION")))
}

fn trusting_nobody(settings: ClientBuilder) -> Result<Client, reqwest::Error> {
    let tls = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    settings.tls_backend_preconfigured(tls).build()
}

/// The certificate authorities that are trusted besides the system's.
pub fn roots(config: &OutgoingConfig) -> Result<Vec<Certificate>, OutgoingError> {
    let Some(path) = &config.roots else { return Ok(Vec::new()) };
    let refused = |source: Box<dyn Error + Send + Sync>| OutgoingError::Roots { path: path.clone(), source };
    let pem = std::fs::read(path).map_err(|error| refused(error.into()))?;
    let roots = Certificate::from_pem_bundle(&pem).map_err(|error| refused(error.into()))?;
    if roots.is_empty() { Err(refused("it holds no certificate".into())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::Config;

    #[test]
    fn a_machine_without_ca_certificates_gets_a_client_all_the_same() {
        let config = Config::defaults().outgoing;
        Outgoing::new(&config).unwrap();
        let resolver = GuardedResolver::new(Arc::new(Policy::new(&config)), Arc::new(SystemLookup));
        trusting_nobody(settings(&config, resolver)).unwrap();
    }

    #[test]
    fn roots_that_cannot_be_read_are_told() {
        let config = OutgoingConfig { roots: Some("/nowhere/roots.pem".into()), ..Config::defaults().outgoing };
        let error = Outgoing::new(&config).map(drop).unwrap_err();
        assert!(error.to_string().contains("/nowhere/roots.pem (`outgoing.roots`)"), "{error}");
    }
}
