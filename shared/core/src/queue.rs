//! What an operator sets of a queue. Its truth is in the ledger; the dispatch is told.

use crate::{
    ledger::{LedgerError, Result},
    limits::SLOTS_MAX,
};

/// A queue's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSettings {
    /// Whether it gives out nothing until it is resumed.
    pub paused: bool,
    /// Over how many slots of the dispatch it is split, 1 to [`SLOTS_MAX`]. Order is kept within a slot only.
    pub slots: u16,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { paused: false, slots: 1 }
    }
}

/// A change of a queue's settings: what is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueChange {
    /// Pause or resume it.
    pub paused: Option<bool>,
    /// Split it over so many slots.
    pub slots: Option<u16>,
}

impl QueueChange {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses values beyond their limits.
    pub fn check(&self) -> Result<()> {
        match self.slots {
            Some(slots) if !(1..=SLOTS_MAX).contains(&slots) => {
                Err(LedgerError::Refused(format!("a queue has 1 to {SLOTS_MAX} slots, not {slots}").into()))
            }
            _ => Ok(()),
        }
    }

    /// The settings that hold once they are changed so.
    #[must_use]
    pub fn apply(self, to: QueueSettings) -> QueueSettings {
        QueueSettings { paused: self.paused.unwrap_or(to.paused), slots: self.slots.unwrap_or(to.slots) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let before = QueueSettings { paused: true, slots: 8 };
        assert_eq!(QueueChange::default().apply(before), before);
        let split = QueueChange { slots: Some(4), ..QueueChange::default() };
        assert_eq!(split.apply(before), QueueSettings { paused: true, slots: 4 });
    }

    #[test]
    fn a_queue_has_one_slot_to_as_many_as_are_allowed() {
        let split = |slots| QueueChange { slots: Some(slots), ..QueueChange::default() }.check().is_ok();
        assert!(split(1) && split(SLOTS_MAX));
        assert!(!split(0) && !split(SLOTS_MAX + 1));
    }
}
