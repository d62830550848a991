//! The settings of calls to third parties and of mail: who may be reached, and within which bounds.

use super::{comma_separated, optional_path};
use crate::span::Span;
use ipnet::IpNet;
use serde::Deserialize;
use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf};

/// Whom handlers may call, and how much of an answer is read. See `default.toml` for their meaning.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is explained in default.toml, under the same name")]
pub struct OutgoingConfig {
    #[serde(deserialize_with = "allow_list")]
    pub allow: AllowList,
    #[serde(deserialize_with = "ports")]
    pub ports: Vec<RangeInclusive<u16>>,
    #[serde(deserialize_with = "schemes")]
    pub schemes: Vec<Scheme>,
    pub connect_timeout: Span,
    pub timeout: Span,
    pub header_bytes_max: usize,
    pub body_bytes_max: usize,
    #[serde(deserialize_with = "optional_path")]
    pub roots: Option<PathBuf>,
}

/// Who besides public addresses may be called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowList {
    /// Not said: the role decides.
    #[default]
    Unset,
    /// These, and no others.
    Only(Vec<Allow>),
}

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allow {
    /// This machine, by any of its own names and addresses.
    Loopback,
    /// The addresses of a network.
    Network(IpNet),
    /// A host by name, in lower case and without a trailing dot: its private addresses too.
    Host(String),
}

/// A protocol that calls are made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without encryption.
    Http,
    /// Over TLS, verified.
    Https,
}

impl Scheme {
    /// As a URL begins with it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl AllowList {
    /// The same list, or this machine where nothing is said.
    #[must_use]
    pub fn or_loopback(self) -> Self {
        match self {
            Self::Unset => Self::Only(vec![Allow::Loopback]),
            said @ Self::Only(_) => said,
        }
    }

    /// The entries.
    pub fn entries(&self) -> &[Allow] {
        match self {
            Self::Unset => &[],
            Self::Only(entries) => entries,
        }
    }
}

impl OutgoingConfig {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.connect_timeout.as_ms() == 0 || self.timeout.as_ms() == 0 {
            return Err("outgoing.connect_timeout and outgoing.timeout must be at least \"1ms\"");
        }
        if self.header_bytes_max == 0 || self.body_bytes_max == 0 {
            return Err("outgoing.header_bytes_max and outgoing.body_bytes_max must be at least 1");
        }
        Ok(())
    }
}

fn allow_list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<AllowList, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.trim() {
        "" => Ok(AllowList::Unset),
        "none" => Ok(AllowList::Only(Vec::new())),
        list => comma_separated(list).map(allow).collect::<Result<_, _>>().map(AllowList::Only).map_err(custom),
    }
}

fn allow(text: &str) -> Result<Allow, String> {
    if text == "loopback" {
        return Ok(Allow::Loopback);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Allow::Network(address.into()));
    }
    if let Ok(network) = text.parse::<IpNet>() {
        return Ok(Allow::Network(network.trunc()));
    }
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    // What ends in digits is an address that is not written well, and no name.
    let is_numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if name.split('.').all(is_label) && !is_numeric {
        return Ok(Allow::Host(name));
    }
    Err(format!(
        "{text:?} is no network (\"10.0.0.0/8\"), no address, no host name, and neither \"loopback\" nor \"none\""
    ))
}

fn ports<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<RangeInclusive<u16>>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            (Ok(first @ 1..), Ok(last)) if first <= last => Ok(first..=last),
            _ => Err(format!("{part:?} is neither a port nor a range of ports, as in \"443,8000-8999\"")),
        }
    };
    comma_separated(&text).map(range).collect::<Result<_, _>>().map_err(custom)
}

fn schemes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Scheme>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let scheme = |part: &str| match part {
        "http" => Ok(Scheme::Http),
        "https" => Ok(Scheme::Https),
        _ => Err(format!("{part:?} is neither \"http\" nor \"https\"")),
    };
    comma_separated(&text).map(scheme).collect::<Result<_, _>>().map_err(custom)
}

fn custom<E: serde::de::Error>(message: String) -> E {
    E::custom(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn outgoing(line: &str) -> Result<OutgoingConfig, String> {
        let file = format!("[outgoing]\n{line}");
        Config::load(Some(&file), [], &[]).map(|(config, _)| config.outgoing).map_err(|error| error.to_string())
    }

    #[test]
    fn the_allow_list_takes_networks_addresses_hosts_and_loopback() {
        assert_eq!(Config::defaults().outgoing.allow, AllowList::Unset);
        assert_eq!(outgoing("allow = \"none\"").unwrap().allow, AllowList::Only(Vec::new()));
        let read = outgoing("allow = \"loopback, 10.1.2.3/8, fd00::1, Hooks.Example.COM.\"").unwrap().allow;
        assert_eq!(
            read.entries(),
            [
                Allow::Loopback,
                Allow::Network("10.0.0.0/8".parse().unwrap()),
                Allow::Network("fd00::1/128".parse().unwrap()),
                Allow::Host("hooks.example.com".to_owned()),
            ]
        );
        for bad in ["10.0.0.0/33", "10.0.0", "300.1.1.1", "http://a", "a b", "*.example.com"] {
            let error = outgoing(&format!("allow = \"{bad}\"")).unwrap_err();
            assert!(error.contains("`outgoing.allow`") && error.contains("host name"), "{bad}: {error}");
        }
    }

    #[test]
    fn what_is_not_said_is_loopback_or_nothing() {
        assert_eq!(AllowList::Unset.or_loopback().entries(), [Allow::Loopback]);
        assert!(AllowList::Unset.entries().is_empty());
        assert!(AllowList::Only(Vec::new()).or_loopback().entries().is_empty());
    }

    #[test]
    fn ports_and_schemes_are_lists() {
        assert_eq!(outgoing("ports = \"443, 8000-8999\"").unwrap().ports, [443..=443, 8_000..=8_999]);
        for bad in ["0", "9-8", "http", "70000"] {
            assert!(outgoing(&format!("ports = \"{bad}\"")).unwrap_err().contains("`outgoing.ports`"), "{bad}");
        }
        assert_eq!(outgoing("schemes = \"https\"").unwrap().schemes, [Scheme::Https]);
        assert!(outgoing("schemes = \"ftp\"").is_err());
        assert!(outgoing("timeout = \"0s\"").is_err());
    }
}
