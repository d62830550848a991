//! What every promise of the endpoints suite begins with: an empty store and the means to write to it tersely.

use super::{EndpointsHarness, EndpointsWorld};
use haul_core::{
    Clock, Endpoints, Tenant,
    endpoints::{
        Changed, Created, Delivered, Disabled, Edit, Endpoint, EndpointId, EndpointSettings, Keyring, NewEndpoint,
        SigningKey,
    },
    ledger::Idempotency,
};
use std::{sync::Arc, time::Duration};

/// An empty store of endpoints.
pub struct Stage {
    /// Makes further stores.
    pub harness: Arc<dyn EndpointsHarness>,
    /// The store's other side.
    pub world: Arc<dyn EndpointsWorld>,
    /// The store.
    pub endpoints: Arc<dyn Endpoints>,
}

impl Stage {
    /// Sets the stage with a fresh store.
    pub async fn new(harness: Arc<dyn EndpointsHarness>) -> Self {
        let world = harness.fresh().await;
        Self { endpoints: world.endpoints(), world, harness }
    }

    pub(crate) async fn create(&self, new: &NewEndpoint) -> Endpoint {
        match self.endpoints.create(new).await.expect("an endpoint is created") {
            Created::New(endpoint) => endpoint,
            refused => panic!("it is not created: {refused:?}"),
        }
    }

    pub(crate) async fn try_create(&self, new: &NewEndpoint) -> Created {
        self.endpoints.create(new).await.expect("an answer comes")
    }

    /// Creates an endpoint of the default tenant.
    pub(crate) async fn created(&self) -> Endpoint {
        self.create(&new_endpoint("https://example.com/hooks")).await
    }

    pub(crate) async fn find(&self, endpoint: &Endpoint) -> Option<Endpoint> {
        self.endpoints.get(&endpoint.tenant, endpoint.id).await.expect("an endpoint is looked up")
    }

    /// What the store knows of an endpoint that must be there.
    pub(crate) async fn read(&self, endpoint: &Endpoint) -> Endpoint {
        self.find(endpoint).await.expect("the endpoint is there")
    }

    pub(crate) async fn report(&self, endpoint: &Endpoint, delivered: Delivered) -> Option<Disabled> {
        let answer = self.endpoints.report(&endpoint.tenant, endpoint.id, endpoint.version, delivered);
        answer.await.expect("a report is taken")
    }

    pub(crate) async fn edit(&self, edit: &Edit) -> Changed {
        self.endpoints.edit(edit).await.expect("an answer comes")
    }
}

pub(crate) fn new_endpoint(url: &str) -> NewEndpoint {
    NewEndpoint {
        id: EndpointId::new(&Clock::new()),
        tenant: Tenant::default(),
        settings: EndpointSettings {
            url: url.to_owned(),
            description: "where we listen: \"é\"\n".to_owned(),
            events: vec!["invoice.*".parse().expect("a subscription"), "a.b".parse().expect("a subscription")],
        },
        keys: Keyring::new(SigningKey::random()),
        idempotency: None,
    }
}

/// A new endpoint under an idempotency key.
pub(crate) fn keyed(key: &str, fingerprint: u8) -> NewEndpoint {
    let lifetime = Duration::from_secs(3_600);
    let idempotency = Idempotency { key: key.to_owned(), fingerprint: [fingerprint; 32], lifetime };
    NewEndpoint { idempotency: Some(idempotency), ..new_endpoint("https://example.com/") }
}

/// The endpoint as it is, to be changed.
pub(crate) fn edit_of(endpoint: &Endpoint) -> Edit {
    Edit {
        tenant: endpoint.tenant.clone(),
        id: endpoint.id,
        version: endpoint.version,
        settings: endpoint.settings.clone(),
        keys: endpoint.keys.clone(),
        disabled: endpoint.disabled,
    }
}

/// The endpoint of a change that must have been made.
pub(crate) fn done(changed: Changed) -> Endpoint {
    match changed {
        Changed::Done(endpoint) => endpoint,
        other => panic!("the change was not made: {other:?}"),
    }
}
