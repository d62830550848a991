//! The payload of `email.send`.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A message to send. Addresses are written `a@example.com` or `A Name <a@example.com>`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    /// Its sender; `email.from` when not given.
    #[serde(default)]
    pub(super) from: Option<String>,
    /// One address or several.
    pub(super) to: Addresses,
    #[serde(default)]
    pub(super) cc: Addresses,
    /// Written to without the others' knowledge.
    #[serde(default)]
    pub(super) bcc: Addresses,
    #[serde(default)]
    pub(super) reply_to: Option<String>,
    #[serde(default)]
    pub(super) subject: Option<String>,
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) html: Option<String>,
    /// Further headers.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// A template that the operator has put into `email.templates`: it gives what subject, text and html do not.
    #[serde(default)]
    pub(super) template: Option<String>,
    /// What the template is filled with.
    #[serde(default)]
    pub(super) variables: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub(super) attachments: Vec<Attachment>,
}

/// One address or several.
#[derive(Deserialize, Default)]
#[serde(untagged)]
pub(super) enum Addresses {
    #[default]
    None,
    One(String),
    Several(Vec<String>),
}

/// A file: fetched when the message is sent, or part of the payload.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attachment {
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) content_base64: Option<String>,
    pub(super) filename: String,
    #[serde(default)]
    pub(super) content_type: Option<String>,
}

impl Addresses {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(address) => std::slice::from_ref(address),
            Self::Several(addresses) => addresses,
        }
    }
}
