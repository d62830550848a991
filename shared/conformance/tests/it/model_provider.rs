//! A model of a provider that keeps its promises about keys, and no others; and books that take their time.

use async_trait::async_trait;
use haul_conformance::reference::ReferenceLedger;
use haul_core::{
    Books, Clock, Payment, PaymentId, ProcessId, Tenant, Timestamp,
    books::{Advanced, Balance, Change, Order, Ordered, Posting, Remembered, Seen, Sheet, Unknowns},
    ledger::{ReceiptId, Result},
    payment::{
        Answer, ListOf, LookUp, Object, ObjectPage, ObjectState, Operation, PaymentState, Provider, ProviderRequest,
    },
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// What becomes of a send under a key that the provider does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// Applied; the answer is lost.
    DoneAndLost,
    /// It never arrives.
    Lost,
    /// It arrives later, or never.
    Late,
    /// Applied, and then a failure is answered and stored.
    DoneThenFailed,
    /// Not applied; the failure is stored.
    FailedForGood,
    /// Not applied, nothing is stored.
    Failed,
    Declined,
    TurnedAway,
}

#[derive(Debug, Clone)]
enum Result_ {
    Done(Object),
    Declined,
    Failed,
}

struct Known {
    body: ProviderRequest,
    result: Result_,
    since: Timestamp,
}

#[derive(Default)]
struct State {
    fates: VecDeque<Fate>,
    unclear: VecDeque<bool>,
    keys: HashMap<String, Known>,
    objects: Vec<Object>,
    under_way: Vec<(String, ProviderRequest)>,
    sends: u32,
}

pub(crate) struct ModelProvider {
    clock: Arc<Clock>,
    window: Duration,
    state: Mutex<State>,
}

impl ModelProvider {
    pub(crate) fn new(clock: Arc<Clock>, window: Duration, fates: Vec<Fate>, unclear: Vec<bool>) -> Self {
        let state = State { fates: fates.into(), unclear: unclear.into(), ..State::default() };
        Self { clock, window, state: Mutex::new(state) }
    }

    /// From now on everything goes well.
    pub(crate) fn calm(&self) {
        let mut state = self.state.lock();
        state.fates.clear();
        state.unclear.clear();
    }

    /// The objects that were applied.
    pub(crate) fn applied(&self) -> Vec<String> {
        let state = self.state.lock();
        state
            .objects
            .iter()
            .filter(|object| object.state == ObjectState::Done)
            .map(|object| object.id.clone())
            .collect()
    }

    /// Sends that were begun.
    pub(crate) fn sends_of_key(&self) -> u32 {
        self.state.lock().sends
    }

    /// One of the requests that are under way arrives; nobody waits for its answer.
    pub(crate) fn arrive(&self, which: u8) {
        let mut state = self.state.lock();
        if !state.under_way.is_empty() {
            let at = usize::from(which) % state.under_way.len();
            let (key, request) = state.under_way.swap_remove(at);
            self.take(&mut state, &key, &request, Fate::Done);
        }
    }

    /// Half of what is under way arrives at last, the rest never.
    pub(crate) fn arrive_all_or_die(&self) {
        let mut state = self.state.lock();
        for (n, (key, request)) in std::mem::take(&mut state.under_way).into_iter().enumerate() {
            if n % 2 == 0 {
                self.take(&mut state, &key, &request, Fate::Done);
            }
        }
    }

    fn take(&self, state: &mut State, key: &str, request: &ProviderRequest, fate: Fate) -> Answer {
        let now = self.clock.now();
        if let Some(known) = state.keys.get(key).filter(|known| now.since(known.since) < self.window) {
            assert_eq!(known.body, *request, "other bytes came under the key {key}");
            return match known.result.clone() {
                Result_::Done(object) => Answer::Done(object),
                Result_::Declined => declined(),
                Result_::Failed => Answer::Spent,
            };
        }
        let apply = |state: &mut State| {
            let id = format!("ch_{}", state.objects.len() + 1);
            let text = String::from_utf8_lossy(&request.body).into_owned();
            let (payment, amount) = text.split_once(' ').expect("a request of the model");
            let object = Object {
                id,
                payment: payment.parse().ok(),
                operation: Some(1),
                state: ObjectState::Done,
                amount: amount.parse().expect("an amount"),
                currency: "eur".to_owned(),
            };
            state.objects.push(object.clone());
            object
        };
        let lost = Answer::Unknown { after: None };
        let (result, answer) = match fate {
            Fate::Done => {
                let object = apply(state);
                (Result_::Done(object.clone()), Answer::Done(object))
            }
            Fate::DoneAndLost => (Result_::Done(apply(state)), lost),
            Fate::DoneThenFailed => {
                apply(state);
                (Result_::Failed, lost)
            }
            Fate::FailedForGood => (Result_::Failed, lost),
            Fate::Declined => (Result_::Declined, declined()),
            Fate::Lost | Fate::Failed => return lost,
            Fate::Late => {
                state.under_way.push((key.to_owned(), request.clone()));
                return lost;
            }
            Fate::TurnedAway => return Answer::TurnedAway { after: None },
        };
        state.keys.insert(key.to_owned(), Known { body: request.clone(), result, since: now });
        answer
    }
}

fn declined() -> Answer {
    Answer::Declined { code: "card_declined".to_owned(), message: "Your card was declined.".to_owned() }
}

#[async_trait]
impl Provider for ModelProvider {
    fn request(&self, payment: &Payment, operation: &Operation) -> ProviderRequest {
        let body = format!("{} {}", payment.id, operation.amount);
        ProviderRequest { path: "/v1/charges".to_owned(), body: body.into() }
    }

    async fn send(&self, key: &str, request: &ProviderRequest) -> Answer {
        let answer = {
            let mut state = self.state.lock();
            state.sends += 1;
            let fate = state.fates.pop_front().unwrap_or(Fate::Done);
            self.take(&mut state, key, request, fate)
        };
        tokio::task::yield_now().await;
        answer
    }

    async fn look_up(&self, payment: &Payment, _operation: &Operation) -> LookUp {
        tokio::task::yield_now().await;
        let answer = {
            let mut state = self.state.lock();
            let is_unclear = state.unclear.pop_front().unwrap_or(false);
            let of_payment = |object: &&Object| object.payment == Some(payment.id);
            let found: Vec<&Object> = state.objects.iter().filter(of_payment).collect();
            match found.as_slice() {
                _ if is_unclear => LookUp::Unclear("no answer".to_owned()),
                [] => LookUp::Absent,
                [object] => LookUp::Found((*object).clone()),
                several => LookUp::Several(u32::try_from(several.len()).unwrap_or(u32::MAX)),
            }
        };
        tokio::task::yield_now().await;
        answer
    }

    async fn list(&self, of: ListOf, _: Timestamp, _: Option<&str>) -> std::result::Result<ObjectPage, String> {
        let objects = if of == ListOf::Charges { self.state.lock().objects.clone() } else { Vec::new() };
        Ok(ObjectPage { objects, next: None })
    }
}

/// Books that let others come in between, before and after each call.
pub(crate) struct Slow(pub(crate) Arc<ReferenceLedger>);

macro_rules! slowly {
    ($call:expr) => {{
        tokio::task::yield_now().await;
        let answer = $call.await;
        tokio::task::yield_now().await;
        answer
    }};
}

#[async_trait]
impl Books for Slow {
    async fn order(&self, order: &Order, owner: ProcessId, done: &[ReceiptId]) -> Result<Ordered> {
        slowly!(self.0.order(order, owner, done))
    }
    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Remembered>> {
        slowly!(self.0.remembered(tenant, key))
    }
    async fn payment(&self, id: PaymentId) -> Result<Option<Seen>> {
        slowly!(Books::payment(&*self.0, id))
    }
    async fn payments(
        &self,
        tenant: &Tenant,
        state: Option<PaymentState>,
        before: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<Payment>> {
        slowly!(self.0.payments(tenant, state, before, limit))
    }
    async fn unfinished(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<Payment>> {
        slowly!(self.0.unfinished(after, limit))
    }
    async fn unknown(&self, limit: usize) -> Result<Unknowns> {
        slowly!(self.0.unknown(limit))
    }
    async fn sheets(&self, before: Option<PaymentId>, limit: usize) -> Result<Vec<Sheet>> {
        slowly!(self.0.sheets(before, limit))
    }
    async fn advance(&self, change: &Change) -> Result<Advanced> {
        slowly!(self.0.advance(change))
    }
    async fn request(&self, payment: PaymentId, operation: u32, generation: u32) -> Result<Option<ProviderRequest>> {
        slowly!(self.0.request(payment, operation, generation))
    }
    async fn postings(&self, payment: PaymentId) -> Result<Vec<Posting>> {
        slowly!(self.0.postings(payment))
    }
    async fn balances(&self, tenant: &Tenant) -> Result<Vec<Balance>> {
        slowly!(self.0.balances(tenant))
    }
    async fn is_noted(&self, event: &str) -> Result<bool> {
        slowly!(self.0.is_noted(event))
    }
    async fn note(&self, event: &str) -> Result<()> {
        slowly!(self.0.note(event))
    }
}
