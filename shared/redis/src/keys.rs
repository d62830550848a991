//! Names of keys and channels. `lua/prelude.lua` says what they hold.
//!
//! Names of tenants, queues and kinds hold no `:`, `/`, `{` or `}`, so that nothing here needs quoting and no two
//! queues share a key.

use crate::slots::Slot;
use haul_core::{Kind, Queue, QueueRef, Tenant, dispatch::Chore, pace::Destination};
use redis::RedisWrite;
use uuid::Uuid;

/// Keys of a queue that every script is given.
const QUEUE_KEYS: usize = 3;
/// Keys of each kind that the call names.
const KIND_KEYS: usize = 15;

/// Keys of a destination.
pub(crate) const DESTINATION_KEYS: usize = 4;

/// Names of destinations that are paced.
pub(crate) const DESTINATIONS: &str = "haul:pace";

/// Heard by every process: queues without tickets, which may be new.
pub(crate) const LOST_CHANNEL: &str = "haul:lost";

/// The channel of one [`crate::RedisDispatch`].
pub(crate) fn wake_channel(process: Uuid) -> String {
    format!("haul:wake:{}", process.simple())
}

/// How many keys [`write`] writes.
pub(crate) fn count(kinds: usize) -> usize {
    QUEUE_KEYS + kinds * KIND_KEYS
}

/// Writes the keys in the order that `lua/prelude.lua` reads them.
pub(crate) fn write<'a>(to: &mut impl RedisWrite, slot: Slot<'_>, kinds: impl IntoIterator<Item = &'a Kind>) {
    for name in ["state", "idle", "rebuild"] {
        to.write_arg_fmt(format_args!("haul:{{{slot}}}:{name}"));
    }
    for kind in kinds {
        for name in ["due", "expiry", "lease", "suspect", "idle"] {
            to.write_arg_fmt(format_args!("haul:{{{slot}}}:{name}:{kind}"));
        }
        for priority in 0..10 {
            to.write_arg_fmt(format_args!("haul:{{{slot}}}:ready:{priority}:{kind}"));
        }
    }
}

/// Writes the key of a slot's state alone.
pub(crate) fn write_state(to: &mut impl RedisWrite, slot: Slot<'_>) {
    to.write_arg_fmt(format_args!("haul:{{{slot}}}:state"));
}

/// Writes the keys of a destination in the order that `lua/pace/prelude.lua` reads them.
pub(crate) fn write_destination(to: &mut impl RedisWrite, destination: &Destination) {
    for name in ["state", "permits", "probes", "line"] {
        to.write_arg_fmt(format_args!("haul:pace:{{{destination}}}:{name}"));
    }
}

/// Writes the key of whose turn it is.
pub(crate) fn write_turn(to: &mut impl RedisWrite, chore: Chore) {
    let name = match chore {
        Chore::Audit => "audit",
        Chore::SecondLook => "second-look",
    };
    to.write_arg_fmt(format_args!("haul:turn:{name}"));
}

/// Reads a queue back from a message: `tenant/queue`.
pub(crate) fn parse_queue(text: &str) -> Option<QueueRef> {
    let (tenant, queue) = text.split_once('/')?;
    Some(QueueRef { tenant: Tenant::new(tenant).ok()?, queue: Queue::new(queue).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_read_back_from_its_name() {
        let queue = QueueRef { tenant: Tenant::new("acme").unwrap(), queue: Queue::new("mail.out").unwrap() };
        assert_eq!(parse_queue(&queue.to_string()), Some(queue));
        assert_eq!(parse_queue("mail"), None);
        assert_eq!(parse_queue("a/b/c"), None);
    }

    #[test]
    fn every_key_of_a_slot_carries_its_hash_tag() {
        let kinds = [Kind::new("echo").unwrap(), Kind::new("http.request").unwrap()];
        let tags = ["haul:{default/default}:", "haul:{default/default:1}:"];
        for (slot, tag) in Slot::all(&QueueRef::default(), 2).zip(tags) {
            let mut cmd = redis::Cmd::new();
            write(&mut cmd, slot, &kinds);
            let keys: Vec<_> = cmd.args_iter().collect();
            assert_eq!(keys.len(), count(kinds.len()));
            for key in keys {
                let redis::Arg::Simple(key) = key else { panic!("not a key") };
                assert!(key.starts_with(tag.as_bytes()));
            }
        }
    }
}
