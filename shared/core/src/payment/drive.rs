//! One attempt: from where the payment is to where it can come now.
//!
//! Every step is committed before what follows from it happens; a drop at any `await` is a crash that the next attempt
//! makes good. An attempt sends twice at most, so that its job's own retries, and their pauses, rule.

use super::{
    Answer, Assignment, Decision, Ended, Event, LookUp, Object, Operation, Payment, PaymentId, Provider, Rules, Then,
    decide, idempotency_key,
};
use crate::{
    books::{Advanced, Books, Change, NewRequest, Posting, Seen},
    id::JobId,
    ledger::{LedgerError, Result},
    name::Tenant,
    time::Timestamp,
};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// Sends of one attempt: a first one, and one under a new key.
const SENDS_MAX: u32 = 2;
/// Decisions of one attempt; more than any needs that is not disturbed all the time.
const ROUNDS_MAX: u32 = 32;
/// A send begins so soon after its payment was read, or not at all: a process that was paused in between must not use a key
/// that has been given up meanwhile.
const SEND_WITHIN: Duration = Duration::from_secs(60);

/// Runs one attempt of a job on an operation.
pub async fn drive(
    books: &dyn Books,
    provider: &dyn Provider,
    rules: &Rules,
    tenant: &Tenant,
    assignment: Assignment,
    job: JobId,
) -> Result<Ended> {
    let mut attempt = Attempt { books, rules, assignment, sends_left: SENDS_MAX };
    let mut event = Event::TakenUp;
    for _ in 0..ROUNDS_MAX {
        let read_at = Instant::now();
        let Some(seen) = books.payment(assignment.payment).await? else { return Ok(Ended::NotOurs) };
        if seen.payment.tenant != *tenant {
            return Ok(Ended::NotOurs);
        }
        let Some(decision) = attempt.decide(&seen, &event) else { return Ok(Ended::NotOurs) };
        let then = decision.then.clone();
        let request = match then {
            Then::Send { is_new: true, .. } => {
                Some(provider.request(&seen.payment, decision.change.as_ref().ok_or_else(defect)?))
            }
            _ => None,
        };
        let sender = matches!(then, Then::Send { .. }).then_some((job, assignment.operation));
        let payment = match attempt.commit(&seen, decision, request.clone(), sender).await? {
            Committed::Yes(payment) => payment,
            // Somebody else was faster: what happened is judged anew.
            Committed::No(Advanced::Ended) => return Ok(Ended::Cancelled),
            Committed::No(Advanced::NotOurs) => return Ok(Ended::NotOurs),
            Committed::No(_) => continue,
        };
        event = match then {
            Then::End(ended) => return Ok(ended),
            Then::LookUp => look_up(provider, &payment, assignment.operation, seen.now).await.ok_or_else(defect)?,
            Then::Send { generation, .. } => {
                let request = match request {
                    Some(request) => request,
                    None => {
                        let stored = books.request(payment.id, assignment.operation, generation).await?;
                        stored
                            .ok_or_else(|| LedgerError::Corrupt("what was sent for a payment is not stored".into()))?
                    }
                };
                attempt.sends_left -= 1;
                if read_at.elapsed() > SEND_WITHIN {
                    Event::Answered { generation, answer: Answer::Unknown { after: None } }
                } else {
                    let key = idempotency_key(payment.id, assignment.operation, generation);
                    Event::Answered { generation, answer: provider.send(&key, &request).await }
                }
            }
        };
    }
    Ok(Ended::Later { after: None, why: "others work on the payment at the same time".to_owned() })
}

/// Takes in what the provider tells by itself: a fact about an operation. Says how the operation stands then; `None` when
/// there is no such payment or operation.
pub async fn take_in(
    books: &dyn Books,
    rules: &Rules,
    payment: PaymentId,
    operation: u32,
    object: Object,
) -> Result<Option<Ended>> {
    look(books, rules, Assignment { payment, operation }, Event::Told(object)).await
}

/// Takes in an event without sending anything.
pub(super) async fn look(
    books: &dyn Books,
    rules: &Rules,
    assignment: Assignment,
    event: Event,
) -> Result<Option<Ended>> {
    let attempt = Attempt { books, rules, assignment, sends_left: 0 };
    for _ in 0..ROUNDS_MAX {
        let Some(seen) = books.payment(assignment.payment).await? else { return Ok(None) };
        let Some(decision) = attempt.decide(&seen, &event) else { return Ok(None) };
        let then = decision.then.clone();
        match attempt.commit(&seen, decision, None, None).await? {
            Committed::No(_) => {}
            Committed::Yes(_) => {
                return Ok(Some(match then {
                    Then::End(ended) => ended,
                    // Only an answer that is outdated leads here: the next pass asks again.
                    Then::LookUp | Then::Send { .. } => Ended::Later { after: None, why: "it was changed".to_owned() },
                }));
            }
        }
    }
    Ok(Some(Ended::Later { after: None, why: "others work on the payment at the same time".to_owned() }))
}

/// Asks the provider what it has of an operation. `None`: there is no such operation.
pub(super) async fn look_up(
    provider: &dyn Provider,
    payment: &Payment,
    operation: u32,
    asked_at: Timestamp,
) -> Option<Event> {
    let of = payment.operation(operation)?;
    let look_up: LookUp = provider.look_up(payment, of).await;
    Some(Event::LookedUp { version: payment.version, asked_at, look_up })
}

/// A decision that does not carry what it must.
fn defect() -> LedgerError {
    LedgerError::Corrupt("a payment's operation is gone".into())
}

struct Attempt<'a> {
    books: &'a dyn Books,
    rules: &'a Rules,
    assignment: Assignment,
    sends_left: u32,
}

enum Committed {
    /// The payment as it is stored now.
    Yes(Payment),
    No(Advanced),
}

impl Attempt<'_> {
    fn decide(&self, seen: &Seen, event: &Event) -> Option<Decision> {
        decide(&seen.payment, self.assignment.operation, event, seen.now, self.rules, self.sends_left)
    }

    async fn commit(
        &self,
        seen: &Seen,
        decision: Decision,
        request: Option<super::ProviderRequest>,
        sender: Option<(JobId, u32)>,
    ) -> Result<Committed> {
        let Some(operation) = decision.change else { return Ok(Committed::Yes(seen.payment.clone())) };
        let generation = operation.generations.last().map_or(0, |current| current.number);
        let request = request.map(|request| NewRequest { operation: operation.number, generation, request });
        let posting = decision.moves_money.then(|| Posting::of(&seen.payment, &operation, seen.now));
        let payment = with(&seen.payment, operation);
        let change = Change { id: Uuid::new_v4(), payment, request, posting, sender };
        match self.books.advance(&change).await? {
            Advanced::Done => Ok(Committed::Yes(Payment { version: change.payment.version + 1, ..change.payment })),
            refused => Ok(Committed::No(refused)),
        }
    }
}

/// The payment with an operation as it is to be.
fn with(payment: &Payment, operation: Operation) -> Payment {
    let mut payment = payment.clone();
    if let Some(slot) = payment.operations.iter_mut().find(|known| known.number == operation.number) {
        *slot = operation;
    }
    payment
}
