//! Idempotency keys, with the meaning that Stripe gives them.
//!
//! The first answer under a key is remembered, whatever its status, and given again with `Idempotent-Replayed: true`. Not
//! remembered is what was refused before anything began: invalid parameters, 429, a conflict. Other parameters under the same key
//! are an error, and so is using it while its first request is still under way. After the window a key is new.

use super::objects::Answer;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// What is remembered of requests.
#[derive(Debug)]
pub(super) struct Keys {
    window: Duration,
    known: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    since: Instant,
    fingerprint: String,
    /// None while it is under way.
    answer: Option<Answer>,
}

/// What a key says about a request.
pub(super) enum Begun {
    /// It is the first: [`Keys::end`] has to follow.
    New,
    /// It was answered before, in this way.
    Replay(Answer),
    /// It is under way.
    Busy,
    /// The key belongs to another request.
    Other,
}

impl Keys {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, known: HashMap::new() }
    }

    pub(super) fn window(&mut self, window: Duration) {
        self.window = window;
    }

    /// Begins a request: its fingerprint is everything that it asks for.
    pub(super) fn begin(&mut self, key: &str, fingerprint: &str) -> Begun {
        let now = Instant::now();
        let known = self.known.get(key).filter(|known| now - known.since < self.window);
        match known {
            Some(known) if known.fingerprint != fingerprint => return Begun::Other,
            Some(Known { answer: Some(answer), .. }) => return Begun::Replay(answer.clone()),
            Some(_) => return Begun::Busy,
            None => {}
        }
        let known = Known { since: now, fingerprint: fingerprint.to_owned(), answer: None };
        self.known.insert(key.to_owned(), known);
        Begun::New
    }

    /// Remembers the answer; none: it is as if the key had not been used.
    pub(super) fn end(&mut self, key: &str, answer: Option<&Answer>) {
        match (answer, self.known.get_mut(key)) {
            (Some(answer), Some(known)) => known.answer = Some(answer.clone()),
            (None, Some(_)) => drop(self.known.remove(key)),
            (_, None) => {}
        }
    }
}
