//! The settings of traces: where spans are sent, as whom, and how many.

use super::{comma_separated, optional_text};
use crate::span::Span;
use serde::Deserialize;

/// The longest that sending a batch may take: the ones behind it wait for so long.
const TIMEOUT_MAX: Span = Span::from_secs(60);
/// The longest name of a service or an environment, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Where spans are sent. See `default.toml` for the meaning of each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is explained in default.toml, under the same name")]
pub struct TracingConfig {
    #[serde(deserialize_with = "optional_text")]
    pub otlp_url: Option<String>,
    /// Names of headers, each with the name of the secret that is its value.
    #[serde(deserialize_with = "headers")]
    pub otlp_headers: Vec<(String, String)>,
    pub otlp_timeout: Span,
    pub sample_one_in: u64,
    pub service: String,
    #[serde(deserialize_with = "optional_text")]
    pub environment: Option<String>,
}

impl TracingConfig {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.otlp_timeout.as_ms() == 0 || self.otlp_timeout > TIMEOUT_MAX {
            return Err("tracing.otlp_timeout must be more than nothing, and \"1m\" at most");
        }
        let is_name = |text: &str| (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if !is_name(&self.service) || !self.environment.as_deref().is_none_or(is_name) {
            return Err("tracing.service and tracing.environment must be names of up to 128 bytes");
        }
        match self.otlp_url.as_deref() {
            None => Ok(()),
            Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
                Err("tracing.otlp_url must begin with http:// or https://, as in \"http://127.0.0.1:4318\"")
            }
            // It is shown in logs.
            Some(url) if url.contains(['@', '?', '#']) => {
                Err("tracing.otlp_url must hold no user name, password or query: use tracing.otlp_headers")
            }
            Some(_) => Ok(()),
        }
    }
}

fn headers<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let read = |part: &str| {
        let is_token = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match part.split_once('=').map(|(name, secret)| (name.trim(), secret.trim())) {
            Some((name, secret)) if is_token(name) && !secret.is_empty() => {
                Ok((name.to_ascii_lowercase(), secret.to_owned()))
            }
            // It may be the secret itself: it is not repeated.
            _ => Err("must name a header and a secret each, as in \"authorization=otlp-token\""),
        }
    };
    comma_separated(&text).map(read).collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn tracing(line: &str) -> Result<TracingConfig, String> {
        let file = format!("[tracing]\n{line}");
        Config::load(Some(&file), [], &[]).map(|(config, _)| config.tracing).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_sent_unless_it_is_said_where() {
        assert_eq!(Config::defaults().tracing.otlp_url, None);
        let set = [("HAUL_TRACING_OTLP_URL".to_owned(), "https://otlp.example/base".to_owned())];
        let (config, _) = Config::load(None, set, &[]).unwrap();
        assert_eq!(config.tracing.otlp_url.as_deref(), Some("https://otlp.example/base"));
    }

    #[test]
    fn headers_are_given_by_the_names_of_secrets() {
        let read = tracing("otlp_headers = \"Authorization=otlp-token, x-scope-orgid = tenant\"").unwrap().otlp_headers;
        let expected = [("authorization", "otlp-token"), ("x-scope-orgid", "tenant")];
        assert_eq!(read, expected.map(|(name, secret)| (name.to_owned(), secret.to_owned())));
    }

    #[test]
    fn what_cannot_be_is_refused_and_no_secret_is_repeated() {
        for (line, words) in [
            ("otlp_url = \"localhost:4318\"", "must begin with http:// or https://"),
            ("otlp_url = \"https://user:hush@host\"", "must hold no user name"),
            ("otlp_url = \"https://host/?api-key=hush\"", "must hold no user name, password or query"),
            ("otlp_headers = \"hush\"", "`tracing.otlp_headers`: must name a header and a secret each"),
            ("otlp_headers = \"a b=hush\"", "as in \"authorization=otlp-token\""),
            ("otlp_timeout = \"0s\"", "tracing.otlp_timeout"),
            ("otlp_timeout = \"2m\"", "\"1m\" at most"),
            ("service = \"\"", "tracing.service"),
            ("sample_one_in = -1", "`tracing.sample_one_in`"),
        ] {
            let error = tracing(line).unwrap_err();
            assert!(error.contains(words) && !error.contains("hush"), "{line}: {error}");
        }
    }
}
