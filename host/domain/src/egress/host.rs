//! The one form of a host: every way to write the same host gives the same value, and what is
//! no host is refused before anybody looks it up.
//!
//! URLs, `host:port` values, authorities of wasi:http and names given to wasi:sockets all come
//! through here, and so do the rules that they are held against. It reads like the URL standard:
//! `2130706433`, `0x7f.1` and `１２７。１` are `127.0.0.1`; `BÜCHER.example.` is
//! `xn--bcher-kva.example`.

use serde::Serialize;
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// Longest name and longest part of one, in bytes (RFC 1035).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A host in its plain form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name: ASCII, lower case, without a dot at its end.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl Host {
    /// From a name or an address (IPv6 with or without brackets).
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no host name and no address", text.escape_debug());
        // The URL standard decodes `%2e` in a host. A URL's parser has done so before; elsewhere a
        // percent sign is a zone id (`fe80::1%eth0`) or a trick.
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'%') {
            return Err(wrong());
        }
        if text.contains(':') && !text.starts_with('[') {
            return text.parse::<Ipv6Addr>().map(|address| Self::Address(address.into())).map_err(|_| wrong());
        }
        match url::Host::parse(text) {
            Ok(url::Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                if is_name(name) { Ok(Self::Name(name.to_owned())) } else { Err(wrong()) }
            }
            Ok(url::Host::Ipv4(address)) => Ok(Self::Address(address.into())),
            Ok(url::Host::Ipv6(address)) => Ok(Self::Address(address.into())),
            Err(_) => Err(wrong()),
        }
    }

    /// What this name stands for, where it means something within a host or a private network
    /// only: looking it up elsewhere would tell others of it, and what answers is private.
    pub fn private_kind(&self) -> Option<&'static str> {
        let Self::Name(name) = self else { return None };
        let ends = |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        match () {
            // RFC 6761: it is the loopback, whatever a server says.
            () if ends("localhost") => Some("a name of this host"),
            // RFC 6762.
            () if ends("local") => Some("a name of the local link"),
            // RFC 8375, and what ICANN has set aside; metadata services are called so.
            () if ends("home.arpa") || ends("internal") => Some("a name of a private network"),
            () => None,
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.split('.').all(|label| !label.is_empty() && label.len() <= LABEL_BYTES_MAX)
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Hosts that a rule names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub enum HostPattern {
    /// This host.
    Is(Host),
    /// Every name below this one (`*.example.com`), not the name itself.
    Below(String),
}

impl HostPattern {
    /// From a host, or `*.` and a name.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(base) = text.strip_prefix("*.") else { return Host::parse(text).map(Self::Is) };
        match Host::parse(base)? {
            Host::Name(name) if name.contains('.') => Ok(Self::Below(name)),
            _ => Err(format!("`{text}`: after `*.` a name with a dot in it is needed")),
        }
    }

    /// Whether it names this host.
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Is(own), host) => own == host,
            (Self::Below(base), Host::Name(name)) => {
                name.strip_suffix(base.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Self::Below(_), Host::Address(_)) => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(host) => host.fmt(f),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

/// Host and port of a URL with an authority, as whoever follows it would read them.
///
/// # Errors
/// What is wrong with it, for people.
pub fn target_of_url(text: &str) -> Result<(String, u16), String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user and password do not belong into a URL".to_owned());
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("it names no host")?;
    let port = url.port_or_known_default().ok_or("it names no port")?;
    Ok((host.to_owned(), port))
}

/// Whether whoever follows a URL speaks to its host without TLS.
pub fn is_plain_http(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "ws"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_way_to_write_a_host_gives_one_form() {
        for (plain, ways) in [
            (
                "127.0.0.1",
                &[
                    "127.0.0.1",
                    "127.0.0.1.",
                    "2130706433",
                    "0x7f000001",
                    "0X7F000001",
                    "0x7F.0x0.0x0.0x1",
                    "017700000001",
                    "0177.0.0.1",
                    "0177.0.0.01",
                    "127.1",
                    "127.0.1",
                    "0x7f.1",
                    "0x7f.0.1",
                    "127.0x1",
                    "00000177.0.0.1",
                    "１２７.０.０.１",
                    "127。0。0。1",
                    "127．0．0．1",
                    "127｡0｡0｡1",
                    "①②⑦.0.0.1",
                    "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
                ][..],
            ),
            (
                "169.254.169.254",
                &["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"],
            ),
            ("0.0.0.0", &["0.0.0.0", "0", "0x0", "00", "0.0", "0x"]),
            ("255.255.255.255", &["255.255.255.255", "4294967295", "0xffffffff"]),
            ("::1", &["::1", "[::1]", "[0:0:0:0:0:0:0:1]", "[::0.0.0.1]", "0::1"]),
            ("::ffff:127.0.0.1", &["[::ffff:127.0.0.1]", "[::FFFF:7F00:1]", "::ffff:7f00:0001"]),
            ("64:ff9b::7f00:1", &["[64:ff9b::127.0.0.1]", "64:FF9B::7F00:1"]),
            (
                "example.com",
                &[
                    "example.com",
                    "EXAMPLE.COM",
                    "example.com.",
                    "eXaMpLe.CoM.",
                    "ｅｘａｍｐｌｅ.com",
                    "example。com",
                    "example.com。",
                    "exam\u{ad}ple.com",
                    "exam\u{200b}ple.com",
                    "ⓔⓧⓐⓜⓟⓛⓔ.com",
                ],
            ),
            (
                "xn--bcher-kva.example",
                &["bücher.example", "BÜCHER.example.", "xn--bcher-kva.example", "XN--BCHER-KVA.example"],
            ),
            ("localhost", &["localhost", "LOCALHOST", "localhost.", "ⓛocalhost"]),
            ("my_service", &["my_service", "MY_SERVICE."]),
        ] {
            for way in ways {
                assert_eq!(Host::parse(way).map(|host| host.to_string()).as_deref(), Ok(plain), "{way:?}");
            }
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let (long_label, long_name) = (format!("{}.com", "a".repeat(64)), "a.".repeat(127) + "com");
        for text in [
            "",
            ".",
            "..",
            ".example.com",
            "example..com",
            "example.com..",
            "127.0.0.1..",
            "a b.com",
            " example.com",
            "example.com\n",
            "exam\tple.com",
            "example.com\0",
            "exa\u{7f}mple.com",
            "good.example@evil.example",
            "user:pass@evil.example",
            "evil.example#good.example",
            "evil.example/good.example",
            "evil.example\\good.example",
            "evil.example?good.example",
            "example.com:80",
            "ex%61mple.com",
            "127.0.0.1%2f",
            "fe80::1%eth0",
            "[fe80::1%eth0]",
            "[fe80::1%25eth0]",
            "[::1",
            "::1]",
            "[127.0.0.1]",
            "[]",
            "*",
            "*.example.com",
            "a*b.example",
            "256.0.0.1",
            "1.2.3.4.5",
            "4294967296",
            "0x100000000",
            "127.0.0.08",
            "example.123",
            "http://example.com",
            "exa<mple.com",
            "exa|mple.com",
            "a,b",
            "a;b",
            "a'b",
            "xn--",
            &long_label,
            &long_name,
        ] {
            assert!(Host::parse(text).is_err(), "{text:?} is {:?}", Host::parse(text));
        }
    }

    #[test]
    fn some_names_mean_something_in_private_only() {
        for name in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "printer.local",
            "local",
            "metadata.google.internal",
            "instance-data.ec2.internal",
            "kubernetes.docker.internal",
            "router.home.arpa",
        ] {
            assert!(Host::parse(name).unwrap().private_kind().is_some(), "{name}");
        }
        for name in
            ["notlocalhost", "localhost.example.com", "local.example", "internal.example.com", "10.in-addr.arpa"]
        {
            assert!(Host::parse(name).unwrap().private_kind().is_none(), "{name}");
        }
    }

    #[test]
    fn below_is_below_and_nothing_else() {
        let pattern = HostPattern::parse("*.Example.com.").unwrap();
        for (host, matches) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            ("evilexample.com", false),
            ("example.com.evil.test", false),
            ("a.example.co", false),
        ] {
            assert_eq!(pattern.matches(&Host::parse(host).unwrap()), matches, "{host}");
        }
        for bad in ["*.com", "*.", "*", "*.127.0.0.1", "*.*.example.com", "**.example.com", "a.*.example.com"] {
            assert!(HostPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_names_its_host_as_a_client_reads_it() {
        for (url, target) in [
            ("http://example.com/a", Some(("example.com", 80))),
            ("https://EXAMPLE.com", Some(("example.com", 443))),
            ("https://ex%61mple.com:8443/", Some(("example.com", 8443))),
            ("http://0x7f.1/", Some(("127.0.0.1", 80))),
            ("http://[::1]:81/", Some(("[::1]", 81))),
            ("http:\\\\evil.example\\@good.example", Some(("evil.example", 80))),
            ("http://good.example@evil.example/", None),
            ("http://", None),
            ("/path", None),
            ("mailto:a@example.com", None),
            ("redis://example.com/", None),
        ] {
            let found = target_of_url(url).ok();
            assert_eq!(found.as_ref().map(|(host, port)| (host.as_str(), *port)), target, "{url}");
        }
    }

    proptest! {
        /// What is plain stays what it is, so nothing can be checked in one form and used in another.
        #[test]
        fn the_plain_form_is_its_own_plain_form(text in "\\PC{0,40}|[a-z0-9.xX\\[\\]:%@-]{0,30}|[0-9.x]{1,20}") {
            if let Ok(host) = Host::parse(&text) {
                let plain = host.to_string();
                prop_assert_eq!(Host::parse(&plain), Ok(host));
                prop_assert!(plain.is_ascii() && !plain.bytes().any(|b| b <= b' ' || b.is_ascii_uppercase()));
            }
        }

        /// Whoever reads a URL and then asks for its host gets the host that the URL's parser connects to.
        #[test]
        fn a_url_and_its_host_agree(authority in "\\PC{1,30}|[a-z0-9.xX-]{1,30}") {
            if let Ok(url) = url::Url::parse(&format!("http://{authority}/"))
                && let (Some(given), Ok(host)) = (url.host(), Host::parse(url.host_str().unwrap_or_default()))
            {
                match (given, host) {
                    (url::Host::Domain(a), Host::Name(b)) => prop_assert_eq!(a.strip_suffix('.').unwrap_or(a), b),
                    (url::Host::Ipv4(a), Host::Address(b)) => prop_assert_eq!(IpAddr::from(a), b),
                    (url::Host::Ipv6(a), Host::Address(b)) => prop_assert_eq!(IpAddr::from(a), b),
                    (a, b) => prop_assert!(false, "{a:?} {b:?}"),
                }
            }
        }

        /// Every number that is an IPv4 address is one, however it is written.
        #[test]
        fn a_number_is_an_address(number: u32) {
            let address = Host::Address(std::net::Ipv4Addr::from(number).into());
            for text in [format!("{number}"), format!("{number:#x}"), format!("0{number:o}")] {
                prop_assert_eq!(Host::parse(&text), Ok(address.clone()));
            }
        }
    }
}
