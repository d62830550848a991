//! Every address, against IANA's registries of special-purpose addresses, written down here once more as networks.

use haul_outgoing::address::special;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// iana-ipv4-special-registry, without the anycast services that are reachable globally, and multicast.
const SPECIAL_V4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    // In no registry: Azure's metadata service.
    "168.63.129.16/32",
];
/// iana-ipv6-special-registry, as far as it lies within what has been given out.
const SPECIAL_V6: &[&str] = &[
    "2001::/23",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
];

fn is_public(address: IpAddr) -> bool {
    let any = |networks: &[&str], address: IpAddr| {
        networks.iter().any(|network| network.parse::<IpNet>().unwrap().contains(&address))
    };
    let within = |network: &str, address: Ipv6Addr| network.parse::<Ipv6Net>().unwrap().contains(&address);
    let last_v4 = |address: Ipv6Addr| IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() as u32));
    match address {
        IpAddr::V4(_) => !any(SPECIAL_V4, address),
        IpAddr::V6(v6) if within("::ffff:0:0/96", v6) || within("64:ff9b::/96", v6) => is_public(last_v4(v6)),
        IpAddr::V6(v6) => {
            let is_isatap = matches!(v6.to_bits() >> 32 & 0xffff_ffff, 0x5efe | 0x200_5efe);
            within("2000::/3", v6) && !any(SPECIAL_V6, address) && (!is_isatap || is_public(last_v4(v6)))
        }
    }
}

/// Addresses at the edges of the networks, where mistakes are.
fn edges_v4() -> impl Strategy<Value = u32> {
    (prop::sample::select(SPECIAL_V4), -2_i64..=2, any::<bool>()).prop_map(|(network, offset, last)| {
        let network: Ipv4Net = network.parse().unwrap();
        let edge = if last { network.broadcast() } else { network.network() };
        edge.to_bits().wrapping_add_signed(offset as i32)
    })
}

fn edges_v6() -> impl Strategy<Value = u128> {
    let networks = [SPECIAL_V6, &["2000::/3", "fc00::/7", "fe80::/10", "ff00::/8", "64:ff9b::/96", "64:ff9b:1::/48"]];
    (prop::sample::select(networks.concat()), -2_i128..=2, any::<bool>()).prop_map(|(network, offset, last)| {
        let network: Ipv6Net = network.parse().unwrap();
        let edge = if last { network.broadcast() } else { network.network() };
        edge.to_bits().wrapping_add_signed(offset)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn an_ipv4_address_is_public_unless_a_registry_lists_it(bits in prop_oneof![any::<u32>(), edges_v4()]) {
        let address = Ipv4Addr::from_bits(bits);
        prop_assert_eq!(special(address.into()).is_none(), is_public(address.into()), "{}", address);
        // However it is carried.
        let mapped = IpAddr::V6(address.to_ipv6_mapped());
        prop_assert_eq!(special(mapped), special(address.into()));
        let nat64 = Ipv6Addr::from_bits(0x64_ff9b_u128 << 96 | u128::from(bits));
        prop_assert_eq!(special(nat64.into()), special(address.into()));
        for carried in [u128::from(bits), 0x2002_u128 << 112 | u128::from(bits) << 80, 0x2001_u128 << 112 | u128::from(bits)] {
            prop_assert!(special(IpAddr::V6(Ipv6Addr::from_bits(carried))).is_some());
        }
    }

    #[test]
    fn an_ipv6_address_is_public_when_it_was_given_out_and_is_not_special(
        bits in prop_oneof![any::<u128>(), any::<u128>().prop_map(|bits| bits >> 3 | 1 << 125), edges_v6()]
    ) {
        let address = IpAddr::V6(Ipv6Addr::from_bits(bits));
        prop_assert_eq!(special(address).is_none(), is_public(address), "{}", address);
    }
}
