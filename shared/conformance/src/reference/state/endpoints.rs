//! Endpoints, and what deliveries report of them.

use super::{State, StoredKey};
use haul_core::{
    JobId, Tenant, Timestamp,
    endpoints::{Changed, Created, Delivered, Disabled, ENDPOINTS_MAX, Edit, Endpoint, EndpointId, NewEndpoint},
};

impl State {
    pub(in crate::reference) fn create_endpoint(&mut self, now: Timestamp, new: &NewEndpoint) -> Created {
        if let Some(known) = self.endpoint(&new.tenant, new.id) {
            return Created::New(known);
        }
        let slot = new.idempotency.as_ref().map(|asked| ((new.tenant.clone(), asked.key.clone()), asked));
        let known = slot.as_ref().and_then(|(slot, asked)| Some((self.keys.get(slot)?, asked)));
        match known.filter(|(known, _)| known.expires_at > now) {
            Some((known, asked)) if known.fingerprint == asked.fingerprint => {
                return Created::Replayed(EndpointId(known.job.0));
            }
            Some(_) => return Created::KeyReused,
            None => {}
        }
        if self.list_endpoints(&new.tenant, None, usize::MAX).len() >= ENDPOINTS_MAX {
            return Created::TooMany;
        }
        if let Some((slot, asked)) = slot {
            let expires_at = now.plus(asked.lifetime);
            self.keys.insert(slot, StoredKey { fingerprint: asked.fingerprint, job: JobId(new.id.0), expires_at });
        }
        let endpoint = Endpoint {
            id: new.id,
            tenant: new.tenant.clone(),
            version: 1,
            settings: new.settings.clone(),
            keys: new.keys.clone(),
            disabled: None,
            failing_since: None,
            created_at: now,
            updated_at: now,
        };
        self.endpoints.insert((new.tenant.clone(), new.id), endpoint.clone());
        Created::New(endpoint)
    }

    pub(in crate::reference) fn endpoint(&self, tenant: &Tenant, id: EndpointId) -> Option<Endpoint> {
        self.endpoints.get(&(tenant.clone(), id)).cloned()
    }

    pub(in crate::reference) fn list_endpoints(
        &self,
        tenant: &Tenant,
        after: Option<EndpointId>,
        limit: usize,
    ) -> Vec<Endpoint> {
        let of_tenant = self.endpoints.values().filter(|endpoint| endpoint.tenant == *tenant);
        of_tenant.filter(|endpoint| after.is_none_or(|after| endpoint.id > after)).take(limit).cloned().collect()
    }

    pub(in crate::reference) fn edit_endpoint(&mut self, now: Timestamp, edit: &Edit) -> Changed {
        match self.endpoints.get_mut(&(edit.tenant.clone(), edit.id)) {
            None => Changed::Unknown,
            Some(endpoint) if endpoint.version != edit.version => Changed::Stale,
            Some(endpoint) => {
                endpoint.version += 1;
                endpoint.settings = edit.settings.clone();
                endpoint.keys = edit.keys.clone();
                endpoint.disabled = edit.disabled;
                endpoint.failing_since = None;
                endpoint.updated_at = now;
                Changed::Done(endpoint.clone())
            }
        }
    }

    pub(in crate::reference) fn delete_endpoint(
        &mut self,
        tenant: &Tenant,
        id: EndpointId,
        version: Option<i64>,
    ) -> Changed {
        let key = (tenant.clone(), id);
        match self.endpoints.get(&key) {
            None => Changed::Unknown,
            Some(endpoint) if version.is_some_and(|version| version != endpoint.version) => Changed::Stale,
            Some(_) => self.endpoints.remove(&key).map_or(Changed::Unknown, Changed::Done),
        }
    }

    pub(in crate::reference) fn report_delivery(
        &mut self,
        now: Timestamp,
        tenant: &Tenant,
        id: EndpointId,
        version: i64,
        delivered: Delivered,
    ) -> Option<Disabled> {
        let endpoint = self.endpoints.get_mut(&(tenant.clone(), id))?;
        if endpoint.version != version || endpoint.disabled.is_some() {
            return None;
        }
        let (failing_since, disabled) = endpoint.after(delivered, now);
        endpoint.failing_since = failing_since;
        if disabled.is_some() {
            endpoint.disabled = disabled;
            endpoint.version += 1;
            endpoint.updated_at = now;
        }
        disabled
    }
}
