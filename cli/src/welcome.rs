//! What `haul up` says when it is ready: where it listens, and a line that submits a first job when it is pasted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the API listens, whether it wants a key, and whether jobs may call this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Welcome {
    pub(crate) address: SocketAddr,
    pub(crate) wants_key: bool,
    pub(crate) calls_loopback: bool,
}

impl Welcome {
    /// The API's URL, as seen from this machine.
    pub(crate) fn url(&self) -> String {
        let ip = match self.address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// The words for people. The key itself is never part of them.
    pub(crate) fn text(&self, stores: &str) -> String {
        let url = self.url();
        let url_flag = if self.address.port() == 8080 { String::new() } else { format!(" --url {url}") };
        let key = if self.wants_key { " -H \"authorization: Bearer $HAUL_ADMIN_KEY\"" } else { "" };
        let job = r#"{"kind": "echo", "payload": {"hello": "world"}}"#;
        let reach = if self.calls_loopback {
            "Jobs may call public addresses and this machine; HAUL_OUTGOING_ALLOW decides who else, \"none\" is nobody."
        } else {
            "Jobs may call public addresses, not this machine; HAUL_OUTGOING_ALLOW decides who else."
        };
        format!(
            "Haul listens on {url} ({stores})\n{reach}\n\nSubmit a first job, and look at it:\n\n  \
             curl -s{key} {url}/v1/jobs -H 'content-type: application/json' -d '{job}'\n  haul ls{url_flag}\n\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_address_is_shown_as_one_that_can_be_reached() {
        let welcome =
            |address: &str| Welcome { address: address.parse().unwrap(), wants_key: false, calls_loopback: false };
        assert_eq!(welcome("0.0.0.0:80").url(), "http://127.0.0.1:80");
        assert_eq!(welcome("[::]:8080").url(), "http://[::1]:8080");
        assert_eq!(welcome("10.0.0.7:8080").url(), "http://10.0.0.7:8080");
    }

    #[test]
    fn the_line_to_paste_names_the_key_and_does_not_show_it() {
        let address = "127.0.0.1:8080".parse().unwrap();
        let text = Welcome { address, wants_key: true, calls_loopback: true }.text("SQLite");
        assert!(text.contains("-H \"authorization: Bearer $HAUL_ADMIN_KEY\" http://127.0.0.1:8080/v1/jobs"), "{text}");
        assert!(text.contains("public addresses and this machine"), "{text}");
        let other = Welcome { address, wants_key: false, calls_loopback: false }.text("SQLite");
        assert!(!other.contains("KEY") && other.contains("not this machine"), "{other}");
    }
}
