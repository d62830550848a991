//! The reference ledger as a store of endpoints.

use super::ReferenceLedger;
use async_trait::async_trait;
use haul_core::{
    Tenant,
    endpoints::{Changed, Created, Delivered, Disabled, Edit, Endpoint, EndpointId, Endpoints, NewEndpoint},
    ledger::Result,
};

#[async_trait]
impl Endpoints for ReferenceLedger {
    async fn create(&self, new: &NewEndpoint) -> Result<Created> {
        Ok(self.state.lock().create_endpoint(self.clock.now(), new))
    }
    async fn get(&self, tenant: &Tenant, id: EndpointId) -> Result<Option<Endpoint>> {
        Ok(self.state.lock().endpoint(tenant, id))
    }
    async fn list(&self, tenant: &Tenant, after: Option<EndpointId>, limit: usize) -> Result<Vec<Endpoint>> {
        Ok(self.state.lock().list_endpoints(tenant, after, limit))
    }
    async fn edit(&self, edit: &Edit) -> Result<Changed> {
        Ok(self.state.lock().edit_endpoint(self.clock.now(), edit))
    }
    async fn delete(&self, tenant: &Tenant, id: EndpointId, version: Option<i64>) -> Result<Changed> {
        Ok(self.state.lock().delete_endpoint(tenant, id, version))
    }
    async fn report(
        &self,
        tenant: &Tenant,
        id: EndpointId,
        version: i64,
        delivered: Delivered,
    ) -> Result<Option<Disabled>> {
        Ok(self.state.lock().report_delivery(self.clock.now(), tenant, id, version, delivered))
    }
}
