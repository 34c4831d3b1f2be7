//! What an execution may reach: the pure part of the gate.
//!
//! Names are checked before they are resolved, addresses after. Two keys for each power: the
//! component asks, and the action (its config's `x-egress` values and `grants.egress`) grants;
//! private networks need the operator's word too.

mod address;
mod from_config;
mod schema;

pub use address::{AddressClass, classify};
pub(crate) use from_config::for_each_value;
pub use from_config::{RuleSource, rules_of_config};
pub use schema::issues_of_schema;

use crate::action::{EgressGrant, Grants};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// A host that a rule names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String")]
pub enum HostPattern {
    /// This name, lower case, without a dot at its end.
    Name(String),
    /// Every name below this one (`*.example.com`), not the name itself.
    Below(String),
    /// This address.
    Address(IpAddr),
}

impl HostPattern {
    /// From a host name, an address (IPv6 with or without brackets), or `*.` and a name.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(base) = text.strip_prefix("*.") {
            return match Self::parse(base)? {
                Self::Name(name) if name.contains('.') => Ok(Self::Below(name)),
                _ => Err(format!("`{text}`: after `*.` a name with a dot in it is needed")),
            };
        }
        match url::Host::parse(text.trim_end_matches('.')) {
            Ok(url::Host::Domain(name)) if is_host_name(&name) => Ok(Self::Name(name)),
            Ok(url::Host::Ipv4(address)) => Ok(Self::Address(address.into())),
            Ok(url::Host::Ipv6(address)) => Ok(Self::Address(address.into())),
            _ => match text.parse::<IpAddr>() {
                Ok(address) => Ok(Self::Address(address)),
                Err(_) => Err(format!("`{text}` is no host name and no address")),
            },
        }
    }

    fn matches(&self, host: &Self) -> bool {
        match (self, host) {
            (Self::Below(base), Self::Name(name)) => {
                name.len() > base.len() && name.ends_with(base) && name.as_bytes()[name.len() - base.len() - 1] == b'.'
            }
            (own, other) => own == other,
        }
    }
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| !label.is_empty() && label.len() <= 63)
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

/// One rule, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The host.
    pub host: HostPattern,
    /// Its ports; empty for all.
    pub ports: Vec<u16>,
    /// JSON Pointer into the action, to where the rule was given.
    pub from: String,
}

/// What one action may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Egress {
    /// Any of them lets a connection pass.
    pub rules: Vec<Rule>,
    /// Whether the action asks for private networks.
    pub private_networks: bool,
}

/// The operator's word above all actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Whether an action that asks for private networks may reach them.
    pub private_networks: bool,
}

/// A connection that may not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The host that was wanted.
    pub host: String,
    /// The port that was wanted.
    pub port: u16,
    /// The rule that forbids it.
    pub rule: String,
    /// What to change if it should be allowed.
    pub hint: String,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.host, self.port, self.rule, self.hint)
    }
}

impl Egress {
    /// The sum of what the config's `x-egress` values and the grants name.
    pub fn of_action(schema: &serde_json::Value, config: &serde_json::Value, grants: &Grants) -> Self {
        let mut rules: Vec<Rule> = rules_of_config(schema, config)
            .into_iter()
            .map(|mut rule| {
                rule.from.insert_str(0, "/config");
                rule
            })
            .collect();
        rules.extend(grants.egress.iter().enumerate().filter_map(|(index, EgressGrant { host, ports })| {
            let host = HostPattern::parse(host).ok()?;
            Some(Rule { host, ports: ports.clone(), from: format!("/grants/egress/{index}") })
        }));
        Self { rules, private_networks: grants.private_networks }
    }

    /// Whether a connection to this host, as the component named it, may be tried. Gives the
    /// host in its plain form, which is the one to resolve.
    ///
    /// # Errors
    /// The denial, with what to change.
    pub fn check_name(&self, host: &str, port: u16) -> Result<HostPattern, Denial> {
        let denial = |rule: &str, hint: String| Denial { host: host.to_owned(), port, rule: rule.to_owned(), hint };
        let wanted = match HostPattern::parse(host) {
            Ok(HostPattern::Below(_)) | Err(_) => {
                return Err(denial("not a host name", "give a host name or an address".into()));
            }
            Ok(wanted) => wanted,
        };
        if self.granting(&wanted, port).is_some() {
            return Ok(wanted);
        }
        let hint = format!("add {{\"host\": \"{wanted}\", \"ports\": [{port}]}} to grants.egress");
        Err(denial("no x-egress value of the config and no grant names it", hint))
    }

    /// The rule that lets a host in its plain form through.
    pub fn granting(&self, host: &HostPattern, port: u16) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.host.matches(host) && (rule.ports.is_empty() || rule.ports.contains(&port)))
    }

    /// Whether this address, to which a granted host was resolved, may be connected to.
    ///
    /// # Errors
    /// The denial, with what to change.
    pub fn check_address(&self, host: &str, address: IpAddr, port: u16, policy: EgressPolicy) -> Result<(), Denial> {
        let denial = |rule: String, hint: &str| Denial { host: host.to_owned(), port, rule, hint: hint.to_owned() };
        match classify(address) {
            AddressClass::Public => Ok(()),
            AddressClass::Never(kind) => {
                Err(denial(format!("{address} is {kind}"), "such addresses are never reached"))
            }
            AddressClass::Private(kind) => match (self.private_networks, policy.private_networks) {
                (true, true) => Ok(()),
                (false, _) => Err(denial(
                    format!("{address} is {kind}, and the action does not ask for private networks"),
                    "set grants.private_networks to true",
                )),
                (true, false) => Err(denial(
                    format!("{address} is {kind}, and the operator does not allow private networks"),
                    "the operator has to set ACTION_SERVICE_EGRESS_PRIVATE=allow",
                )),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(grants: &[(&str, &[u16])]) -> Egress {
        let egress = grants.iter().map(|(host, ports)| EgressGrant { host: (*host).into(), ports: ports.to_vec() });
        let grants = Grants { egress: egress.collect(), ..Grants::default() };
        Egress::of_action(&serde_json::json!({}), &serde_json::json!({}), &grants)
    }

    #[test]
    fn names_are_compared_in_their_plain_form() {
        let egress = egress(&[("api.Example.com", &[443]), ("*.internal.example", &[]), ("192.0.2.7", &[80])]);
        for (host, port) in [
            ("api.example.com", 443),
            ("API.example.com.", 443),
            ("a.b.internal.example", 1),
            ("192.0.2.7", 80),
            ("0xC0.0.2.7", 80),
        ] {
            assert!(egress.check_name(host, port).is_ok(), "{host}:{port}");
        }
        for (host, port) in [
            ("api.example.com", 80),
            ("example.com", 443),
            ("internal.example", 1),
            ("evilinternal.example", 1),
            ("api.example.com.evil.test", 443),
            ("api.example.com@evil.test", 443),
            ("*.internal.example", 1),
            ("", 443),
            ("192.0.2.8", 80),
        ] {
            assert!(egress.check_name(host, port).is_err(), "{host}:{port}");
        }
    }

    #[test]
    fn private_networks_need_two_keys() {
        let address = "127.0.0.1".parse().unwrap();
        for (action, operator) in [(false, false), (false, true), (true, false), (true, true)] {
            let egress = Egress { private_networks: action, ..Egress::default() };
            let policy = EgressPolicy { private_networks: operator };
            assert_eq!(egress.check_address("h", address, 80, policy).is_ok(), action && operator);
        }
    }

    #[test]
    fn a_denial_says_what_to_change() {
        let denial = egress(&[]).check_name("example.com", 443).unwrap_err();
        assert_eq!(
            denial.to_string(),
            "example.com:443: no x-egress value of the config and no grant names it; \
             add {\"host\": \"example.com\", \"ports\": [443]} to grants.egress"
        );
    }
}
