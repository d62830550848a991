//! Signing keys: what a receiver checks deliveries with, as Standard Webhooks defines them.
//!
//! While keys are exchanged, several are valid: deliveries are signed with each of them, so that a receiver may take the new
//! one into use whenever it likes within the overlap. Keys are shown once, to whoever has made them; here they are
//! never shown, and `Debug` hides them.

use crate::time::Timestamp;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// What a key's text begins with.
const PREFIX: &str = "whsec_";
/// Bytes that a key may have.
const BYTES_MIN: usize = 24;
const BYTES_MAX: usize = 64;
/// Keys that are valid at a time.
const KEYS_MAX: usize = 3;

/// A secret that deliveries are signed with (HMAC-SHA256).
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

/// Why a text is no signing key. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is written otherwise.
    #[error("must be \"whsec_\" and base64")]
    Form,
    /// It is too short or too long.
    #[error("must have 24 to 64 bytes")]
    Length,
}

impl SigningKey {
    /// A new key of 32 bytes.
    pub fn random() -> Self {
        // 122 random bits each, from the operating system: 244 in all.
        let (a, b) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
        Self([a.as_bytes().as_slice(), b.as_bytes()].concat())
    }

    /// From its text, `whsec_...`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(KeyError::Form)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Form)?;
        if !(BYTES_MIN..=BYTES_MAX).contains(&bytes.len()) {
            return Err(KeyError::Length);
        }
        Ok(Self(bytes))
    }

    /// Its text, `whsec_...`: to be shown once, and never to be logged.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The bytes that sign.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// The keys of an endpoint, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    key: SigningKey,
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl Keyring {
    /// A ring with one key.
    pub fn new(key: SigningKey) -> Self {
        Self(vec![Entry { key, expires_at: None }])
    }

    /// With a new key; those before stay valid until `overlap` has passed, the newest two of them at most.
    #[must_use]
    pub fn rotated(&self, key: SigningKey, now: Timestamp, overlap: Duration) -> Self {
        let end = now.plus(overlap);
        let before = self.0.iter().filter(|entry| is_valid(entry, now)).map(|entry| Entry {
            key: entry.key.clone(),
            expires_at: Some(entry.expires_at.map_or(end, |expires_at| expires_at.min(end))),
        });
        let before = before.filter(|entry| is_valid(entry, now));
        Self(std::iter::once(Entry { key, expires_at: None }).chain(before).take(KEYS_MAX).collect())
    }

    /// The keys to sign with, the newest first. Never empty: the newest key does not expire.
    pub fn valid(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        self.0.iter().filter(move |entry| is_valid(entry, now)).map(|entry| &entry.key)
    }

    /// When the last of the keys before the newest one expires, if there are any.
    pub fn overlap_ends_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.iter().filter(|entry| is_valid(entry, now)).filter_map(|entry| entry.expires_at).max()
    }

    /// The form in which the ledger keeps it: JSON. Secret.
    pub fn encode(&self) -> String {
        let stored = self.0.iter().map(|entry| Stored { key: entry.key.reveal(), expires_at: entry.expires_at });
        serde_json::to_string(&stored.collect::<Vec<_>>()).unwrap_or_default()
    }

    /// Reads what [`Keyring::encode`] has written. The error says nothing about the text.
    pub fn decode(text: &str) -> Result<Self, KeyError> {
        let stored: Vec<Stored> = serde_json::from_str(text).map_err(|_| KeyError::Form)?;
        let entry = |stored: Stored| Ok(Entry { key: SigningKey::parse(&stored.key)?, expires_at: stored.expires_at });
        let entries: Vec<Entry> = stored.into_iter().map(entry).collect::<Result<_, _>>()?;
        if entries.first().is_none_or(|newest| newest.expires_at.is_some()) {
            return Err(KeyError::Form);
        }
        Ok(Self(entries))
    }
}

fn is_valid(entry: &Entry, now: Timestamp) -> bool {
    entry.expires_at.is_none_or(|expires_at| expires_at > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn keys(ring: &Keyring, at: Timestamp) -> Vec<SigningKey> {
        ring.valid(at).cloned().collect()
    }

    #[test]
    fn old_keys_stay_valid_for_the_overlap() {
        let [a, b, c] = std::array::from_fn(|_| SigningKey::random());
        let ring = Keyring::new(a.clone()).rotated(b.clone(), NOW, DAY);
        assert_eq!(keys(&ring, NOW), [b.clone(), a.clone()]);
        assert_eq!(ring.overlap_ends_at(NOW), Some(NOW.plus(DAY)));
        assert_eq!(keys(&ring, NOW.plus(DAY)), std::slice::from_ref(&b));
        // A second exchange does not make the first key live longer.
        let later = NOW.plus(DAY / 2);
        let ring = ring.rotated(c.clone(), later, DAY);
        assert_eq!(keys(&ring, later), [c.clone(), b.clone(), a]);
        assert_eq!(keys(&ring, NOW.plus(DAY)), [c.clone(), b]);
        assert_eq!(keys(&ring.rotated(c.clone(), later, Duration::ZERO), later), [c]);
    }

    #[test]
    fn a_ring_holds_three_keys_at_most() {
        let mut ring = Keyring::new(SigningKey::random());
        for _ in 0..10 {
            ring = ring.rotated(SigningKey::random(), NOW, DAY);
        }
        assert_eq!(keys(&ring, NOW).len(), KEYS_MAX);
        assert_eq!(Keyring::decode(&ring.encode()), Ok(ring));
    }

    #[test]
    fn a_key_is_read_as_standard_webhooks_writes_it_and_never_shown() {
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let key = SigningKey::parse(text).unwrap();
        assert_eq!(key.reveal(), text);
        assert_eq!(format!("{:?}", Keyring::new(key)).find("MfKQ"), None);
        for bad in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!", "whsec_MfKQ9r8GKYqrTwjU"] {
            assert!(SigningKey::parse(bad).is_err(), "{bad:?} was accepted");
        }
        for bad in [
            "",
            "[]",
            "{}",
            r#"[{"key":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","expires_at":"2026-11-22T00:00:00Z"}]"#,
        ] {
            assert!(Keyring::decode(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
