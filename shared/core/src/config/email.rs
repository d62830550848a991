//! The settings of mail: which server takes it, and in whose name.

use super::{optional_path, optional_text};
use serde::Deserialize;
use std::path::PathBuf;

/// Where `email.send` hands its mail over. See `default.toml` for the meaning of each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is explained in default.toml, under the same name")]
pub struct EmailConfig {
    #[serde(deserialize_with = "server")]
    pub url: Option<MailServer>,
    #[serde(deserialize_with = "optional_text")]
    pub user: Option<String>,
    #[serde(deserialize_with = "optional_text")]
    pub password: Option<String>,
    #[serde(deserialize_with = "optional_text")]
    pub from: Option<String>,
    #[serde(deserialize_with = "optional_path")]
    pub templates: Option<PathBuf>,
}

/// A mail server that takes messages over SMTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How a session with it is protected.
    pub protection: MailProtection,
}

/// How a session with a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailProtection {
    /// From the first byte on: `smtps://`.
    Tls,
    /// By STARTTLS, which has to succeed: `smtp://`.
    StartTls,
    /// Not at all: `smtp+plain://`, for this machine and networks of one's own.
    None,
}

impl MailServer {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (protection, default_port) = match scheme {
            "smtps" => (MailProtection::Tls, 465),
            "smtp" => (MailProtection::StartTls, 587),
            "smtp+plain" => (MailProtection::None, 25),
            _ => return None,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // An IPv6 address stands in brackets, so that its colons are not taken for a port's.
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Some(default_port), |port| port.parse().ok().filter(|port| *port > 0))?;
        let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
        let is_host = !host.is_empty() && host.bytes().all(is_host);
        is_host.then(|| Self { host: host.to_owned(), port, protection })
    }
}

fn server<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<MailServer>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    // Not quoted: it may hold a password.
    MailServer::parse(&text).map(Some).ok_or_else(|| {
        serde::de::Error::custom(
            "is no mail server; write \"smtps://HOST\", \"smtp://HOST\" (STARTTLS) or \"smtp+plain://HOST\", each with a \
             :PORT if need be; user and password are settings of their own",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn a_mail_servers_url_says_how_it_is_protected() {
        let server = |host: &str, port, protection| Some(MailServer { host: host.to_owned(), port, protection });
        assert_eq!(MailServer::parse("smtps://mail.example.com"), server("mail.example.com", 465, MailProtection::Tls));
        assert_eq!(MailServer::parse("smtp://mail:2525/"), server("mail", 2_525, MailProtection::StartTls));
        assert_eq!(MailServer::parse("smtp+plain://[::1]"), server("::1", 25, MailProtection::None));
        assert_eq!(MailServer::parse("smtp+plain://[::1]:2"), server("::1", 2, MailProtection::None));
    }

    #[test]
    fn what_is_no_mail_server_is_refused_and_not_quoted() {
        for bad in
            ["mail", "smtp://", "smtp://u:hush@mail", "http://mail", "smtp://mail:0", "smtp://mail:x", "smtp://a b"]
        {
            let error = Config::load(Some(&format!("[email]\nurl = \"{bad}\"")), [], &[]).unwrap_err().to_string();
            assert!(
                error.contains("`email.url`") && error.contains("smtps://HOST") && !error.contains("hush"),
                "{error}"
            );
        }
        assert_eq!(Config::defaults().email.url, None);
    }
}
