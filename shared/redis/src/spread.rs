//! One operation over the slots of a queue: what is asked is parted by slot, and the answers are put together.
//!
//! A queue of one slot is one call, or as many as its tickets fill.

use crate::{
    dispatch::{RedisDispatch, unreadable},
    link::CallError,
    replies,
    script::{self, Call},
    slots::{Slot, slot_of},
    tickets::{Asked, CALL_TICKETS_MAX},
};
use futures::future::join_all;
use haul_core::{
    JobId, Kind, QueueRef,
    dispatch::{Claim, ClaimRequest, Claimed, DispatchError, QueueState, Result},
};
use redis::Value;
use std::{borrow::Cow, sync::atomic::Ordering};

/// How often a call is begun anew because the queue turns out to be split otherwise.
const ROUNDS_MAX: usize = 5;

/// What one slot answered about its part: as many answers as there are chunks that it took, then maybe an error.
struct Part {
    /// The entries' places among all.
    places: Vec<usize>,
    yes: Vec<bool>,
    error: Option<CallError>,
}

impl RedisDispatch {
    /// Asks about entries, each in the slot of its job, at most a thousand in one call. Returns for each whether it was
    /// answered with yes.
    ///
    /// What a slot refuses because this process counted wrongly is asked again, with the right number.
    pub(crate) async fn spread<T: Sync>(
        &self,
        queue: &QueueRef,
        entries: &[T],
        job: impl Fn(&T) -> JobId + Sync,
        build: impl Fn(Slot<'_>, &[&T]) -> Asked + Sync,
    ) -> Result<Vec<bool>> {
        let mut answers = vec![false; entries.len()];
        let mut pending: Vec<usize> = (0..entries.len()).collect();
        for _ in 0..ROUNDS_MAX {
            let of = self.slots.of(queue);
            let mut parts: Vec<Vec<usize>> = vec![Vec::new(); usize::from(of)];
            for place in pending.drain(..) {
                parts[usize::from(slot_of(job(&entries[place]), of))].push(place);
            }
            let asked = Slot::all(queue, of).zip(parts).filter(|(_, places)| !places.is_empty());
            let parts = join_all(asked.map(|(slot, places)| self.part(slot, entries, places, &build))).await;
            for Part { places, yes, error } in parts {
                let done = yes.len();
                for (place, yes) in places.iter().zip(yes) {
                    answers[*place] = yes;
                }
                match error {
                    None => {}
                    Some(CallError::Slots(slots)) => {
                        self.slots.learn(queue, slots);
                        pending.extend(&places[done..]);
                    }
                    Some(CallError::Failed(error)) => return Err(error),
                }
            }
            if pending.is_empty() {
                return Ok(answers);
            }
            pending.sort_unstable();
        }
        Err(split_too_often())
    }

    async fn part<T: Sync>(
        &self,
        slot: Slot<'_>,
        entries: &[T],
        places: Vec<usize>,
        build: &(impl Fn(Slot<'_>, &[&T]) -> Asked + Sync),
    ) -> Part {
        let mut yes = Vec::with_capacity(places.len());
        let mut error = None;
        for chunk in places.chunks(CALL_TICKETS_MAX) {
            let Asked { call, yes: word, order } =
                build(slot, &chunk.iter().map(|place| &entries[*place]).collect::<Vec<_>>());
            let answer = match self.link.call::<Value>(call).await {
                Ok(reply) => order.read(&reply, word).ok_or_else(|| CallError::Failed(unreadable())),
                Err(error) => Err(error),
            };
            match answer {
                Ok(answers) => yes.extend(answers),
                Err(failed) => {
                    error = Some(failed);
                    break;
                }
            }
        }
        Part { places, yes, error }
    }

    /// Asks every slot the same, and returns their answers in order.
    pub(crate) async fn each<T: redis::FromRedisValue>(
        &self,
        queue: &QueueRef,
        build: impl Fn(Slot<'_>) -> Call,
    ) -> Result<Vec<T>> {
        for _ in 0..ROUNDS_MAX {
            let of = self.slots.of(queue);
            let calls = Slot::all(queue, of).map(|slot| self.link.call::<T>(build(slot)));
            let answers: std::result::Result<Vec<T>, CallError> = join_all(calls).await.into_iter().collect();
            match answers {
                Err(CallError::Slots(slots)) => self.slots.learn(queue, slots),
                answers => return Ok(answers?),
            }
        }
        Err(split_too_often())
    }

    /// All slots of a queue, beginning with another one each time.
    pub(crate) fn rotation<'a>(&self, queue: &'a QueueRef) -> std::vec::IntoIter<Slot<'a>> {
        let mut slots: Vec<_> = Slot::all(queue, self.slots.of(queue)).collect();
        if slots.len() > 1 {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % slots.len();
            slots.rotate_left(turn);
        }
        slots.into_iter()
    }

    /// Claims from one slot after the other until there is enough. Those that are left then are only looked at: they may
    /// have to wake another worker, and know when their next ticket is due.
    pub(crate) async fn claim_slots(&self, request: &ClaimRequest<'_>) -> Result<Claim> {
        let mut claim = Claim { state: QueueState::Ready, tickets: Vec::new(), next_in: None };
        let (limit, mut kinds) = (request.limit.min(CALL_TICKETS_MAX), Cow::Borrowed(request.kinds));
        let mut failed = Some(split_too_often());
        for _ in 0..ROUNDS_MAX {
            let mut slots = self.rotation(request.queue);
            let mut split = None;
            failed = None;
            while let Some(slot) = slots.next() {
                let left = limit - claim.tickets.len();
                match self.claim_slot(slot, request, &kinds, left).await {
                    Ok(part) => {
                        if slots.len() > 0 && !part.tickets.is_empty() {
                            take_room(kinds.to_mut(), &part.tickets);
                        }
                        join(&mut claim, part);
                    }
                    Err(CallError::Slots(slots)) => {
                        split = Some(slots);
                        break;
                    }
                    // The others may have some all the same: they may be on other nodes.
                    Err(CallError::Failed(error)) => failed = Some(error),
                }
                if claim.tickets.len() >= limit {
                    break;
                }
            }
            if let Some(slots) = split {
                self.slots.learn(request.queue, slots);
                failed = Some(split_too_often());
                continue;
            }
            for part in join_all(slots.map(|slot| self.claim_slot(slot, request, &kinds, 0))).await {
                match part {
                    Ok(part) => join(&mut claim, part),
                    Err(CallError::Slots(slots)) => self.slots.learn(request.queue, slots),
                    Err(CallError::Failed(error)) => failed = Some(error),
                }
            }
            break;
        }
        match failed {
            // What was found is leased, and must be told.
            Some(error) if claim.tickets.is_empty() => Err(error),
            _ => Ok(claim),
        }
    }

    async fn claim_slot(
        &self,
        slot: Slot<'_>,
        request: &ClaimRequest<'_>,
        kinds: &[(Kind, usize)],
        limit: usize,
    ) -> std::result::Result<Claim, CallError> {
        let registration = self.wakeups.registration(request.worker, request.queue);
        let mut call = Call::new(&script::CLAIM, slot, kinds.iter().map(|(kind, _)| kind));
        call.arg(registration).bytes(request.token.0.as_bytes()).arg(crate::dispatch::as_ms(request.lease)).arg(limit);
        for (_, room) in kinds {
            call.arg(*room);
        }
        let reply: Vec<Value> = self.link.call(call).await?;
        replies::claim(&reply, kinds).ok_or_else(|| CallError::Failed(unreadable()))
    }
}

fn take_room(kinds: &mut [(Kind, usize)], taken: &[Claimed]) {
    for ticket in taken {
        for (_, room) in kinds.iter_mut().filter(|(kind, _)| *kind == ticket.kind) {
            *room = room.saturating_sub(1);
        }
    }
}

/// A queue is lost when any of its slots is.
fn join(claim: &mut Claim, part: Claim) {
    claim.state = match (claim.state, part.state) {
        (QueueState::Lost, _) | (_, QueueState::Lost) => QueueState::Lost,
        (QueueState::Paused, _) | (_, QueueState::Paused) => QueueState::Paused,
        (QueueState::Ready, QueueState::Ready) => QueueState::Ready,
    };
    claim.tickets.extend(part.tickets);
    claim.next_in = claim.next_in.into_iter().chain(part.next_in).min();
}

fn split_too_often() -> DispatchError {
    DispatchError::Unavailable("the queue was split anew again and again".into())
}
