//! Cursors: where a list goes on. Opaque to clients, and of no use when changed.
//!
//! A cursor is the position, sealed with HMAC-SHA256 over the list it belongs to (path, tenant and filters) and the
//! position. The key is derived from the admin key, so that all API processes of a deployment accept each other's
//! cursors without sharing more than they do. Without an admin key the derivation starts from nothing: such an API serves
//! its own machine only, and the seal still finds edited and foreign cursors. A cursor is no permission: what it leads to
//! is judged by the request's own rights.

use crate::problem::{Problem, ProblemType};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Bytes of the seal that are kept.
const SEAL_BYTES: usize = 16;
/// The longest text that is looked at.
const TEXT_BYTES_MAX: usize = 512;
const VERSION: u8 = 1;

/// Makes and checks cursors.
#[derive(Clone)]
pub(crate) struct Cursors {
    key: [u8; 32],
}

impl Cursors {
    pub(crate) fn new(admin_key: Option<&SecretString>) -> Self {
        let secret = admin_key.map_or("", ExposeSecret::expose_secret);
        Self { key: seal(secret.as_bytes(), &[b"haul cursor key"]) }
    }

    /// The cursor of a position in a list.
    pub(crate) fn write(&self, list: &str, position: &[u8]) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.seal(list, position)[..SEAL_BYTES]);
        bytes.extend_from_slice(position);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position of a cursor of this list.
    pub(crate) fn read(&self, list: &str, text: &str) -> Result<Vec<u8>, Problem> {
        self.open(list, text)
            .ok_or_else(|| Problem::new(ProblemType::InvalidCursor, "the cursor was changed, or is another list's"))
    }

    fn open(&self, list: &str, text: &str) -> Option<Vec<u8>> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (version, rest) = bytes.split_first()?;
        let (given, position) = rest.split_at_checked(SEAL_BYTES)?;
        let expected = self.seal(list, position);
        let is_ours = *version == VERSION && bool::from(subtle::ConstantTimeEq::ct_eq(&expected[..SEAL_BYTES], given));
        is_ours.then(|| position.to_vec())
    }

    fn seal(&self, list: &str, position: &[u8]) -> [u8; 32] {
        seal(&self.key, &[&(list.len() as u64).to_be_bytes(), list.as_bytes(), position])
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn seal(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unchanged_cursor_of_the_same_list_is_read() {
        let cursors = Cursors::new(Some(&SecretString::from("k".to_owned())));
        let cursor = cursors.write("list a", b"position");
        assert_eq!(cursors.read("list a", &cursor).unwrap(), b"position");
        assert!(cursors.read("list b", &cursor).is_err());
        assert!(Cursors::new(None).read("list a", &cursor).is_err());
        for at in 0..cursor.len() {
            let mut edited = cursor.clone().into_bytes();
            edited[at] = if edited[at] == b'A' { b'B' } else { b'A' };
            assert!(cursors.read("list a", std::str::from_utf8(&edited).unwrap()).is_err(), "edited at {at}");
            assert!(cursors.read("list a", &cursor[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn processes_with_the_same_key_accept_each_others_cursors() {
        let key = SecretString::from("shared".to_owned());
        let cursor = Cursors::new(Some(&key)).write("l", b"p");
        assert_eq!(Cursors::new(Some(&key)).read("l", &cursor).unwrap(), b"p");
    }
}
