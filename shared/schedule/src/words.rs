//! Policies that are written as one word.

/// Declares an enum of words: its serde form, `FromStr` and `Display`, and an error that lists the words.
macro_rules! words {
    ($(#[$doc:meta])* $Name:ident { $($(#[$word_doc:meta])* $Word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum $Name { $($(#[$word_doc])* $Word,)+ }

        impl $Name {
            /// Every word, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$Word,)+];

            /// The word itself.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$Word => $text,)+ }
            }
        }
        impl std::str::FromStr for $Name {
            type Err = $crate::words::WordError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().copied().find(|word| word.as_str() == text);
                found.ok_or($crate::words::WordError(concat!($("`", $text, "` ",)+)))
            }
        }
        impl TryFrom<String> for $Name {
            type Error = $crate::words::WordError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl From<$Name> for &'static str {
            fn from(word: $Name) -> &'static str {
                word.as_str()
            }
        }
        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

/// A text is none of a policy's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}", .0.trim_end())]
pub struct WordError(pub(crate) &'static str);
