//! Who may be called: the settings, as rules that URLs and addresses are measured by.
//!
//! Pure: the API asks the same rules about a URL when a job is submitted, without a client and without DNS.

use crate::{
    address::{Special, canonical, special},
    refusal::Refusal,
    target::Target,
};
use haul_core::config::{Allow, AllowList, OutgoingConfig, Scheme};
use ipnet::IpNet;
use std::{collections::HashSet, net::IpAddr, ops::RangeInclusive};

/// The rules.
#[derive(Debug, Clone)]
pub struct Policy {
    loopback: bool,
    networks: Vec<IpNet>,
    hosts: HashSet<String>,
    ports: Vec<RangeInclusive<u16>>,
    schemes: Vec<Scheme>,
}

impl Policy {
    /// The rules of these settings. Where they do not say who else may be called, only public addresses may.
    pub fn new(config: &OutgoingConfig) -> Self {
        let mut policy = Self {
            loopback: false,
            networks: Vec::new(),
            hosts: HashSet::new(),
            ports: config.ports.clone(),
            schemes: config.schemes.clone(),
        };
        policy.allow(&config.allow);
        policy
    }

    fn allow(&mut self, list: &AllowList) {
        for entry in list.entries() {
            match entry {
                Allow::Loopback => self.loopback = true,
                Allow::Network(network) => self.networks.push(*network),
                Allow::Host(name) => drop(self.hosts.insert(name.clone())),
            }
        }
    }

    /// Whether this machine may be called.
    pub fn allows_loopback(&self) -> bool {
        self.loopback
    }

    /// The target of this URL, or what is wrong with it, as far as can be told without DNS.
    pub fn check(&self, url: &str) -> Result<Target, Refusal> {
        Target::parse(url, self)
    }

    pub(crate) fn admits_scheme(&self, scheme: Scheme) -> bool {
        self.schemes.contains(&scheme)
    }

    pub(crate) fn admits_port(&self, port: u16) -> bool {
        self.ports.iter().any(|range| range.contains(&port))
    }

    pub(crate) fn admits_name(&self, name: &str) -> bool {
        self.hosts.contains(name)
    }

    /// Whether this address may be dialled; `name` is the host that was resolved to it, if one was.
    pub fn admits(&self, name: Option<&str>, address: IpAddr) -> Result<(), Special> {
        let Some(special) = special(address) else { return Ok(()) };
        let address = canonical(address);
        let by_network = self.networks.iter().any(|network| network.contains(&address));
        let by_loopback = self.loopback && special == Special::Loopback;
        // A name is allowed for machines of one's own. What hands out credentials has to be allowed by its address.
        let by_name = matches!(special, Special::Loopback | Special::Private | Special::Shared)
            && name.is_some_and(|name| self.admits_name(name));
        if by_network || by_loopback || by_name { Ok(()) } else { Err(special) }
    }
}
