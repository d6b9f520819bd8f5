//! Which IP addresses are not ordinary addresses on the public Internet. Pure tables, taken from the
//! IANA special-purpose registries (RFC 6890 and its successors) and cloud providers' documentation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What makes an address special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Unspecified,
    Loopback,
    Private,
    /// Addresses behind a carrier's NAT, RFC 6598.
    Shared,
    LinkLocal,
    /// Where cloud machines read their credentials.
    Metadata,
    Documentation,
    Multicast,
    Broadcast,
    Reserved,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Unspecified => "an unspecified address",
            Class::Loopback => "a loopback address",
            Class::Private => "a private address",
            Class::Shared => "a carrier-grade NAT address",
            Class::LinkLocal => "a link-local address",
            Class::Metadata => "a cloud metadata address",
            Class::Documentation => "a documentation address",
            Class::Multicast => "a multicast address",
            Class::Broadcast => "the broadcast address",
            Class::Reserved => "a reserved address",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// The first that contains the address decides.
const SPECIAL_V4: [(Ipv4Net, Class); 27] = [
    (v4(169, 254, 169, 254, 32), Class::Metadata),
    // Amazon's containers, by task and by pod; Tencent; Scaleway; Azure's host; Alibaba; Oracle's first generation.
    (v4(169, 254, 170, 2, 32), Class::Metadata),
    (v4(169, 254, 170, 23, 32), Class::Metadata),
    (v4(169, 254, 0, 23, 32), Class::Metadata),
    (v4(169, 254, 42, 42, 32), Class::Metadata),
    (v4(168, 63, 129, 16, 32), Class::Metadata),
    (v4(100, 100, 100, 200, 32), Class::Metadata),
    (v4(192, 0, 0, 192, 32), Class::Metadata),
    (v4(255, 255, 255, 255, 32), Class::Broadcast),
    (v4(0, 0, 0, 0, 8), Class::Unspecified),
    (v4(10, 0, 0, 0, 8), Class::Private),
    (v4(100, 64, 0, 0, 10), Class::Shared),
    (v4(127, 0, 0, 0, 8), Class::Loopback),
    (v4(169, 254, 0, 0, 16), Class::LinkLocal),
    (v4(172, 16, 0, 0, 12), Class::Private),
    (v4(192, 0, 0, 0, 24), Class::Reserved),
    (v4(192, 0, 2, 0, 24), Class::Documentation),
    (v4(192, 31, 196, 0, 24), Class::Reserved),
    (v4(192, 52, 193, 0, 24), Class::Reserved),
    (v4(192, 88, 99, 0, 24), Class::Reserved),
    (v4(192, 168, 0, 0, 16), Class::Private),
    (v4(192, 175, 48, 0, 24), Class::Reserved),
    (v4(198, 18, 0, 0, 15), Class::Reserved),
    (v4(198, 51, 100, 0, 24), Class::Documentation),
    (v4(203, 0, 113, 0, 24), Class::Documentation),
    (v4(224, 0, 0, 0, 4), Class::Multicast),
    (v4(240, 0, 0, 0, 4), Class::Reserved),
];

/// Amazon's machines and pods, Google, Scaleway, OpenStack.
const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x42),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
];

const SPECIAL_V6: [(Ipv6Net, Class); 8] = [
    (v6(0xfc00, 0, 0, 7), Class::Private),
    (v6(0xfe80, 0, 0, 10), Class::LinkLocal),
    (v6(0xff00, 0, 0, 8), Class::Multicast),
    // Addresses for protocols, benchmarks and identifiers. Teredo, its first /32, is judged before.
    (v6(0x2001, 0, 0, 23), Class::Reserved),
    (v6(0x2001, 0x0db8, 0, 32), Class::Documentation),
    (v6(0x2620, 0x004f, 0x8000, 48), Class::Reserved),
    (v6(0x3fff, 0, 0, 20), Class::Documentation),
    (v6(0x0100, 0, 0, 64), Class::Reserved),
];

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);
const NAT64: Ipv6Net = v6(0x0064, 0xff9b, 0, 96);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);
const TEREDO: Ipv6Net = v6(0x2001, 0, 0, 32);
/// The upper half of the interface that ISATAP makes of an IPv4 address, RFC 5214; one bit of it is free.
const ISATAP: u32 = 0x0000_5efe;
const ISATAP_FREE_BIT: u32 = 0x0200_0000;

/// `None`: an ordinary public address. An IPv4 address inside an IPv6 one is judged as what it is.
pub fn classify(address: IpAddr) -> Option<Class> {
    match canonical(address) {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

/// An IPv4-mapped IPv6 address is the IPv4 address: that is where a connection to it goes.
pub fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn classify_v4(address: Ipv4Addr) -> Option<Class> {
    SPECIAL_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, class)| *class)
}

fn classify_v6(address: Ipv6Addr) -> Option<Class> {
    if address == Ipv6Addr::LOCALHOST {
        return Some(Class::Loopback);
    }
    if address == Ipv6Addr::UNSPECIFIED {
        return Some(Class::Unspecified);
    }
    if METADATA_V6.contains(&address) {
        return Some(Class::Metadata);
    }
    if let Some(class) = embedded(address).into_iter().flatten().find_map(classify_v4) {
        return Some(class);
    }
    if NAT64.contains(&address) || TEREDO.contains(&address) {
        return None;
    }
    let special = SPECIAL_V6.iter().find(|(net, _)| net.contains(&address)).map(|(_, class)| *class);
    special.or_else(|| (!GLOBAL_UNICAST.contains(&address)).then_some(Class::Reserved))
}

/// The IPv4 addresses that a packet to this address may reach or pass through.
fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let bits = address.to_bits();
    let at = |low_bit: u32| Some(Ipv4Addr::from_bits((bits >> low_bit) as u32));
    const COMPATIBLE: Ipv6Net = v6(0, 0, 0, 96);
    if NAT64.contains(&address) || COMPATIBLE.contains(&address) {
        [at(0), None]
    } else if SIX_TO_FOUR.contains(&address) {
        [at(80), None]
    } else if TEREDO.contains(&address) {
        // The relay in the clear, the client with its bits inverted.
        [at(64), Some(Ipv4Addr::from_bits(!(bits as u32)))]
    } else if (bits >> 32) as u32 & !ISATAP_FREE_BIT == ISATAP {
        [at(0), None]
    } else {
        [None, None]
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;

    fn class(text: &str) -> Option<Class> {
        classify(text.parse().unwrap())
    }

    #[test]
    fn ordinary_addresses_have_no_class() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.1.1",
            "223.255.255.255",
            "100.63.255.255",
            "100.128.0.0",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::1.1.1.1",
            "::ffff:1.1.1.1",
            "2002:101:101::1",
        ] {
            assert_eq!(class(text), None, "{text}");
        }
    }

    #[test]
    fn special_addresses_are_named() {
        let cases = [
            ("0.0.0.0", Class::Unspecified),
            ("0.1.2.3", Class::Unspecified),
            ("127.0.0.1", Class::Loopback),
            ("127.255.255.254", Class::Loopback),
            ("10.0.0.1", Class::Private),
            ("172.31.255.255", Class::Private),
            ("192.168.1.1", Class::Private),
            ("100.64.0.1", Class::Shared),
            ("169.254.1.1", Class::LinkLocal),
            ("169.254.169.254", Class::Metadata),
            ("168.63.129.16", Class::Metadata),
            ("169.254.170.23", Class::Metadata),
            ("192.0.0.192", Class::Metadata),
            ("100.100.100.200", Class::Metadata),
            ("192.175.48.1", Class::Reserved),
            ("192.0.2.1", Class::Documentation),
            ("224.0.0.1", Class::Multicast),
            ("240.0.0.1", Class::Reserved),
            ("255.255.255.255", Class::Broadcast),
            ("::", Class::Unspecified),
            ("::1", Class::Loopback),
            ("::127.0.0.1", Class::Loopback),
            ("::8.8.8.8", Class::Reserved),
            ("::ffff:127.0.0.1", Class::Loopback),
            ("::ffff:169.254.169.254", Class::Metadata),
            ("64:ff9b::10.0.0.1", Class::Private),
            ("64:ff9b:1::1", Class::Reserved),
            ("2002:7f00:1::", Class::Loopback),
            ("2002:a9fe:a9fe::", Class::Metadata),
            ("2001:0:7f00:1::", Class::Loopback),
            ("2001:0:808:808::80ff:fffe", Class::Loopback),
            ("2001:2::1", Class::Reserved),
            ("2001:db8::1", Class::Documentation),
            ("3fff::1", Class::Documentation),
            ("fd00:ec2::254", Class::Metadata),
            ("fe80::a9fe:a9fe", Class::Metadata),
            ("::ffff:0:127.0.0.1", Class::Reserved),
            ("2606:4700::5efe:127.0.0.1", Class::Loopback),
            ("2606:4700::200:5efe:10.0.0.1", Class::Private),
            ("fd00::1", Class::Private),
            ("fe80::1", Class::LinkLocal),
            ("fec0::1", Class::Reserved),
            ("ff02::1", Class::Multicast),
            ("100::1", Class::Reserved),
            ("4000::1", Class::Reserved),
        ];
        for (text, expected) in cases {
            assert_eq!(class(text), Some(expected), "{text}");
        }
    }

    fn within(net: IpNet) -> impl Strategy<Value = IpAddr> {
        any::<u128>().prop_map(move |noise| match net {
            IpNet::V4(net) => {
                Ipv4Addr::from_bits(net.network().to_bits() | (noise as u32 & net.hostmask().to_bits())).into()
            }
            IpNet::V6(net) => Ipv6Addr::from_bits(net.network().to_bits() | (noise & net.hostmask().to_bits())).into(),
        })
    }

    /// The registries of special-purpose addresses, row by row, with what they leave to other documents (multicast,
    /// site-local and unassigned space) and where clouds keep credentials; written down apart from the tables above.
    const SPECIAL: &str = "\
        0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29 \
        192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 \
        192.52.193.0/24 192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 \
        203.0.113.0/24 240.0.0.0/4 255.255.255.255/32 224.0.0.0/4 \
        ::1/128 ::/128 ::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:2::/48 \
        2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32 2620:4f:8000::/48 3fff::/20 \
        5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8 0:0:0:0:ffff:0:0:0/96 200::/7 400::/6 1000::/4 4000::/3 e000::/4 \
        169.254.169.254/32 169.254.170.2/32 169.254.170.23/32 169.254.0.23/32 169.254.42.42/32 168.63.129.16/32 \
        100.100.100.200/32 192.0.0.192/32 fd00:ec2::254/128 fd00:ec2::23/128 fd20:ce::254/128 fd00:42::42/128 \
        fe80::a9fe:a9fe/128";

    fn special() -> Vec<IpNet> {
        SPECIAL.split_whitespace().map(|net| net.parse().unwrap()).collect()
    }

    /// Every form in which an IPv6 address carries an IPv4 one.
    fn embeddings(inner: Ipv4Addr) -> [Ipv6Addr; 8] {
        let low = u128::from(inner.to_bits());
        let public = u128::from(Ipv4Addr::new(8, 8, 8, 8).to_bits());
        [
            0xffff << 32 | low,
            low,
            0x0064_ff9b << 96 | low,
            0x2002 << 112 | low << 80,
            0x2001_0000 << 96 | low << 64 | !public & 0xffff_ffff,
            0x2001_0000 << 96 | public << 64 | !low & 0xffff_ffff,
            0x2606_4700 << 96 | 0x0000_5efe << 32 | low,
            0x2606_4700 << 96 | 0x0200_5efe << 32 | low,
        ]
        .map(Ipv6Addr::from_bits)
    }

    #[test]
    fn ssrf_to_a_special_address_has_no_gap_at_the_edges_of_a_range() {
        for net in special() {
            for edge in [net.network(), net.broadcast()] {
                assert!(classify(edge).is_some(), "{edge} of {net}");
            }
        }
    }

    proptest! {
        #[test]
        fn ssrf_to_a_special_address_finds_none_that_is_ordinary(
            address in prop::sample::select(special()).prop_flat_map(within),
        ) {
            prop_assert!(classify(address).is_some(), "{address}");
        }

        #[test]
        fn ssrf_by_an_embedded_address_frees_none(
            address in prop::sample::select(special()).prop_flat_map(within),
        ) {
            let IpAddr::V4(inner) = address else { return Ok(()) };
            for outer in embeddings(inner) {
                prop_assert!(classify(outer.into()).is_some(), "{outer} leads to {inner}");
            }
        }

        #[test]
        fn wrapping_an_address_does_not_free_it(bits in any::<u32>()) {
            let inner = Ipv4Addr::from_bits(bits);
            let class = classify(inner.into());
            prop_assert_eq!(classify(inner.to_ipv6_mapped().into()), class);
            let low = u128::from(bits);
            for wrapped in [0x0064_ff9b << 96 | low, 0x2002 << 112 | low << 80, 0x2001_0000 << 96 | low << 64 | 0xf7f7_f7f7] {
                prop_assert_eq!(classify(Ipv6Addr::from_bits(wrapped).into()), class);
            }
            let client_of_teredo = 0x2001_0000 << 96 | 0x0808_0808 << 64 | u128::from(!bits);
            prop_assert_eq!(classify(Ipv6Addr::from_bits(client_of_teredo).into()), class);
        }
    }
}
