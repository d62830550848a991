//! Which addresses are not public, and what they are instead.
//!
//! IPv4 is a list of what is special (IANA's registry of special-purpose addresses, and the metadata services of clouds).
//! IPv6 is the other way round: only `2000::/3` has been given out, and what is special within it is listed. An address
//! that carries an IPv4 address (mapped, NAT64) is what that one is.
//!
//! Pure: nothing is resolved or dialled here.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What an address is that is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Special {
    /// `0.0.0.0/8` and `::`: this host, on this network.
    Unspecified,
    /// This machine.
    Loopback,
    /// RFC 1918 and unique local addresses.
    Private,
    /// Behind a carrier's NAT (RFC 6598).
    Shared,
    /// One network segment.
    LinkLocal,
    /// A cloud's metadata service, which hands out credentials.
    Metadata,
    /// Many machines.
    Multicast,
    /// Examples in documents.
    Documentation,
    /// Measurements (RFC 2544).
    Benchmark,
    /// Protocol assignments, tunnels, and whatever has not been given out.
    Reserved,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::Shared => "a shared address (carrier-grade NAT)",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Documentation => "a documentation address",
            Self::Benchmark => "a benchmark address",
            Self::Reserved => "a reserved address",
        })
    }
}

/// What the address is, unless it is public.
pub fn special(address: IpAddr) -> Option<Special> {
    match canonical(address) {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// The address that packets go to: an IPv4 address that is written as an IPv6 one is the IPv4 address.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn special_v4(address: Ipv4Addr) -> Option<Special> {
    Some(match address.octets() {
        // AWS and most others; AWS's containers; Oracle; Alibaba; Azure, whose address is a public one.
        [169, 254, 169, 254] | [169, 254, 170, 2] | [192, 0, 0, 192] | [100, 100, 100, 200] | [168, 63, 129, 16] => {
            Special::Metadata
        }
        [0, ..] => Special::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Special::Private,
        [100, 64..=127, ..] => Special::Shared,
        [127, ..] => Special::Loopback,
        [169, 254, ..] => Special::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Special::Documentation,
        [198, 18..=19, ..] => Special::Benchmark,
        [224..=239, ..] => Special::Multicast,
        // Protocol assignments, the former 6to4 relays, and what was never given out, broadcast included.
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => Special::Reserved,
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<Special> {
    /// AWS's and Google's metadata services.
    const METADATA: [Ipv6Addr; 2] =
        [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];
    if METADATA.contains(&address) {
        return Some(Special::Metadata);
    }
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Special::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Special::Loopback,
        // NAT64 (RFC 6052): a gateway sends it on to the IPv4 address at its end.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return special_v4(embedded(high, low)),
        [0xfc00..=0xfdff, ..] => Special::Private,
        [0xfe80..=0xfebf, ..] => Special::LinkLocal,
        [0xff00..=0xffff, ..] => Special::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Special::Documentation,
        [0x2001, 2, 0, ..] => Special::Benchmark,
        // Protocol assignments (Teredo among them) and 6to4: tunnels to IPv4 addresses that nobody checks.
        [0x2001, 0..=0x1ff, ..] | [0x2002, ..] => Special::Reserved,
        // An ISATAP interface: the last four bytes are an IPv4 address behind it.
        [0x2000..=0x3fff, _, _, _, 0 | 0x200, 0x5efe, high, low] => return special_v4(embedded(high, low)),
        [0x2000..=0x3fff, ..] => return None,
        _ => Special::Reserved,
    })
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}
