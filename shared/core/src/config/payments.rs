//! The settings of payments: at which provider, and as whom.

use crate::span::Span;
use serde::{Deserialize, Deserializer};

/// The longest that one request to the provider may take: an attempt's send is over within a minute.
pub(super) const TIMEOUT_MAX: Span = Span::from_secs(60);

/// Where payments are made. See `default.toml` for the meaning of each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is explained in default.toml, under the same name")]
pub struct PaymentsConfig {
    #[serde(deserialize_with = "optional_url")]
    pub url: Option<String>,
    pub secret: String,
    #[serde(deserialize_with = "optional")]
    pub webhook_secret: Option<String>,
    pub version: String,
    pub timeout: Span,
}

impl PaymentsConfig {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.timeout.as_ms() == 0 || self.timeout > TIMEOUT_MAX {
            return Err("payments.timeout must be more than nothing, and \"1m\" at most");
        }
        if self.version.is_empty() || !self.version.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("payments.version must be a version of the provider's API, such as \"2024-06-20\"");
        }
        match self.url.as_deref() {
            Some(url) if !url.starts_with("https://") && !url.starts_with("http://") => {
                Err("payments.url must begin with https:// or http://")
            }
            _ => Ok(()),
        }
    }
}

/// An empty text is none.
fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(String::deserialize(deserializer)?).filter(|text| !text.is_empty()))
}

/// Without a slash at the end, as paths are put behind it.
fn optional_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let url = text.trim_end_matches('/');
    Ok((!url.is_empty()).then(|| url.to_owned()))
}
