//! Names of queues, kinds, tenants and schedules: one alphabet, checked once at the door.
//!
//! A name is 1 to [`NAME_CHARS_MAX`] characters of `a-z A-Z 0-9 . _ -` and begins with a letter or digit. That keeps it
//! safe in URLs, Redis keys (no `:`, `{` or `}`), metric labels and shells, so that nothing later has to quote it.

use crate::limits::NAME_CHARS_MAX;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text was empty.
    #[error("must not be empty")]
    Empty,
    /// The text was too long.
    #[error("has {0} characters, at most {NAME_CHARS_MAX} are allowed")]
    TooLong(usize),
    /// The text holds a character outside of the alphabet.
    #[error("may hold only letters, digits, '.', '_' and '-', and must begin with a letter or digit")]
    Alphabet,
}

fn check(text: &str) -> Result<(), NameError> {
    let bytes = text.as_bytes();
    let first = *bytes.first().ok_or(NameError::Empty)?;
    let chars = text.chars().count();
    if chars > NAME_CHARS_MAX {
        return Err(NameError::TooLong(chars));
    }
    let inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !first.is_ascii_alphanumeric() || !bytes.iter().all(inside) {
        return Err(NameError::Alphabet);
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $Name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $Name(Arc<str>);

        impl $Name {
            /// Checks the text against the alphabet and the length limit.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                check(text.as_ref())?;
                Ok(Self(Arc::from(text.as_ref())))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
        impl std::str::FromStr for $Name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $Name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl From<$Name> for String {
            fn from(name: $Name) -> String {
                name.0.to_string()
            }
        }
        impl std::borrow::Borrow<str> for $Name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// Whose job it is. Nothing of one tenant is visible to another.
    Tenant
);
name!(
    /// Where a job waits.
    Queue
);
name!(
    /// Which handler runs a job.
    Kind
);
name!(
    /// What a tenant calls one of its schedules.
    ScheduleName
);
name!(
    /// What a file of schedules calls itself.
    SourceName
);

impl Default for Tenant {
    fn default() -> Self {
        Self(Arc::from("default"))
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self(Arc::from("default"))
    }
}

/// A queue of a tenant: what the dispatch keys everything by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct QueueRef {
    /// Whose queue.
    pub tenant: Tenant,
    /// Which of the tenant's queues.
    pub queue: Queue,
}

impl fmt::Display for QueueRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_of_the_alphabet_are_refused() {
        for text in ["", "a:b", "{a}", "../etc", "a\r\nb", "é", ".hidden", "-x", "a b", "a/b", &"x".repeat(101)] {
            assert!(Queue::new(text).is_err(), "{text:?} was accepted");
        }
        for text in ["a", "http.request", "A-1_b", &"x".repeat(100)] {
            assert!(Queue::new(text).is_ok(), "{text:?} was refused");
        }
    }
}
