//! Names become addresses here, and nowhere else: what has passed the rules is exactly what is dialled.
//!
//! A name is resolved once per connection. There is no second look-up between the check and the dial that could answer
//! otherwise (DNS rebinding). One address that is not allowed refuses the name: whoever mixes them has a reason.
//!
//! An HTTP client does not ask a resolver about hosts that are addresses: [`Target`](crate::Target) has checked those.

use crate::{policy::Policy, refusal::Refusal};
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Addresses that one name may have.
const ADDRESSES_MAX: usize = 32;

/// Finds the addresses of a name: the system's way, or a test's.
pub trait Lookup: Send + Sync {
    /// All addresses of the name, in the order in which they are to be tried.
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver: `/etc/hosts`, DNS, and whatever else it is set up for.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.take(ADDRESSES_MAX).map(|address| address.ip()).collect())
        })
    }
}

/// Looks names up, and lets through what the rules let through.
#[derive(Clone)]
pub(crate) struct GuardedResolver {
    policy: Arc<Policy>,
    lookup: Arc<dyn Lookup>,
}

impl GuardedResolver {
    pub(crate) fn new(policy: Arc<Policy>, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }

    /// The addresses of a name that may be dialled: all of them, or none.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let found = self.lookup.lookup(name.clone()).await.map_err(ResolveError::Lookup)?;
        if found.is_empty() {
            return Err(ResolveError::Lookup(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
        }
        for address in &found {
            if let Err(special) = self.policy.admits(Some(&name), *address) {
                return Err(ResolveError::Refused(Refusal::Resolved { name, special }));
            }
        }
        Ok(found)
    }
}

/// Why a name gives no address to dial.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("the name could not be resolved")]
    Lookup(#[source] io::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            // The refusal itself is the error, so that it is found among the causes of whatever the client makes of it.
            let found = match GuardedResolver::resolve(&resolver, name.as_str()).await {
                Ok(found) => found,
                Err(ResolveError::Refused(refusal)) => return Err(refusal.into()),
                Err(error) => return Err(error.into()),
            };
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
