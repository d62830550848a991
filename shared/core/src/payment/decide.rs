//! The state machine: what an event means for an operation, and what is to happen next. Pure.
//!
//! The rules that every line here serves:
//! - A key is sent again with the same bytes only, and only while the provider surely remembers it: its window is counted
//!   from the first send, with a margin. After that only look-ups happen.
//! - Whatever was sent without a final answer is looked up before anything else is sent.
//! - A new key is used only when the provider definitely has no such object *and* the old key can do nothing any more,
//!   because the provider repeats a stored error for it.
//! - That nothing is there counts only if nothing was changed since the question was asked.

use super::{
    Decline, Generation, Object, ObjectState, Operation, OperationKind, OperationState as State, Payment,
    looks_like_card_number,
    provider::{Answer, LookUp},
};
use crate::{outcome::JobError, time::Timestamp};
use std::time::Duration;

/// What the provider promises about keys, and how careful we are about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long the provider remembers a key, from its first use on.
    pub window: Duration,
    /// How long before its end a key is sent for the last time: what is under way then has ended when the window closes.
    pub margin: Duration,
    /// Keys that are used for one operation at most.
    pub generations_max: u32,
    /// After so long without a clear answer somebody has to look at it.
    pub patience: Duration,
}

impl Default for Rules {
    /// As Stripe has it: keys are remembered for 24 hours at least.
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        Self { window: hours(24), margin: hours(1), generations_max: 5, patience: hours(48) }
    }
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An attempt begins: the first one, a retry or a rerun.
    TakenUp,
    /// A send was answered, or not.
    Answered {
        /// Under which key.
        generation: u32,
        /// How.
        answer: Answer,
    },
    /// The provider was asked what it has.
    LookedUp {
        /// The payment's version when the question was asked.
        version: i64,
        /// When it was asked, on the ledger's clock.
        asked_at: Timestamp,
        /// What it said.
        look_up: LookUp,
    },
    /// The provider says by itself, or in a list, that something exists.
    Told(Object),
}

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It is done, as this object of the provider's.
    Succeeded {
        /// The provider's id.
        object: String,
    },
    /// The provider will not do it.
    Declined(Decline),
    /// Nothing was done and nothing more will be sent.
    NotDone,
    /// Not known yet, or turned away: to be tried again.
    Later {
        /// Not before this long from now, if that is known.
        after: Option<Duration>,
        /// For people.
        why: String,
    },
    /// Somebody has to look at it, and why.
    Flagged(String),
    /// The job has an outcome already: nothing is sent for it.
    Cancelled,
    /// There is no such payment or operation, or the job was not made for it.
    NotOurs,
}

/// What is to happen once the change is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Send what is stored for this generation, under its key.
    Send {
        /// Which.
        generation: u32,
        /// Whether the request is to be made, and stored with the change.
        is_new: bool,
    },
    /// Ask the provider what it has.
    LookUp,
    /// The attempt is over.
    End(Ended),
}

/// What an event means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The operation as it is to be stored; `None` when it stays as it is.
    pub change: Option<Operation>,
    /// Whether the change is that money moved: a posting goes with it.
    pub moves_money: bool,
    /// What is to happen then. Not before the change is committed.
    pub then: Then,
}

/// Decides. `sends_left` is how often this attempt may still send; none for whoever only looks. `None`: the payment has no
/// such operation.
pub fn decide(
    payment: &Payment,
    operation: u32,
    event: &Event,
    now: Timestamp,
    rules: &Rules,
    sends_left: u32,
) -> Option<Decision> {
    let before = payment.operation(operation)?;
    let mut case = Case { payment, now, rules, sends_left, operation: before.clone(), moves_money: false };
    let then = match event {
        Event::Told(object) => case.found(object),
        Event::Answered { answer: Answer::Done(object), .. } => case.found(object),
        Event::LookedUp { look_up: LookUp::Found(object), .. } => case.found(object),
        _ if before.state.is_final() => Then::End(case.end()),
        Event::TakenUp => case.taken_up(),
        Event::Answered { generation, answer } => case.answered(*generation, answer),
        Event::LookedUp { version, asked_at, look_up } => match look_up {
            // What was found counts whenever it was asked; that nothing was there does not.
            LookUp::Absent if *version != payment.version => case.look_up(),
            LookUp::Absent => case.absent(*asked_at),
            LookUp::Several(count) => case.flag(format!("the provider has {count} objects of this operation")),
            LookUp::Unclear(why) => case.unclear(why),
            LookUp::Found(object) => case.found(object),
        },
    };
    let Case { operation, moves_money, .. } = case;
    Some(Decision { change: (operation != *before).then_some(operation), moves_money, then })
}

/// An operation on its way through one decision.
struct Case<'a> {
    payment: &'a Payment,
    now: Timestamp,
    rules: &'a Rules,
    sends_left: u32,
    operation: Operation,
    moves_money: bool,
}

impl Case<'_> {
    fn taken_up(&mut self) -> Then {
        let needs_charge = self.operation.kind != OperationKind::Charge && self.payment.charged_object().is_none();
        match self.operation.state {
            State::Pending if needs_charge => self.later(None, "the charge is not done"),
            State::Pending => self.begin(),
            State::Postponed if self.may_send_again() => self.send_again(),
            _ => self.look_up(),
        }
    }

    fn answered(&mut self, generation: u32, answer: &Answer) -> Then {
        let is_current = self.generation().is_some_and(|current| current.number == generation);
        match answer {
            // An answer to an older key says nothing of the one that is used now.
            _ if !is_current => self.look_up(),
            Answer::Declined { code, message } => self.decline(code, message),
            Answer::TurnedAway { after } => {
                if self.operation.state == State::Sent {
                    self.operation.state = State::Postponed;
                }
                self.later(*after, "the provider turned the request away")
            }
            Answer::Unknown { .. } => self.look_up(),
            Answer::Spent => {
                if let Some(current) = self.operation.generations.last_mut() {
                    current.spent = true;
                }
                self.look_up()
            }
            Answer::Done(object) => self.found(object),
        }
    }

    /// The provider has it: a fact, whoever tells it and whenever.
    fn found(&mut self, object: &Object) -> Then {
        let expected = self.payment.amount.currency();
        let agrees = object.amount == self.operation.amount
            && object.currency.eq_ignore_ascii_case(expected.as_str())
            && object.operation.is_none_or(|number| number == self.operation.number)
            && object.payment.is_none_or(|id| id == self.payment.id);
        let is_known = self.operation.object.as_ref().is_none_or(|known| *known == object.id);
        match (&object.state, self.operation.state) {
            (ObjectState::Done, State::Succeeded) if is_known => Then::End(self.end()),
            (ObjectState::Done, State::Succeeded) => {
                self.flag(format!("the provider has a second object, {}", object.id))
            }
            (ObjectState::Done, State::Declined | State::NotDone) => {
                self.flag(format!("the provider did it after it had ended here, as {}", object.id))
            }
            (_, state) if state.is_final() => Then::End(self.end()),
            (ObjectState::Done, _) if !agrees => self.flag(format!(
                "the provider's object {} is of {} {} and not of what was asked",
                object.id, object.amount, object.currency
            )),
            (ObjectState::Done, _) => {
                self.operation.state = State::Succeeded;
                self.operation.object = Some(clean(&object.id));
                self.operation.flag = None;
                let is_held = self.operation.kind == OperationKind::Charge && !self.payment.capture;
                self.moves_money = !is_held;
                Then::End(self.end())
            }
            (ObjectState::Declined { code, message }, _) => self.decline(code, message),
            (ObjectState::Processing, _) => {
                self.doubt();
                self.later(None, "the provider is still at it")
            }
        }
    }

    /// The provider has nothing, and nothing was changed since it was asked.
    fn absent(&mut self, asked_at: Timestamp) -> Then {
        self.doubt();
        let Some(current) = self.generation() else { return self.later(None, "nothing was sent yet") };
        let closes_at = current.first_sent_at.plus(self.rules.window);
        let is_used_up = current.number >= self.rules.generations_max;
        if current.spent && is_used_up {
            return self.flag(format!("the provider fails for each of {} keys", current.number));
        }
        if current.spent && self.sends_left > 0 {
            return self.begin();
        }
        if !current.spent && self.may_send_again() {
            return self.send_again();
        }
        if asked_at >= closes_at {
            self.operation.state = State::NotDone;
            self.operation.flag = None;
            return Then::End(self.end());
        }
        if current.spent || self.is_within_window() {
            return self.later(None, "the provider has nothing yet");
        }
        self.later(Some(closes_at.since(self.now)), "the key may not be used again, and what was sent may still arrive")
    }

    fn unclear(&mut self, why: &str) -> Then {
        self.doubt();
        let since = self.generation().map(|current| current.first_sent_at);
        if since.is_some_and(|since| self.now.since(since) >= self.rules.patience) {
            return self.flag(format!("the provider does not say what came of it: {}", clean(why)));
        }
        self.later(None, "the provider does not say what came of it")
    }

    fn decline(&mut self, code: &str, message: &str) -> Then {
        self.operation.state = State::Declined;
        self.operation.decline = Some(Decline { code: clean(code), message: clean(message) });
        self.operation.flag = None;
        Then::End(self.end())
    }

    /// The first send under a new key.
    fn begin(&mut self) -> Then {
        if self.sends_left == 0 {
            return self.later(None, "nothing was sent yet");
        }
        let number = self.generation().map_or(1, |current| current.number + 1);
        let (first_sent_at, last_sent_at) = (self.now, self.now);
        self.operation.generations.push(Generation { number, first_sent_at, last_sent_at, sends: 1, spent: false });
        self.sending();
        Then::Send { generation: number, is_new: true }
    }

    /// The same bytes under the same key.
    fn send_again(&mut self) -> Then {
        let now = self.now;
        let Some(current) = self.operation.generations.last_mut() else { return self.begin() };
        current.sends = current.sends.saturating_add(1);
        current.last_sent_at = current.last_sent_at.max(now);
        let generation = current.number;
        self.sending();
        Then::Send { generation, is_new: false }
    }

    /// Doubts stay until there is a fact.
    fn sending(&mut self) {
        if self.operation.state != State::Unknown {
            self.operation.state = State::Sent;
        }
    }

    fn look_up(&mut self) -> Then {
        self.doubt();
        Then::LookUp
    }

    /// What was sent without an answer is unknown.
    fn doubt(&mut self) {
        if self.operation.state == State::Sent {
            self.operation.state = State::Unknown;
        }
    }

    fn flag(&mut self, why: String) -> Then {
        self.doubt();
        let why = clean(&why);
        self.operation.flag = Some(why.clone());
        Then::End(Ended::Flagged(why))
    }

    fn later(&self, after: Option<Duration>, why: &str) -> Then {
        Then::End(Ended::Later { after, why: why.to_owned() })
    }

    fn end(&self) -> Ended {
        let Operation { state, object, decline, .. } = &self.operation;
        match state {
            State::Succeeded => Ended::Succeeded { object: object.clone().unwrap_or_default() },
            State::Declined => Ended::Declined(
                decline.clone().unwrap_or_else(|| Decline { code: "declined".to_owned(), message: String::new() }),
            ),
            _ => Ended::NotDone,
        }
    }

    fn generation(&self) -> Option<&Generation> {
        self.operation.generations.last()
    }

    fn may_send_again(&self) -> bool {
        self.sends_left > 0 && self.is_within_window()
    }

    /// Whether the provider surely still remembers the key when the send arrives. The clock never runs backwards here: a
    /// reading before the first send is taken as that.
    fn is_within_window(&self) -> bool {
        let usable = self.rules.window.saturating_sub(self.rules.margin);
        self.generation().is_some_and(|current| !current.spent && self.now.since(current.first_sent_at) < usable)
    }
}

/// A provider's words, fit to be stored and shown.
fn clean(text: &str) -> String {
    if looks_like_card_number(text) {
        return "(withheld: it looks like a card's number)".to_owned();
    }
    JobError::new(text).message
}
