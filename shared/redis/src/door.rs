//! Which servers are let in: new enough, and unable to drop tickets by themselves.
//!
//! Looked at when connecting, and every second from then on (`guard`).

use haul_core::dispatch::{DispatchError, Result};
use std::collections::HashMap;

/// The oldest major version: `#!lua` flags, `ZRANGE .. BYSCORE` and sharded slots came with it.
const VERSION_MIN: u32 = 7;
/// What `INFO` calls what a server does when memory runs out.
const POLICY: &str = "maxmemory_policy";

/// What a server says about itself (`INFO`).
pub(crate) struct Server<'a>(HashMap<&'a str, &'a str>);

impl<'a> Server<'a> {
    /// Reads the answer to `INFO`.
    pub(crate) fn read(info: &'a str) -> Self {
        Self(info.lines().filter_map(|line| line.trim_end().split_once(':')).collect())
    }

    /// Whether it is a node of a Redis Cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.field("cluster_enabled") == "1"
    }

    /// Whether it takes writes.
    pub(crate) fn is_master(&self) -> bool {
        self.field("role") == "master"
    }

    /// Refuses it when it is too old, not a database, or set up so that it may drop tickets.
    ///
    /// The eviction policy is refused also while `maxmemory` is 0, when it has no effect yet: whoever sets a limit later
    /// would lose tickets without a word, and the command that mends it costs nothing.
    pub(crate) fn admit(&self) -> Result<()> {
        let refuse = |text: String| Err(DispatchError::Misconfigured(text));
        if self.field("redis_mode") == "sentinel" {
            return refuse(
                "REDIS_URL names a Sentinel as if it were the server; write redis+sentinel://host[:port],.../master-name".into(),
            );
        }
        // Valkey gives here the version of Redis that it is compatible with.
        let version = self.field("redis_version");
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < VERSION_MIN) {
            return refuse(format!("Redis {VERSION_MIN} or newer, or Valkey, is needed; this server is {version:?}"));
        }
        let policy = self.field(POLICY);
        if self.evicts() {
            return refuse(format!(
                "the maxmemory-policy of Redis is {policy:?}: when memory runs out it would drop tickets. Mend it with \
                 `redis-cli CONFIG SET maxmemory-policy noeviction` and in its configuration file"
            ));
        }
        Ok(())
    }

    /// Whether it would drop tickets when memory runs out.
    pub(crate) fn evicts(&self) -> bool {
        self.field(POLICY) != "noeviction"
    }

    fn field(&self, name: &str) -> &str {
        self.0.get(name).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_that_keep_their_tickets_are_let_in() {
        let admitted = |info: &str| Server::read(info).admit();
        let good = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nmaxmemory_policy:noeviction\r\n";
        assert!(admitted(good).is_ok());
        for (from, to, word) in [
            ("noeviction", "allkeys-lru", "CONFIG SET maxmemory-policy noeviction"),
            ("noeviction", "volatile-ttl", "CONFIG SET maxmemory-policy noeviction"),
            ("7.0.15", "6.2.14", "Redis 7 or newer"),
            ("standalone", "sentinel", "Sentinel"),
        ] {
            let error = admitted(&good.replace(from, to)).unwrap_err();
            assert!(matches!(&error, DispatchError::Misconfigured(text) if text.contains(word)), "{error}");
        }
    }
}
