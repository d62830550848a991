//! The endpoints behind a door that opens once.

use super::Closed;
use async_trait::async_trait;
use haul_core::{
    Endpoints, Tenant,
    endpoints::{Changed, Created, Delivered, Disabled, Edit, Endpoint, EndpointId, NewEndpoint},
    ledger::{LedgerError, Result},
};
use std::sync::{Arc, OnceLock};

/// Endpoints that are not reached yet, or are.
#[derive(Default)]
pub(crate) struct EndpointsDoor(OnceLock<Arc<dyn Endpoints>>);

impl EndpointsDoor {
    /// From now on these answer; the first ones that are given stay.
    pub(crate) fn open(&self, endpoints: Arc<dyn Endpoints>) {
        self.0.get_or_init(|| endpoints);
    }

    fn behind(&self) -> Result<&dyn Endpoints> {
        let closed = || LedgerError::Unavailable(Box::new(Closed("it was not reached yet")));
        self.0.get().map(|endpoints| &**endpoints).ok_or_else(closed)
    }
}

#[async_trait]
impl Endpoints for EndpointsDoor {
    async fn create(&self, new: &NewEndpoint) -> Result<Created> {
        self.behind()?.create(new).await
    }
    async fn get(&self, tenant: &Tenant, id: EndpointId) -> Result<Option<Endpoint>> {
        self.behind()?.get(tenant, id).await
    }
    async fn list(&self, tenant: &Tenant, after: Option<EndpointId>, limit: usize) -> Result<Vec<Endpoint>> {
        self.behind()?.list(tenant, after, limit).await
    }
    async fn edit(&self, edit: &Edit) -> Result<Changed> {
        self.behind()?.edit(edit).await
    }
    async fn delete(&self, tenant: &Tenant, id: EndpointId, version: Option<i64>) -> Result<Changed> {
        self.behind()?.delete(tenant, id, version).await
    }
    async fn report(
        &self,
        tenant: &Tenant,
        id: EndpointId,
        version: i64,
        delivered: Delivered,
    ) -> Result<Option<Disabled>> {
        self.behind()?.report(tenant, id, version, delivered).await
    }
}
