//! Types of events, and which of them an endpoint wants.

use crate::name::NameError;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Characters in an event's type.
const CHARS_MAX: usize = 100;

/// What happened: words of letters, digits and `_`, joined by dots, as Standard Webhooks wants them: `invoice.paid`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventType(String);

/// Why a text is no event type, or no subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    /// The text was empty or too long.
    #[error(transparent)]
    Length(#[from] NameError),
    /// The text holds something else than words and dots.
    #[error("must be words of letters, digits and '_' that are joined by dots, such as \"invoice.paid\"")]
    Form,
}

fn check(text: &str) -> Result<(), SubscriptionError> {
    if text.is_empty() {
        return Err(NameError::Empty.into());
    }
    let chars = text.chars().count();
    if chars > CHARS_MAX {
        return Err(NameError::TooLong(chars).into());
    }
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if text.split('.').all(is_word) { Ok(()) } else { Err(SubscriptionError::Form) }
}

impl EventType {
    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventType {
    type Err = SubscriptionError;
    fn from_str(text: &str) -> Result<Self, SubscriptionError> {
        check(text).map(|()| Self(text.to_owned()))
    }
}
impl TryFrom<String> for EventType {
    type Error = SubscriptionError;
    fn try_from(text: String) -> Result<Self, SubscriptionError> {
        text.parse()
    }
}
impl From<EventType> for String {
    fn from(event: EventType) -> String {
        event.0
    }
}
impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Events that an endpoint wants: one type (`invoice.paid`), or all that begin with the same words (`invoice.*`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subscription {
    words: String,
    /// Whether further words may follow.
    and_below: bool,
}

impl Subscription {
    /// Whether events of this type are wanted.
    pub fn covers(&self, event: &EventType) -> bool {
        match event.as_str().strip_prefix(&self.words) {
            Some("") => !self.and_below,
            Some(rest) => self.and_below && rest.starts_with('.'),
            None => false,
        }
    }
}

impl FromStr for Subscription {
    type Err = SubscriptionError;
    fn from_str(text: &str) -> Result<Self, SubscriptionError> {
        let (words, and_below) = match text.strip_suffix(".*") {
            Some(words) => (words, true),
            None => (text, false),
        };
        check(words).map(|()| Self { words: words.to_owned(), and_below })
    }
}
impl TryFrom<String> for Subscription {
    type Error = SubscriptionError;
    fn try_from(text: String) -> Result<Self, SubscriptionError> {
        text.parse()
    }
}
impl From<Subscription> for String {
    fn from(subscription: Subscription) -> String {
        subscription.to_string()
    }
}
impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.words, if self.and_below { ".*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_type_is_words_and_dots() {
        for text in ["a", "invoice.paid", "A_1.b.c"] {
            assert_eq!(text.parse::<EventType>().map(|event| event.to_string()), Ok(text.to_owned()));
        }
        for text in ["", ".", "a.", ".a", "a..b", "a b", "a-b", "a.*", "é", "a\r\nb", &"x".repeat(101)] {
            assert!(text.parse::<EventType>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_subscription_covers_its_type_or_everything_below() {
        let covers = |wanted: &str, event: &str| {
            wanted.parse::<Subscription>().unwrap().covers(&event.parse::<EventType>().unwrap())
        };
        assert!(covers("invoice.paid", "invoice.paid"));
        assert!(!covers("invoice.paid", "invoice.paid.late"));
        assert!(covers("invoice.*", "invoice.paid") && covers("invoice.*", "invoice.paid.late"));
        assert!(!covers("invoice.*", "invoice") && !covers("invoice.*", "invoices.paid"));
        for text in ["*", ".*", "a.*.b", "*.a", "a*", "a.**"] {
            assert!(text.parse::<Subscription>().is_err(), "{text:?} was accepted");
        }
        assert_eq!("a.b.*".parse::<Subscription>().unwrap().to_string(), "a.b.*");
    }
}
