//! Readiness: what a process still waits for before it should be sent work.
//!
//! Roles set named checks ("ledger", "dispatch"), `/readyz` shows them. A check that was never set does not exist. It
//! steers load balancers and people only: nothing of ours asks it before doing its work.

use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// The named checks of one process; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    checks: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
}

impl Readiness {
    /// Without any check: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// The named part works.
    pub fn set_ready(&self, check: &'static str) {
        self.checks.lock().insert(check, None);
    }

    /// The named part does not work, and why. The reason is shown to whoever asks: nothing of the inside.
    pub fn set_unready(&self, check: &'static str, reason: impl Into<String>) {
        self.checks.lock().insert(check, Some(reason.into()));
    }

    /// Whether every check that was set is fine.
    pub fn is_ready(&self) -> bool {
        self.checks.lock().values().all(Option::is_none)
    }

    /// Every check, with the reason where it is not fine.
    pub fn checks(&self) -> Vec<(&'static str, Option<String>)> {
        self.checks.lock().iter().map(|(check, reason)| (*check, reason.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_unready_check_is_enough() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        readiness.set_ready("ledger");
        readiness.clone().set_unready("dispatch", "not reached yet");
        assert!(!readiness.is_ready());
        assert_eq!(readiness.checks(), [("dispatch", Some("not reached yet".to_owned())), ("ledger", None)]);
        readiness.set_ready("dispatch");
        assert!(readiness.is_ready());
    }
}
