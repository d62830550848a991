//! Stores of endpoints that each break one promise.

use async_trait::async_trait;
use haul_conformance::reference::ReferenceLedger;
use haul_core::{
    Endpoints, Tenant,
    endpoints::{Changed, Created, Delivered, Disabled, Edit, Endpoint, EndpointId, NewEndpoint},
    ledger::{Idempotency, Result},
};
use std::{sync::Arc, time::Duration};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    ShowsWhatIsForeign,
    EditsAnyVersion,
    LooksBeforeItEdits,
    DeletesAnyVersion,
    KeepsWhatIsDeleted,
    CountsBeforeItCreates,
    IgnoresKeys,
    TakesAnyRequestUnderAKeyForTheSame,
    ListsTheNewestFirst,
    FailsAnewWithEachFailure,
    ForgetsSuccesses,
    NotesReportsOfOtherVersions,
    NotesReportsOfTheDisabled,
    NeverDisables,
    DisablesUnderTheOldVersion,
    StaysFailingWhenEdited,
}
use Defect::*;

pub(crate) struct BrokenEndpoints {
    inner: Arc<dyn Endpoints>,
    defect: Defect,
}

impl BrokenEndpoints {
    pub(crate) fn new(reference: Arc<ReferenceLedger>, defect: Defect) -> Self {
        Self { inner: reference, defect }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// The version of what is stored, for those who do not compare.
    async fn version(&self, tenant: &Tenant, id: EndpointId) -> Option<i64> {
        self.inner.get(tenant, id).await.ok()?.map(|stored| stored.version)
    }
}

#[async_trait]
impl Endpoints for BrokenEndpoints {
    async fn create(&self, new: &NewEndpoint) -> Result<Created> {
        if self.is(CountsBeforeItCreates) {
            // What others create in the meantime goes to another tenant's account.
            let known = self.inner.list(&new.tenant, None, usize::MAX).await?.len();
            tokio::time::sleep(Duration::from_millis(5)).await;
            if known < haul_core::endpoints::ENDPOINTS_MAX
                && let Created::TooMany = self.inner.create(new).await?
            {
                let tenant = Tenant::new("overflow").unwrap_or_default();
                return self.inner.create(&NewEndpoint { tenant, ..new.clone() }).await;
            }
        }
        if self.is(IgnoresKeys) {
            return self.inner.create(&NewEndpoint { idempotency: None, ..new.clone() }).await;
        }
        if self.is(TakesAnyRequestUnderAKeyForTheSame) {
            let same = |asked: Idempotency| Idempotency { fingerprint: [0; 32], ..asked };
            let idempotency = new.idempotency.clone().map(same);
            return self.inner.create(&NewEndpoint { idempotency, ..new.clone() }).await;
        }
        self.inner.create(new).await
    }

    async fn get(&self, tenant: &Tenant, id: EndpointId) -> Result<Option<Endpoint>> {
        let tenant = if self.is(ShowsWhatIsForeign) { &Tenant::default() } else { tenant };
        let found = self.inner.get(tenant, id).await?;
        Ok(match (self.defect, found) {
            (NeverDisables, Some(found)) => Some(Endpoint { disabled: None, ..found }),
            (_, found) => found,
        })
    }

    async fn list(&self, tenant: &Tenant, after: Option<EndpointId>, limit: usize) -> Result<Vec<Endpoint>> {
        let mut listed = self.inner.list(tenant, after, limit).await?;
        if self.is(ListsTheNewestFirst) {
            listed.reverse();
        }
        Ok(listed)
    }

    async fn edit(&self, edit: &Edit) -> Result<Changed> {
        let mut edit = edit.clone();
        let stored = self.inner.get(&edit.tenant, edit.id).await?;
        match self.defect {
            EditsAnyVersion => edit.version = stored.as_ref().map_or(edit.version, |stored| stored.version),
            LooksBeforeItEdits => {
                let is_current = stored.is_some_and(|stored| stored.version == edit.version);
                tokio::time::sleep(Duration::from_millis(5)).await;
                if is_current {
                    edit.version = self.version(&edit.tenant, edit.id).await.unwrap_or(edit.version);
                }
            }
            StaysFailingWhenEdited => {
                let since = stored.and_then(|stored| stored.failing_since);
                return Ok(match self.inner.edit(&edit).await? {
                    Changed::Done(edited) => Changed::Done(Endpoint { failing_since: since, ..edited }),
                    answer => answer,
                });
            }
            _ => {}
        }
        self.inner.edit(&edit).await
    }

    async fn delete(&self, tenant: &Tenant, id: EndpointId, version: Option<i64>) -> Result<Changed> {
        match self.defect {
            DeletesAnyVersion => self.inner.delete(tenant, id, None).await,
            KeepsWhatIsDeleted => Ok(self.inner.get(tenant, id).await?.map_or(Changed::Unknown, Changed::Done)),
            _ => self.inner.delete(tenant, id, version).await,
        }
    }

    async fn report(
        &self,
        tenant: &Tenant,
        id: EndpointId,
        version: i64,
        delivered: Delivered,
    ) -> Result<Option<Disabled>> {
        let mut version = version;
        match (self.defect, delivered) {
            (ForgetsSuccesses, Delivered::Taken) => return Ok(None),
            (FailsAnewWithEachFailure, Delivered::Failed(_)) => {
                self.inner.report(tenant, id, version, Delivered::Taken).await?;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (NotesReportsOfOtherVersions, _) => {
                version = self.version(tenant, id).await.unwrap_or(version);
            }
            (NotesReportsOfTheDisabled, Delivered::Gone | Delivered::Failed(_)) => {
                let answer = self.inner.report(tenant, id, version, delivered).await?;
                let is_there = self.inner.get(tenant, id).await?.is_some();
                return Ok(answer.or(is_there.then_some(Disabled::Gone)));
            }
            (DisablesUnderTheOldVersion, _) => {
                let answer = self.inner.report(tenant, id, version, delivered).await?;
                if let (Some(_), Some(stored)) = (answer, self.inner.get(tenant, id).await?) {
                    // Made anew, it is back at its first version.
                    self.inner.delete(tenant, id, None).await?;
                    let Endpoint { settings, keys, .. } = stored;
                    self.inner
                        .create(&NewEndpoint { id, tenant: tenant.clone(), settings, keys, idempotency: None })
                        .await?;
                }
                return Ok(answer);
            }
            _ => {}
        }
        self.inner.report(tenant, id, version, delivered).await
    }
}
