//! How the replies are read that are more than a word. `None`: not what the script promises.

use haul_core::{
    JobId, Kind, Priority,
    dispatch::{Claim, Claimed, QueueState, QueueStats},
};
use redis::Value;
use std::time::Duration;
use uuid::Uuid;

/// The reply of `claim.lua` to a request for these kinds.
pub(crate) fn claim(reply: &[Value], kinds: &[(Kind, usize)]) -> Option<Claim> {
    let [word, next_ms, tickets @ ..] = reply else { return None };
    let state = match bytes(word)? {
        b"ready" => QueueState::Ready,
        b"paused" => QueueState::Paused,
        b"lost" => QueueState::Lost,
        _ => return None,
    };
    let Value::Int(next_ms) = next_ms else { return None };
    let next_in = u64::try_from(*next_ms).ok().map(Duration::from_millis);
    let tickets = tickets.iter().map(|ticket| claimed(bytes(ticket)?, kinds)).collect::<Option<_>>()?;
    Some(Claim { state, tickets, next_in })
}

/// A ticket: 16 bytes of id, a digit of priority, a flag, the number of the kind.
fn claimed(ticket: &[u8], kinds: &[(Kind, usize)]) -> Option<Claimed> {
    let (ticket, kind) = ticket.split_at_checked(18)?;
    let number: usize = std::str::from_utf8(kind).ok()?.parse().ok()?;
    Some(Claimed {
        id: id(&ticket[..16])?,
        kind: kinds.get(number.checked_sub(1)?)?.0.clone(),
        priority: Priority::new(ticket[16].checked_sub(b'0')?)?,
        suspect: ticket[17] == b's',
    })
}

/// The reply of `stats.lua`.
pub(crate) fn stats(reply: &[Value]) -> Option<QueueStats> {
    let [Value::Int(ready), Value::Int(delayed), Value::Int(leased), oldest @ ..] = reply else { return None };
    Some(QueueStats {
        ready: u64::try_from(*ready).ok()?,
        delayed: u64::try_from(*delayed).ok()?,
        leased: u64::try_from(*leased).ok()?,
        oldest_ready: match oldest {
            [] => None,
            [oldest, ..] => Some(id(bytes(oldest)?)?),
        },
    })
}

/// A reply of ids.
pub(crate) fn ids(reply: &[Value]) -> Option<Vec<JobId>> {
    reply.iter().map(|value| id(bytes(value)?)).collect()
}

fn id(bytes: &[u8]) -> Option<JobId> {
    Uuid::from_slice(bytes).ok().map(JobId)
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}
