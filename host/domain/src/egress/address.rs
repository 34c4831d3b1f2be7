//! Which addresses are public, private, or never reached.
//!
//! The ranges are those of the IANA special-purpose address registries (RFC 6890 and what
//! updates it). An IPv6 address that carries an IPv4 one is judged by that.

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

/// What kind of address it is.
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(inner) => classify_v4(inner),
            None => classify_v6(address),
        },
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    use AddressClass::{Never, Private, Public};
    match address.octets() {
        // "This host" (RFC 791): Linux connects it to the loopback.
        [0, ..] => Private("this host"),
        [127, ..] => Private("loopback"),
        [10, ..] | [192, 168, ..] => Private("private"),
        [172, second, ..] if (16..32).contains(&second) => Private("private"),
        // Cloud metadata services answer at 169.254.169.254.
        [169, 254, ..] => Private("link-local"),
        // RFC 6598.
        [100, second, ..] if (64..128).contains(&second) => Private("shared by carriers"),
        [192, 0, 0, _] => Private("reserved for protocols"),
        // RFC 2544.
        [198, 18 | 19, ..] => Private("for benchmarks"),
        [224..=239, ..] => Never("multicast"),
        [240..=255, ..] => Never("reserved"),
        _ => Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    use AddressClass::{Never, Private, Public};
    let [first, second, ..] = address.segments();
    if address.is_unspecified() {
        Private("this host")
    } else if address.is_loopback() {
        Private("loopback")
    } else if address.is_multicast() {
        Never("multicast")
    } else if first & 0xfe00 == 0xfc00 {
        Private("unique local")
    } else if first & 0xffc0 == 0xfe80 {
        Private("link-local")
    } else if first & 0xffc0 == 0xfec0 {
        Private("site-local")
    } else if [first, second] == [0x64, 0xff9b] {
        // `64:ff9b:1::/48` (RFC 8215) and its unassigned neighbours: where in them the IPv4
        // address stands, the network that uses them decides.
        Private("local NAT64")
    } else {
        Public
    }
}

/// The IPv4 address inside: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`), NAT64
/// (`64:ff9b::/96`), 6to4 (`2002::/16`), or Teredo (`2001::/32`).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([first, second], [third, fourth]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(first, second, third, fourth)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(v4(high, low)),
        [0x2001, 0, .., high, low] => Some(v4(!high, !low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_private_address() {
        for text in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            // The IPv4 address behind a prefix of 48, 56, 64 bits (RFC 6052), and a public one.
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b:1:aa7f::1:0:0",
            "64:ff9b:1:bbcc:7f:0:100:808",
            "64:ff9b:1::808:808",
            "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
            "2002:7f00:1::",
            "::127.0.0.1",
            "2001:0:1::80ff:fffe",
        ] {
            assert!(matches!(classify(text.parse().unwrap()), AddressClass::Private(_)), "{text}");
        }
        for text in ["224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1", "::ffff:224.0.0.1"] {
            assert!(matches!(classify(text.parse().unwrap()), AddressClass::Never(_)), "{text}");
        }
        for text in
            ["93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert_eq!(classify(text.parse().unwrap()), AddressClass::Public, "{text}");
        }
    }
}
