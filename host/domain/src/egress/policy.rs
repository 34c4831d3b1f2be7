//! The operator's word above all actions: what is denied, what is allowed at all, and whether
//! private networks may be reached.
//!
//! An entry is a host (`example.com`, `*.example.com`), an address or a network (`10.0.0.0/8`),
//! each with or without a port. What is denied is denied. Where there is a list of what is
//! allowed, nothing else is reached. Neither list grants anything: that is for actions.

use super::{Denial, DenialReason, Host, HostPattern, address::embedded_v4};
use std::{fmt, net::IpAddr};

/// The setting with what is allowed.
pub const ALLOW_SETTING: &str = "ACTION_SERVICE_EGRESS_ALLOW";
/// The setting with what is denied.
pub const DENY_SETTING: &str = "ACTION_SERVICE_EGRESS_DENY";

/// The operator's word above all actions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Whether an action that asks for private networks may reach them.
    pub private_networks: bool,
    /// Where it is not empty, nothing else is reached.
    pub allow: Vec<PolicyEntry>,
    /// What is not reached, whoever grants it.
    pub deny: Vec<PolicyEntry>,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyEntry {
    hosts: Hosts,
    port: Option<u16>,
    /// As the operator wrote it.
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    Named(HostPattern),
    Network(Network),
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    first: IpAddr,
    prefix: u8,
}

impl Network {
    fn new(first: IpAddr, prefix: u8) -> Result<Self, String> {
        let bits = if first.is_ipv4() { 32 } else { 128 };
        if prefix > bits {
            return Err(format!("a prefix of {first} has at most {bits} bits"));
        }
        let network = Self { first: masked(first, prefix), prefix };
        if network.first != first {
            return Err(format!("{first} has bits behind its prefix; {}/{prefix} may be meant", network.first));
        }
        Ok(network)
    }

    fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.prefix) == self.first
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

impl PolicyEntry {
    /// From a host, an address or a network, with or without a port behind a colon. IPv6 with a
    /// port stands in brackets.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (hosts, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((inside, "")) => (inside, None),
            Some((inside, rest)) => {
                (inside, Some(rest.strip_prefix(':').ok_or(format!("`{text}`: a port is `:443`"))?))
            }
            // More than one colon: IPv6 without a port.
            None if text.matches(':').count() == 1 => text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p))),
            None => (text, None),
        };
        let port = port
            .map(|port| port.parse().ok().filter(|port| *port != 0).ok_or(format!("`{text}`: `{port}` is no port")));
        let hosts = match hosts.split_once('/') {
            Some((address, prefix)) => {
                let no_network = || format!("`{text}` is no network: 10.0.0.0/8, 2001:db8::/32");
                let address: IpAddr = address.parse().map_err(|_| no_network())?;
                let prefix = prefix.parse().map_err(|_| no_network())?;
                Hosts::Network(Network::new(address, prefix).map_err(|why| format!("`{text}`: {why}"))?)
            }
            None => match HostPattern::parse(hosts)? {
                HostPattern::Is(Host::Address(address)) => {
                    let address = address.to_canonical();
                    Hosts::Network(Network { first: address, prefix: if address.is_ipv4() { 32 } else { 128 } })
                }
                named => Hosts::Named(named),
            },
        };
        Ok(Self { hosts, port: port.transpose()?, text: text.to_owned() })
    }

    /// A list with commas between its entries.
    ///
    /// # Errors
    /// What is wrong with each entry that is no good, for people.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Vec<String>> {
        let (mut entries, mut wrong) = (Vec::new(), Vec::new());
        for part in text.split(',').map(str::trim) {
            match part {
                "" => wrong.push("there is nothing between two commas".to_owned()),
                part => match Self::parse(part) {
                    Ok(entry) => entries.push(entry),
                    Err(why) => wrong.push(why),
                },
            }
        }
        if wrong.is_empty() { Ok(entries) } else { Err(wrong) }
    }

    fn has_port(&self, port: Option<u16>) -> bool {
        self.port.is_none() || self.port == port
    }

    /// Where the port is not known, it may be this one.
    fn may_have_port(&self, port: Option<u16>) -> bool {
        port.is_none() || self.has_port(port)
    }

    fn names(&self, host: &Host) -> bool {
        matches!(&self.hosts, Hosts::Named(pattern) if pattern.matches(host))
    }

    fn contains(&self, address: IpAddr) -> bool {
        matches!(&self.hosts, Hosts::Network(network) if network.contains(address))
    }
}

/// As the operator wrote it.
impl fmt::Display for PolicyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl EgressPolicy {
    /// Whether a name may be looked up, or an address tried, as far as its name goes: a network
    /// can only be held against addresses. Without a port, as for any port that may come.
    ///
    /// # Errors
    /// The denial, with the entry.
    pub fn check_name(&self, host: &Host, port: Option<u16>) -> Result<(), Denial> {
        if let Some(entry) = self.deny.iter().find(|entry| entry.names(host) && entry.has_port(port)) {
            return Err(denied(host, port, &host.to_string(), entry));
        }
        let may_be = |entry: &PolicyEntry| match entry.hosts {
            Hosts::Named(_) => entry.names(host),
            Hosts::Network(_) => true,
        };
        let fits = |entry: &PolicyEntry| may_be(entry) && entry.may_have_port(port);
        if self.allow.is_empty() || self.allow.iter().any(fits) { Ok(()) } else { Err(not_allowed(host, port)) }
    }

    /// Whether this address, to which a name was resolved, may be connected to; port 0 stands for
    /// any that may come.
    ///
    /// # Errors
    /// The denial, with the entry.
    pub fn check_address(&self, host: &Host, address: IpAddr, port: u16) -> Result<(), Denial> {
        let port = (port != 0).then_some(port);
        // Whoever denies 10.0.0.0/8 means it also behind NAT64 and in tunnels.
        let forms = || embedded_v4(address).map(IpAddr::from).chain([address]);
        let forbids = |entry: &&PolicyEntry| entry.has_port(port) && forms().any(|form| entry.contains(form));
        if let Some(entry) = self.deny.iter().find(forbids) {
            return Err(denied(host, port, &address.to_string(), entry));
        }
        if self.allow.is_empty() || self.allowing(host, Some(address.to_canonical()), port).is_some() {
            Ok(())
        } else {
            Err(not_allowed(host, port))
        }
    }

    /// The entry that allows it, where there is a list of what is allowed.
    pub fn allowing(&self, host: &Host, address: Option<IpAddr>, port: Option<u16>) -> Option<&PolicyEntry> {
        let lets = |entry: &&PolicyEntry| {
            entry.may_have_port(port) && (entry.names(host) || address.is_some_and(|address| entry.contains(address)))
        };
        self.allow.iter().find(lets)
    }
}

fn not_allowed(host: &Host, port: Option<u16>) -> Denial {
    let place = port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
    Denial {
        host: host.to_string(),
        port: port.unwrap_or(0),
        reason: DenialReason::NotAllowedByOperator,
        rule: format!("the operator allows only what {ALLOW_SETTING} names, and it is not there"),
        hint: format!("the operator would have to add {place} to {ALLOW_SETTING}"),
    }
}

fn denied(host: &Host, port: Option<u16>, what: &str, entry: &PolicyEntry) -> Denial {
    Denial {
        host: host.to_string(),
        port: port.unwrap_or(0),
        reason: DenialReason::DeniedByOperator,
        rule: format!("the operator denies {what}: {DENY_SETTING} has `{entry}`"),
        hint: format!("only the operator can take `{entry}` out of {DENY_SETTING}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(allow: &str, deny: &str) -> EgressPolicy {
        let list = |text: &str| if text.is_empty() { Vec::new() } else { PolicyEntry::parse_list(text).unwrap() };
        EgressPolicy { private_networks: true, allow: list(allow), deny: list(deny) }
    }

    /// Why a name that has this address is not reached.
    fn why(policy: &EgressPolicy, host: &str, address: &str, port: u16) -> Option<DenialReason> {
        let host = Host::parse(host).unwrap();
        let named = policy.check_name(&host, Some(port));
        named
            .and_then(|()| policy.check_address(&host, address.parse().unwrap(), port))
            .err()
            .map(|denial| denial.reason)
    }

    #[test]
    fn what_is_denied_is_denied_by_name_and_by_address_in_every_form() {
        let policy = policy("", "evil.example, *.bad.example:25, 10.0.0.0/8, 192.168.0.1:22, 2606:4700::/32");
        for (host, address, port, denied) in [
            ("evil.example", "1.1.1.1", 443, true),
            ("EVIL.example.", "1.1.1.1", 443, true),
            ("a.evil.example", "1.1.1.1", 443, false),
            ("a.bad.example", "1.1.1.1", 25, true),
            ("a.bad.example", "1.1.1.1", 26, false),
            ("good.example", "10.1.2.3", 443, true),
            ("good.example", "::ffff:10.1.2.3", 443, true),
            ("good.example", "64:ff9b::a01:203", 443, true),
            ("good.example", "2002:a01:203::1", 443, true),
            ("good.example", "::10.1.2.3", 443, true),
            ("good.example", "11.1.2.3", 443, false),
            ("good.example", "192.168.0.1", 22, true),
            ("good.example", "192.168.0.1", 23, false),
            ("good.example", "2606:4700::1111", 443, true),
            ("good.example", "2606:4701::1111", 443, false),
            ("10.1.2.3", "10.1.2.3", 80, true),
        ] {
            let wanted = denied.then_some(DenialReason::DeniedByOperator);
            assert_eq!(why(&policy, host, address, port), wanted, "{host} at {address}:{port}");
        }
    }

    #[test]
    fn what_is_allowed_is_all_that_is_reached_and_what_is_denied_wins() {
        let policy = policy("*.example.com:443, 93.184.0.0/16, [2606::/16]:443", "secret.example.com, 93.184.1.0/24");
        for (host, address, port, reason) in [
            ("api.example.com", "1.1.1.1", 443, None),
            ("api.example.com", "1.1.1.1", 80, Some(DenialReason::NotAllowedByOperator)),
            ("secret.example.com", "1.1.1.1", 443, Some(DenialReason::DeniedByOperator)),
            ("other.example", "93.184.216.34", 80, None),
            ("other.example", "::ffff:93.184.216.34", 80, None),
            // Allowed is what is there, not what leads there somewhere else.
            ("other.example", "64:ff9b::5db8:d822", 80, Some(DenialReason::NotAllowedByOperator)),
            ("other.example", "93.184.1.7", 80, Some(DenialReason::DeniedByOperator)),
            ("other.example", "1.1.1.1", 80, Some(DenialReason::NotAllowedByOperator)),
            ("other.example", "2606::1", 443, None),
            ("other.example", "2606::1", 444, Some(DenialReason::NotAllowedByOperator)),
        ] {
            assert_eq!(why(&policy, host, address, port), reason, "{host} at {address}:{port}");
        }
    }

    #[test]
    fn without_networks_a_name_that_is_not_allowed_is_not_even_looked_up() {
        let names = policy("*.example.com", "");
        assert!(names.check_name(&Host::parse("other.example").unwrap(), None).is_err());
        assert!(names.check_name(&Host::parse("a.example.com").unwrap(), None).is_ok());
        let ports = policy("a.example.com:443", "a.example.com:25");
        let host = Host::parse("a.example.com").unwrap();
        assert!(ports.check_name(&host, None).is_ok(), "some port may be meant");
        assert!(policy("", "a.example.com").check_name(&host, None).is_err());
    }

    #[test]
    fn every_wrong_entry_is_named() {
        let wrong = PolicyEntry::parse_list("ok.example,,10.0.0.1/8, 10.0.0.0/33,http://x, a:0,b:99999,*.com, [::1]80")
            .unwrap_err();
        for (told, part) in wrong.iter().zip([
            "nothing between two commas",
            "`10.0.0.1/8`: 10.0.0.1 has bits behind its prefix; 10.0.0.0/8 may be meant",
            "`10.0.0.0/33`: a prefix of 10.0.0.0 has at most 32 bits",
            "`http://x`",
            "`a:0`: `0` is no port",
            "`b:99999`: `99999` is no port",
            "`*.com`",
            "`[::1]80`",
        ]) {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(wrong.len(), 8);
    }

    #[test]
    fn an_entry_has_many_forms() {
        for (text, address, port, hit) in [
            ("127.1", "127.0.0.1", 80, true),
            ("0x7f000001:80", "127.0.0.1", 80, true),
            ("0x7f000001:80", "127.0.0.1", 81, false),
            ("::1", "::1", 80, true),
            ("[::1]", "::1", 80, true),
            ("[::1]:80", "::1", 81, false),
            ("::ffff:10.0.0.1", "10.0.0.1", 80, true),
            ("0.0.0.0/0", "8.8.8.8", 80, true),
            ("0.0.0.0/0", "2606::1", 80, false),
            ("::/0", "2606::1", 80, true),
            ("10.0.0.0/8:5432", "10.9.9.9", 5432, true),
            ("10.0.0.0/8:5432", "10.9.9.9", 5433, false),
        ] {
            let policy = policy("", text);
            assert_eq!(why(&policy, "a.example", address, port).is_some(), hit, "{text} {address}:{port}");
        }
    }

    proptest! {
        #[test]
        fn a_network_holds_exactly_what_begins_with_its_bits(address: u32, other: u32, prefix in 0_u8..=32) {
            let network = Network { first: masked(IpAddr::V4(address.into()), prefix), prefix };
            let same = prefix == 0 || address >> (32 - prefix) == other >> (32 - prefix);
            prop_assert_eq!(network.contains(IpAddr::V4(other.into())), same);
        }
    }
}
