//! Which addresses are public, private, or never reached.
//!
//! The ranges are those of the IANA special-purpose address registries (RFC 6890 and what
//! updates it). An IPv6 address that carries IPv4 ones is judged by the worst of all of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressClass {
    /// Anybody may be there.
    Public,
    /// Reached only where the action asks and the operator allows it.
    Private(&'static str),
    /// Never reached: no connection to it makes sense.
    Never(&'static str),
}

impl AddressClass {
    const fn severity(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Private(_) => 1,
            Self::Never(_) => 2,
        }
    }
}

const METADATA: AddressClass = AddressClass::Private("a cloud's metadata service");

/// What kind of address it is.
pub fn classify(address: IpAddr) -> AddressClass {
    let inner = embedded_v4(address).map(classify_v4);
    let own = match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    };
    // The first of the worst: `max_by_key` would give the last.
    inner
        .chain([own])
        .reduce(|worst, next| if next.severity() > worst.severity() { next } else { worst })
        .unwrap_or(own)
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    use AddressClass::{Never, Private, Public};
    match address.octets() {
        // AWS, Azure, GCP and others; AWS for containers and for names; Alibaba; Oracle; Azure.
        [169, 254, 169, 253 | 254]
        | [169, 254, 170, 2]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192]
        | [168, 63, 129, 16] => METADATA,
        // "This host" (RFC 791): Linux connects it to the loopback.
        [0, ..] => Private("this host"),
        [127, ..] => Private("loopback"),
        [10, ..] | [192, 168, ..] => Private("private"),
        [172, second, ..] if (16..32).contains(&second) => Private("private"),
        [169, 254, ..] => Private("link-local"),
        // RFC 6598.
        [100, second, ..] if (64..128).contains(&second) => Private("shared by carriers"),
        [192, 0, 0, _] => Private("reserved for protocols"),
        // RFC 2544.
        [198, 18 | 19, ..] => Private("for benchmarks"),
        // RFC 5737.
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Never("for documentation"),
        [224..=239, ..] => Never("multicast"),
        [255, 255, 255, 255] => Never("broadcast"),
        // The first were the relays of 6to4 (RFC 7526).
        [192, 88, 99, _] | [240..=255, ..] => Never("reserved"),
        _ => Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    use AddressClass::{Never, Private, Public};
    match address.segments() {
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => METADATA,
        [0, 0, 0, 0, 0, 0, 0, 0] => Private("this host"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Private("loopback"),
        [0xfe80..=0xfebf, ..] => Private("link-local"),
        [0xfec0..=0xfeff, ..] => Private("site-local"),
        [0xfc00..=0xfdff, ..] => Private("unique local"),
        [0xff00..=0xffff, ..] => Never("multicast"),
        // What is mapped, compatible or translated is judged by what it carries.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Public,
        // `64:ff9b:1::/48` (RFC 8215) and its unassigned neighbours: where in them the IPv4
        // address stands, the network that uses them decides.
        [0x64, 0xff9b, ..] => Private("local NAT64"),
        // RFC 9602: segments of a routing domain.
        [0x5f00, ..] => Private("for segment routing"),
        // RFC 5180.
        [0x2001, 2, 0, ..] => Private("for benchmarks"),
        // RFC 3849, RFC 9637.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Never("for documentation"),
        // RFC 4843, RFC 7343: names of keys, not of places.
        [0x2001, 0x10..=0x2f, ..] => Never("reserved"),
        [0x2000..=0x3fff, ..] => Public,
        // RFC 6666 throws it away; nothing else is assigned.
        _ => Never("reserved"),
    }
}

/// IPv4 addresses inside an IPv6 one: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`),
/// translated (`::ffff:0:a.b.c.d`), NAT64 (`64:ff9b::/96`), 6to4 (`2002::/16`), Teredo
/// (`2001::/32`, server and client), or ISATAP (`…:0:5efe:a.b.c.d`).
pub(super) fn embedded_v4(address: IpAddr) -> impl Iterator<Item = Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([first, second], [third, fourth]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(first, second, third, fourth)
    };
    let IpAddr::V6(address) = address else { return [None; 4].into_iter().flatten() };
    let segments = address.segments();
    let carried = match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => Some(v4(high, low)),
        _ => None,
    };
    let (server, client) = match segments {
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            (Some(v4(high, low)), Some(v4(!client_high, !client_low)))
        }
        _ => (None, None),
    };
    // Whatever it is beside that: the end of an address says nothing about its beginning.
    let isatap = match segments {
        [.., 0 | 0x200, 0x5efe, high, low] => Some(v4(high, low)),
        _ => None,
    };
    [carried, server, client, isatap].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn class(text: &str) -> AddressClass {
        classify(text.parse().unwrap())
    }

    #[test]
    fn every_range_has_its_class_and_ends_where_it_ends() {
        use AddressClass::{Never, Private, Public};
        for (kind, members) in [
            (Private("this host"), &["0.0.0.0", "0.1.2.3", "0.255.255.255", "::"][..]),
            (Private("loopback"), &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"]),
            (
                Private("private"),
                &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"],
            ),
            (Private("link-local"), &["169.254.0.0", "169.254.255.255", "fe80::", "fe80::1", "febf:ffff::1"]),
            (Private("shared by carriers"), &["100.64.0.0", "100.127.255.255"]),
            (Private("reserved for protocols"), &["192.0.0.0", "192.0.0.255"]),
            (Private("for benchmarks"), &["198.18.0.0", "198.19.255.255", "2001:2::", "2001:2:0:ffff::"]),
            (Private("unique local"), &["fc00::", "fdff:ffff::", "fd12:3456:789a::1"]),
            (Private("site-local"), &["fec0::", "feff:ffff::"]),
            (Private("for segment routing"), &["5f00::1"]),
            (
                METADATA,
                &[
                    "169.254.169.254",
                    "169.254.170.2",
                    "100.100.100.200",
                    "192.0.0.192",
                    "168.63.129.16",
                    "fd00:ec2::254",
                    "fd20:ce::254",
                    "::ffff:169.254.169.254",
                    "64:ff9b::a9fe:a9fe",
                    "2002:a9fe:a9fe::1",
                ],
            ),
            (Never("for documentation"), &["192.0.2.0", "198.51.100.255", "203.0.113.7", "2001:db8::1", "3fff:fff::1"]),
            (Never("multicast"), &["224.0.0.0", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1"]),
            (Never("broadcast"), &["255.255.255.255", "::ffff:255.255.255.255"]),
            (
                Never("reserved"),
                &[
                    "240.0.0.0",
                    "255.255.255.254",
                    "192.88.99.1",
                    "100::1",
                    "2001:10::1",
                    "2001:2f::1",
                    "4000::1",
                    "1::1",
                    "fe00::1",
                ],
            ),
            (
                Public,
                &[
                    "1.0.0.0",
                    "9.255.255.255",
                    "11.0.0.0",
                    "93.184.216.34",
                    "100.63.255.255",
                    "100.128.0.0",
                    "126.255.255.255",
                    "128.0.0.0",
                    "168.63.129.17",
                    "169.253.255.255",
                    "169.255.0.0",
                    "172.15.255.255",
                    "172.32.0.0",
                    "192.0.1.0",
                    "192.167.255.255",
                    "192.169.0.0",
                    "198.17.255.255",
                    "198.20.0.0",
                    "223.255.255.255",
                    "2606:4700::1111",
                    "2001:4860:4860::8888",
                    "2001:200::1",
                    "3fff:1000::1",
                    "::ffff:8.8.8.8",
                    "64:ff9b::808:808",
                    "2002:808:808::1",
                ],
            ),
        ] {
            for member in members {
                assert_eq!(class(member), kind, "{member}");
            }
        }
    }

    #[test]
    fn where_a_network_decides_what_an_address_means_it_is_private() {
        for text in [
            "64:ff9b:1::7f00:1",
            // The IPv4 address behind a prefix of 48, 56, 64 bits (RFC 6052), and a public one.
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b:1:aa7f::1:0:0",
            "64:ff9b:1:bbcc:7f:0:100:808",
            "64:ff9b:1::808:808",
            "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert_eq!(class(text), AddressClass::Private("local NAT64"), "{text}");
        }
    }

    proptest! {
        /// No way to put an IPv4 address into an IPv6 one makes it more public than it is.
        #[test]
        fn an_embedded_address_is_never_better_than_itself(bits: u32, other: u32, tail: u16) {
            let inner = Ipv4Addr::from(bits);
            let [high, low] = [(bits >> 16) as u16, bits as u16];
            let [server_high, server_low] = [(other >> 16) as u16, other as u16];
            let severity = classify_v4(inner).severity();
            for segments in [
                [0, 0, 0, 0, 0, 0xffff, high, low],
                [0, 0, 0, 0, 0xffff, 0, high, low],
                [0, 0, 0, 0, 0, 0, high, low],
                [0x64, 0xff9b, 0, 0, 0, 0, high, low],
                [0x2002, high, low, tail, 0, 0, 0, tail],
                [0x2001, 0, server_high, server_low, tail, tail, !high, !low],
                [0x2001, 0, high, low, tail, tail, server_high, server_low],
                [0x2606, tail, tail, tail, 0, 0x5efe, high, low],
                [0x2606, tail, tail, tail, 0x200, 0x5efe, high, low],
            ] {
                let address = IpAddr::from(Ipv6Addr::from(segments));
                prop_assert!(classify(address).severity() >= severity, "{address} carries {inner}");
            }
        }
    }
}
