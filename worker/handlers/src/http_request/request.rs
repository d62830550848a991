//! The payload of `http.request`, and the call that it asks for.

use bytes::Bytes;
use haul_outgoing::{
    Beyond, Call, Caps, Outgoing, Policy, Redaction, SecretError, SecretName, Secrets, Target, check_header_name,
};
use http::{HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The payload.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    /// A string is sent as it is, other JSON as `application/json`.
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

/// The value of a header.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Plain(String),
    Secret(Reference),
}

/// `{"secret": "name"}`, with `"prefix": "Bearer "` where something stands before it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    secret: SecretName,
    #[serde(default)]
    prefix: String,
}

/// What is wrong with a payload, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The member: `url`, `method`, `headers`, `body`; empty for the payload itself.
    pub(crate) member: &'static str,
    pub(crate) message: String,
}

/// Why there is no call.
#[derive(Debug)]
pub(crate) enum NoCall {
    /// The payload is at fault.
    Fault(Fault),
    /// A secret is not there.
    Secret(SecretError),
}

fn get() -> String {
    "GET".to_owned()
}

fn fault<T>(member: &'static str, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { member, message: message.into() })
}

impl Request {
    /// Judges the payload as far as that is possible without secrets and without DNS. No value is quoted.
    pub(crate) fn check(&self, policy: &Policy) -> Result<(Method, Target), Fault> {
        let method = match self.method.to_ascii_uppercase().as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            "HEAD" => Method::HEAD,
            "OPTIONS" => Method::OPTIONS,
            _ => return fault("method", "`method` must be one of GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"),
        };
        for (name, value) in &self.headers {
            let plain = match value {
                Value::Plain(text) => text,
                Value::Secret(reference) => &reference.prefix,
            };
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(plain).is_err() {
                return fault(
                    "headers",
                    format!("`headers` holds {name:?}, which is no header name or has a value that is none"),
                );
            }
            if check_header_name(name).is_err() {
                return fault("headers", format!("`headers` may not set {:?}", name.to_ascii_lowercase()));
            }
        }
        let target = policy.check(&self.url).or_else(|refusal| fault("url", refusal.to_string()))?;
        Ok((method, target))
    }

    /// The call, and what is to be taken out of whatever comes of it.
    pub(crate) async fn build(
        self,
        outgoing: &Outgoing,
        secrets: &Secrets,
        body_bytes_max: usize,
    ) -> Result<(Call, Redaction), NoCall> {
        let (method, target) = self.check(outgoing.policy()).map_err(NoCall::Fault)?;
        let mut call = Call::new(method, target);
        call.caps = Caps { body_bytes_max, beyond: Beyond::Cut };
        let mut redaction = Redaction::default();
        for (name, value) in &self.headers {
            let text = match value {
                Value::Plain(text) => SecretString::from(text.as_str()),
                Value::Secret(Reference { secret, prefix }) => {
                    let secret = secrets.resolve(secret).await.map_err(NoCall::Secret)?;
                    redaction.add(&secret);
                    SecretString::from(format!("{prefix}{}", secret.expose_secret()))
                }
            };
            let refused = || {
                let message = format!("`headers` holds {name:?}, which is no header name or has a value that is none");
                NoCall::Fault(Fault { member: "headers", message })
            };
            let name = HeaderName::try_from(name).map_err(|_| refused())?;
            let mut value = HeaderValue::try_from(text.expose_secret()).map_err(|_| refused())?;
            value.set_sensitive(true);
            call.headers.insert(name, value);
        }
        match self.body.as_deref().map(RawValue::get) {
            None | Some("null") => {}
            Some(text) if text.starts_with('"') => {
                let not_json =
                    |_| NoCall::Fault(Fault { member: "body", message: "`body` is not valid JSON".to_owned() });
                let text: String = serde_json::from_str(text).map_err(not_json)?;
                call.body = Bytes::from(text);
            }
            Some(json) => {
                call.body = Bytes::copy_from_slice(json.as_bytes());
                call.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            }
        }
        Ok((call, redaction))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::Config;

    async fn call(json: &str) -> Result<Call, String> {
        let request = serde_json::from_str::<Request>(json).map_err(|error| error.to_string())?;
        let outgoing = Outgoing::new(&Config::defaults().outgoing).unwrap();
        let variables = [("HAUL_SECRET_KEY".to_owned(), SecretString::from("hush-hush"))];
        match request.build(&outgoing, &Secrets::new(variables, None), 100).await {
            Ok((call, _)) => Ok(call),
            Err(NoCall::Fault(fault)) => Err(fault.message),
            Err(NoCall::Secret(error)) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn a_string_body_is_sent_as_it_is_and_other_json_as_json() {
        let text = call(r#"{"method":"post","url":"http://a/","body":"a \"b\""}"#).await.unwrap();
        assert_eq!(text.body, &b"a \"b\""[..]);
        assert!(!text.headers.contains_key(CONTENT_TYPE));
        let json = call(r#"{"method":"POST","url":"http://a/","body":{"a": 1.0}}"#).await.unwrap();
        assert_eq!(json.body, &br#"{"a": 1.0}"#[..]);
        assert_eq!(json.headers[CONTENT_TYPE], "application/json");
        let own = call(r#"{"url":"http://a/","headers":{"Content-Type":"x/y"},"body":[1]}"#).await.unwrap();
        assert_eq!(own.headers[CONTENT_TYPE], "x/y");
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_refused_without_quoting_values() {
        for bad in [
            r#"{"url":"ftp://a/"}"#,
            r#"{"url":"http://a/\n"}"#,
            r#"{"url":"/relative"}"#,
            r#"{"url":"http://u:hush@a/"}"#,
            r#"{"url":"http://127.0.0.1/?hush"}"#,
            r#"{"url":"http://a/","method":"BREW"}"#,
            r#"{"url":"http://a/","headers":{"a b":"hush"}}"#,
            r#"{"url":"http://a/","headers":{"x":"hush\r\nhost: b"}}"#,
            r#"{"url":"http://a/","headers":{"Transfer-Encoding":"hush"}}"#,
            r#"{"url":"http://a/","headers":{"x":{"secret":"key","prefix":"hush\n"}}}"#,
            r#"{"url":"http://a/","headers":{"x":{"secret":"../key"}}}"#,
            r#"{"url":"http://a/","headers":{"x":{"secret":"other"}}}"#,
            r#"{"url":"http://a/","redirects":3}"#,
        ] {
            let error = call(bad).await.unwrap_err();
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_secret_takes_the_place_of_a_headers_value_and_is_marked() {
        let json = r#"{"url":"http://a/","headers":{"Authorization":{"secret":"key","prefix":"Bearer "}}}"#;
        let call = call(json).await.unwrap();
        assert_eq!(call.headers["authorization"], "Bearer hush-hush");
        assert!(!format!("{call:?}").contains("hush"), "{call:?}");
    }
}
