//! `REDIS_URL`: one server, or several nodes of a cluster, with commas between them.

use crate::link::Timeouts;
use haul_core::dispatch::{DispatchError, Result};
use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use secrecy::{ExposeSecret, SecretString};

/// The nodes that a URL names. Errors name them by their place, because a URL may hold a password.
pub(crate) fn parse(url: &SecretString, timeouts: Timeouts) -> Result<Vec<ConnectionInfo>> {
    // A peer that is gone without a word is noticed while something is under way, and while nothing is.
    let keepalive = TcpKeepalive::new().with_time(timeouts.response).with_interval(timeouts.response);
    let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(timeouts.response * 2);
    let mut nodes = Vec::new();
    for (place, text) in url.expose_secret().split(',').enumerate() {
        let info = text.trim().into_connection_info().map_err(|_| refused(place))?;
        match info.addr() {
            ConnectionAddr::Tcp(..) => {}
            ConnectionAddr::TcpTls { .. } => use_ring(),
            _ => return Err(refused(place)),
        }
        nodes.push(info.set_tcp_settings(tcp.clone()));
    }
    Ok(nodes)
}

fn refused(place: usize) -> DispatchError {
    DispatchError::Misconfigured(format!(
        "address {} of REDIS_URL is not of the form redis://[user:password@]host[:port][/database], or rediss:// for TLS",
        place + 1
    ))
}

/// Makes rustls use ring, unless this process has decided already.
fn use_ring() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(url: &str) -> Result<Vec<String>> {
        let nodes = parse(&SecretString::from(url), Timeouts::default())?;
        Ok(nodes.iter().map(|node| node.addr().to_string()).collect())
    }

    #[test]
    fn several_nodes_are_parted_by_commas() {
        assert_eq!(nodes("redis://a:1, rediss://:pw@b:2").unwrap(), ["a:1", "b:2"]);
    }

    #[test]
    fn a_refused_address_is_named_without_its_password() {
        for url in ["", "redis://a,", "http://:hush@a", "unix:///tmp/hush", "redis://:hush@a:port", "hush"] {
            let error = nodes(url).unwrap_err();
            assert!(matches!(error, DispatchError::Misconfigured(_)), "{url}");
            assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        }
    }
}
