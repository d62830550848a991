//! What can be told of a built-in kind's payload when its job is submitted: a URL that no worker with the same settings
//! would call.
//!
//! Nothing is resolved, and nothing else is judged: what a payload lacks besides, its first attempt says.

use haul_core::Kind;
use haul_outgoing::Policy;
use serde::Deserialize;
use std::borrow::Cow;

/// What is wrong with a payload, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The JSON pointer of the member at fault, from the payload on.
    pub pointer: String,
    /// What is wrong with it. No value is quoted.
    pub message: String,
}

/// The URLs of a payload. What has another shape is none of ours.
#[derive(Deserialize)]
struct Urls<'a> {
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    attachments: Vec<Attachment<'a>>,
}

#[derive(Deserialize)]
struct Attachment<'a> {
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
}

/// The first URL of this payload that these rules refuse.
pub fn check(kind: &Kind, payload: &[u8], policy: &Policy) -> Result<(), Fault> {
    if !matches!(kind.as_str(), "http.request" | "email.send") {
        return Ok(());
    }
    let Ok(urls) = serde_json::from_slice::<Urls<'_>>(payload) else { return Ok(()) };
    let attached = urls.attachments.iter().enumerate();
    let attached = attached.filter_map(|(n, part)| Some((format!("/attachments/{n}/url"), part.url.as_ref()?)));
    for (pointer, url) in urls.url.as_ref().map(|url| ("/url".to_owned(), url)).into_iter().chain(attached) {
        policy.check(url).map_err(|refusal| Fault { pointer, message: refusal.to_string() })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::Config;

    #[test]
    fn a_url_that_no_worker_would_call_is_told_by_its_pointer() {
        let policy = Policy::new(&Config::defaults().outgoing);
        let pointer = |kind, payload: &str| {
            check(&Kind::new(kind).unwrap(), payload.as_bytes(), &policy).err().map(|fault| fault.pointer)
        };
        assert_eq!(pointer("http.request", r#"{"url":"http://0x7f.1/"}"#).unwrap(), "/url");
        assert_eq!(pointer("http.request", r#"{"url":"http://127.0.0\u002e1/"}"#).unwrap(), "/url");
        let mail = r#"{"to":"a@b.example","attachments":[{"url":"https://b.example/"},{"url":"http://[::1]/"}]}"#;
        assert_eq!(pointer("email.send", mail).unwrap(), "/attachments/1/url");
        for fine in [r#"{"url":"https://b.example/"}"#, r#"{"url":7}"#, "[]", "1"] {
            assert_eq!(pointer("http.request", fine), None);
        }
        assert_eq!(pointer("mine", r#"{"url":"http://127.0.0.1/"}"#), None);
    }
}
