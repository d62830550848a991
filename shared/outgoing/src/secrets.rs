//! Secrets by name: a payload says `{"secret": "name"}`, and only the worker knows what that is.
//!
//! A secret comes from the variable `HAUL_SECRET_<NAME>` (upper case, `-` as `_`) or else from the file of its name in the
//! directory `HAUL_SECRETS_DIR`, which is read each time, so that it can be rotated. The bytes at a file's end that editors
//! leave there do not belong to it. What was resolved is for sending only: [`Redaction`](crate::Redaction) takes it out
//! of whatever comes back.

use haul_core::config::SECRET_PREFIX;
use secrecy::SecretString;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// The largest secret, in bytes.
const SECRET_BYTES_MAX: u64 = 16 * 1_024;

/// The name of a secret: lower-case letters, digits, `-` and `_`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretName(String);

/// A text that names no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret's name has 1 to 64 lower-case letters, digits, `-` and `_`, and begins with a letter or a digit")]
pub struct SecretNameError;

/// Where secrets come from. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Sources>);

#[derive(Default)]
struct Sources {
    variables: BTreeMap<String, SecretString>,
    directory: Option<PathBuf>,
}

/// Why there is no such secret. An operator can mend it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Nobody has set it.
    #[error("the secret {name:?} is not set: set {variable} for the worker, or put it into HAUL_SECRETS_DIR/{name}")]
    Missing {
        /// Its name.
        name: String,
        /// The variable that it is looked for in.
        variable: String,
    },
    /// Its file cannot be read.
    #[error("the file of the secret {name:?} in HAUL_SECRETS_DIR cannot be read")]
    Unreadable {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is empty, too large, or no text.
    #[error("the secret {name:?} {fault}")]
    Unusable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
}

impl SecretName {
    /// The name that a text is.
    pub fn new(text: impl Into<String>) -> Result<Self, SecretNameError> {
        let text = text.into();
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let begins_well = text.bytes().next().is_some_and(is_plain);
        let goes_on_well = text.bytes().all(|b| is_plain(b) || matches!(b, b'-' | b'_'));
        if begins_well && goes_on_well && text.len() <= NAME_BYTES_MAX { Ok(Self(text)) } else { Err(SecretNameError) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The variable that holds it.
    pub fn variable(&self) -> String {
        format!("{SECRET_PREFIX}{}", self.0.replace('-', "_").to_uppercase())
    }
}

impl TryFrom<String> for SecretName {
    type Error = SecretNameError;
    fn try_from(text: String) -> Result<Self, SecretNameError> {
        Self::new(text)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Secrets {
    /// Secrets from these variables (those that begin with `HAUL_SECRET_`) and from the files in this directory.
    pub fn new(variables: impl IntoIterator<Item = (String, SecretString)>, directory: Option<PathBuf>) -> Self {
        let variables = variables.into_iter().filter(|(name, _)| name.starts_with(SECRET_PREFIX)).collect();
        Self(Arc::new(Sources { variables, directory }))
    }

    /// The secret of this name.
    pub async fn resolve(&self, name: &SecretName) -> Result<SecretString, SecretError> {
        use secrecy::ExposeSecret;
        let variable = name.variable();
        let secret = match self.0.variables.get(&variable) {
            Some(secret) => secret.clone(),
            None => self.read(name).await?.ok_or_else(|| SecretError::Missing { name: name.0.clone(), variable })?,
        };
        let unusable = |fault| Err(SecretError::Unusable { name: name.0.clone(), fault });
        match secret.expose_secret() {
            "" => unusable("is empty"),
            text if text.chars().any(char::is_control) => unusable("holds a control character"),
            _ => Ok(secret),
        }
    }

    async fn read(&self, name: &SecretName) -> Result<Option<SecretString>, SecretError> {
        let Some(directory) = &self.0.directory else { return Ok(None) };
        let path = directory.join(&name.0);
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            File::open(path)?.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        let name = || name.0.clone();
        let bytes = match reading.await.map_err(io::Error::other).flatten() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SecretError::Unreadable { name: name(), source }),
        };
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            return Err(SecretError::Unusable { name: name(), fault: "has more than 16 KiB" });
        }
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| SecretError::Unusable { name: name(), fault: "is no text in UTF-8" })?;
        Ok(Some(SecretString::from(text.trim_end_matches(['\r', '\n']))))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("variables", &self.0.variables.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    #[test]
    fn a_name_is_never_a_path() {
        for bad in ["", ".", "..", "a/b", "../etc/passwd", "A", "-a", "_a", "a.b", "a b", &"a".repeat(65), "é"] {
            assert_eq!(SecretName::new(bad), Err(SecretNameError), "{bad}");
        }
        assert_eq!(name("stripe-key_2").variable(), "HAUL_SECRET_STRIPE_KEY_2");
    }

    #[tokio::test]
    async fn a_variable_wins_over_a_file_and_a_file_is_read_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let variables = [("HAUL_SECRET_TOKEN", "from-variable"), ("PATH", "/bin")];
        let variables = variables.map(|(name, text)| (name.to_owned(), SecretString::from(text)));
        let secrets = Secrets::new(variables, Some(directory.path().to_owned()));
        let read = async |text| secrets.resolve(&name(text)).await.map(|secret| secret.expose_secret().to_owned());
        std::fs::write(directory.path().join("token"), "from-file").unwrap();
        assert_eq!(read("token").await.unwrap(), "from-variable");
        std::fs::write(&path, "first\r\n").unwrap();
        assert_eq!(read("key").await.unwrap(), "first");
        std::fs::write(&path, "second").unwrap();
        assert_eq!(read("key").await.unwrap(), "second");
        for (content, words) in [("", "is empty"), ("a\nb", "control character"), (&*"x".repeat(20_000), "16 KiB")] {
            std::fs::write(&path, content).unwrap();
            assert!(read("key").await.unwrap_err().to_string().contains(words));
        }
        let missing = read("other-key").await.unwrap_err().to_string();
        assert!(missing.contains("set HAUL_SECRET_OTHER_KEY") && missing.contains("HAUL_SECRETS_DIR/other-key"));
        assert!(!format!("{secrets:?}").contains("from-"), "{secrets:?}");
    }
}
