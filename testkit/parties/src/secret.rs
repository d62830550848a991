//! Secrets that can be told from everything else: whoever searches what a test run has written finds them.

/// In every secret of the tests and in nothing else, so that whatever holds it has leaked. Letters only: it is the same in
/// JSON, in URLs, and in what is base64 already.
pub const MARK: &str = "MarkedAsSecret";

/// What the keys that webhooks are signed with begin with, also those that Haul makes at random.
pub const SIGNING_KEY_PREFIX: &str = "whsec_";

/// A secret with the mark, for this purpose.
#[must_use]
pub fn marked(purpose: &str) -> String {
    format!("{MARK}-{purpose}")
}
