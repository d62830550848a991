//! `REDIS_URL`: one server, several nodes of a cluster, or the Sentinels that know the master.

use crate::link::Timeouts;
use haul_core::dispatch::{DispatchError, Result};
use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use secrecy::{ExposeSecret, SecretString};
use std::borrow::Cow;

/// Where a Sentinel listens unless its address says so.
const SENTINEL_PORT: u16 = 26_379;

/// What a URL names.
pub(crate) enum Address {
    /// One server, or nodes of a cluster.
    Servers(Vec<ConnectionInfo>),
    /// Sentinels, and the master that they watch.
    Sentinels(Box<SentinelAddress>),
}

/// Who knows where the master is, and how it is spoken to.
pub(crate) struct SentinelAddress {
    pub(crate) sentinels: Vec<ConnectionInfo>,
    /// The name under which they watch the master.
    pub(crate) name: String,
    /// How the master is spoken to; its host and port are the Sentinels' to say.
    pub(crate) master: ConnectionInfo,
}

/// Why the address of Sentinels is refused, without a word of it.
type Why = Cow<'static, str>;

/// Reads a URL. Errors name a part by its place, because it may hold a password.
pub(crate) fn parse(url: &SecretString, timeouts: Timeouts) -> Result<Address> {
    let url = url.expose_secret().trim();
    for (prefix, scheme) in [("redis+sentinel://", "redis"), ("rediss+sentinel://", "rediss")] {
        if let Some(rest) = url.strip_prefix(prefix) {
            return sentinels(scheme, rest, timeouts)
                .map(|address| Address::Sentinels(Box::new(address)))
                .map_err(refused_sentinels);
        }
    }
    let node = |(place, text)| connection(text, timeouts).ok_or_else(|| refused(place));
    url.split(',').enumerate().map(node).collect::<Result<_>>().map(Address::Servers)
}

/// Reads what follows the scheme: `[user:password@]host[:port][,...]/name[/database][?sentinel_...=...]`. The
/// credentials are the master's; a Sentinel has its own, or none.
fn sentinels(scheme: &str, rest: &str, timeouts: Timeouts) -> std::result::Result<SentinelAddress, Why> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').ok_or("it names no master")?;
    let (name, database) = path.split_once('/').unwrap_or((path, ""));
    if name.is_empty() {
        return Err("it names no master".into());
    }
    if name.contains(['%', ' ']) {
        return Err("the master's name is no name that a Sentinel knows".into());
    }
    let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (mut user, mut password) = ("", "");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sentinel_username", value)) => user = value,
            Some(("sentinel_password", value)) => password = value,
            _ => return Err("after `?` come sentinel_username and sentinel_password, and nothing else".into()),
        }
    }
    if [credentials, user, password].iter().any(|text| text.contains(['/', '#', '?', '@'])) {
        return Err("a user or a password holds one of `/ # ? @`: write it as %2F, %23, %3F, %40".into());
    }
    let master = connection(&format!("{scheme}://{credentials}@master/{database}"), timeouts)
        .ok_or("its user, password or database cannot be read")?;
    let sentinels = hosts.split(',').enumerate().map(|(place, host)| {
        let host = host.trim();
        // A port is what follows the last colon, unless that is a part of `[::1]`.
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let port = if has_port { String::new() } else { format!(":{SENTINEL_PORT}") };
        let is_host = !host.is_empty() && !host.contains(['#', '@', '/']);
        let info = connection(&format!("{scheme}://{user}:{password}@{host}{port}"), timeouts);
        info.filter(|_| is_host).ok_or_else(|| format!("address {} cannot be read", place + 1).into())
    });
    let sentinels = sentinels.collect::<std::result::Result<_, Why>>()?;
    Ok(SentinelAddress { sentinels, name: name.to_owned(), master })
}

/// One address; `None` when it is none of TCP.
fn connection(text: &str, timeouts: Timeouts) -> Option<ConnectionInfo> {
    // A peer that is gone without a word is noticed while something is under way, and while nothing is.
    let keepalive = TcpKeepalive::new().with_time(timeouts.response).with_interval(timeouts.response);
    let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(timeouts.response * 2);
    let info = text.trim().into_connection_info().ok()?;
    match info.addr() {
        ConnectionAddr::Tcp(..) => {}
        ConnectionAddr::TcpTls { .. } => use_ring(),
        _ => return None,
    }
    Some(info.set_tcp_settings(tcp))
}

impl SentinelAddress {
    /// How the master is reached that listens there.
    pub(crate) fn master_at(&self, host: String, port: u16) -> ConnectionInfo {
        let addr = match self.master.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        self.master.clone().set_addr(addr)
    }
}

fn refused(place: usize) -> DispatchError {
    DispatchError::Misconfigured(format!(
        "address {} of REDIS_URL is not of the form redis://[user:password@]host[:port][/database], or rediss:// for TLS; \
         behind Sentinels it is redis+sentinel://host[:port],.../master-name",
        place + 1
    ))
}

fn refused_sentinels(why: Why) -> DispatchError {
    DispatchError::Misconfigured(format!(
        "REDIS_URL is not of the form redis+sentinel://[user:password@]host[:port][,host[:port]...]/master-name[/database]\
         [?sentinel_username=...&sentinel_password=...], or rediss+sentinel:// for TLS: {why}"
    ))
}

/// Makes rustls use ring, unless this process has decided already.
fn use_ring() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address> {
        parse(&SecretString::from(url), Timeouts::default())
    }

    fn nodes(url: &str) -> Result<Vec<String>> {
        let nodes = match read(url)? {
            Address::Servers(nodes) => nodes,
            Address::Sentinels(address) => address.sentinels,
        };
        Ok(nodes.iter().map(|node| node.addr().to_string()).collect())
    }

    #[test]
    fn several_nodes_are_parted_by_commas() {
        assert_eq!(nodes("redis://a:1, rediss://:pw@b:2").unwrap(), ["a:1", "b:2"]);
    }

    #[test]
    fn sentinels_are_named_with_their_master_and_both_passwords() {
        let url = "rediss+sentinel://me:p%40w@a:1,b,[::1]:7/main/3?sentinel_username=watch&sentinel_password=dog";
        let Address::Sentinels(address) = read(url).unwrap() else { panic!("no Sentinels") };
        let addresses: Vec<_> = address.sentinels.iter().map(|node| node.addr().to_string()).collect();
        assert_eq!(
            (addresses.as_slice(), address.name.as_str()),
            (["a:1", "b:26379", "::1:7"].map(String::from).as_slice(), "main")
        );
        for sentinel in &address.sentinels {
            let settings = sentinel.redis_settings();
            assert_eq!((settings.username(), settings.password(), settings.db()), (Some("watch"), Some("dog"), 0));
        }
        let master = address.master_at("m".into(), 9);
        assert!(matches!(master.addr(), ConnectionAddr::TcpTls { host, port: 9, insecure: false, .. } if host == "m"));
        let settings = master.redis_settings();
        assert_eq!((settings.username(), settings.password(), settings.db()), (Some("me"), Some("p@w"), 3));

        let Address::Sentinels(plain) = read("redis+sentinel://a/main").unwrap() else { panic!("no Sentinels") };
        assert!(matches!(plain.sentinels[0].addr(), ConnectionAddr::Tcp(host, SENTINEL_PORT) if host == "a"));
        let settings = plain.sentinels[0].redis_settings();
        assert_eq!((settings.username(), settings.password()), (None, None));
    }

    #[test]
    fn a_refused_address_is_named_without_its_password() {
        for url in [
            "",
            "redis://a,",
            "http://:hush@a",
            "unix:///tmp/hush",
            "redis://:hush@a:port",
            "hush",
            "redis+sentinel://:hush@a",
            "redis+sentinel://:hush@a/",
            "redis+sentinel://:hush@/main",
            "redis+sentinel://:hush@a:port/main",
            "redis+sentinel://:hush@a,/main",
            "redis+sentinel://:hush@a,redis://b/main",
            "redis+sentinel://:hush@a/main/hush",
            "redis+sentinel://:hu/sh@a/main",
            "redis+sentinel://:hu@hush@a/main",
            "redis+sentinel://a/main?password=hush",
            "redis+sentinel://a/main?sentinel_password=hu/sh",
            "redis-sentinel://:hush@a/main",
        ] {
            let error = read(url).err().unwrap_or_else(|| panic!("{url} was accepted"));
            assert!(matches!(error, DispatchError::Misconfigured(_)), "{url}");
            assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        }
    }
}
