//! What an execution may reach: the pure part of the gate.
//!
//! Names are checked before they are resolved, addresses after. Two keys for each power: the
//! component asks, and the action (its config's `x-egress` values and `grants.egress`) grants.
//! Above both stands the operator's policy; private networks need the operator's word too.

mod address;
mod denial;
mod from_config;
mod host;
mod policy;
mod propose;
pub(crate) mod schema;

pub use address::{AddressClass, classify};
pub use denial::{Denial, DenialReason};
pub use from_config::{RuleSource, for_each_value, rules_of_config};
pub use host::{Host, HostPattern, is_plain_http, target_of_url};
pub use policy::{ALLOW_SETTING, DENY_SETTING, EgressPolicy, PolicyEntry};
pub use propose::{Observed, Outlook, Proposal, Wanted, propose};
pub use schema::issues_of_schema;

use crate::action::{EgressGrant, Grants};
use serde::Serialize;
use std::net::IpAddr;

/// One rule, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The host.
    pub host: HostPattern,
    /// Its ports; empty for all.
    pub ports: Vec<u16>,
    /// Whether a request has to be HTTPS: the value that gives the rule says so. A grant names no scheme and
    /// means both.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub https_only: bool,
    /// JSON Pointer into the action, to where the rule was given.
    pub from: String,
}

impl Rule {
    fn has_port(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.contains(&port)
    }

    /// Whether all that `other` lets through is let through by this one.
    pub fn covers(&self, other: &Self) -> bool {
        let host = match (&self.host, &other.host) {
            (own, HostPattern::Is(host)) => own.matches(host),
            (HostPattern::Below(base), HostPattern::Below(name)) => {
                base == name || self.host.matches(&Host::Name(name.clone()))
            }
            (HostPattern::Is(_), HostPattern::Below(_)) => false,
        };
        let scheme = other.https_only || !self.https_only;
        host && scheme
            && (self.ports.is_empty() || !other.ports.is_empty() && other.ports.iter().all(|port| self.has_port(*port)))
    }
}

/// What one action may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Egress {
    /// Any of them lets a connection pass.
    pub rules: Vec<Rule>,
    /// Whether the action asks for private networks.
    pub private_networks: bool,
}

/// A host and port that may be tried, and by whose word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted<'a> {
    /// In its plain form, which is the one to resolve.
    pub host: Host,
    /// The action's rule.
    pub by: &'a Rule,
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
            Some(Rule { host, ports: ports.clone(), https_only: false, from: format!("/grants/egress/{index}") })
        }));
        Self { rules, private_networks: grants.private_networks }
    }

    /// Whether a connection to this host, as the component named it, may be tried, as far as its
    /// name goes: what it is resolved to is for [`Self::check_address`]. An address is checked as
    /// such here already.
    ///
    /// # Errors
    /// The denial, with what to change.
    pub fn admit(&self, host: &str, port: u16, policy: &EgressPolicy) -> Result<Admitted<'_>, Denial> {
        let host = self.check_name(host, port)?;
        let Some(by) = self.granting(&host, port) else { return Err(not_granted(&host, port)) };
        policy.check_name(&host, Some(port))?;
        self.check_private_name(&host, port, policy)?;
        if let Host::Address(address) = host {
            self.check_address(&host, address, port, policy)?;
        }
        Ok(Admitted { host, by })
    }

    /// The same for an HTTP request without TLS: who says `https` in a config wants nothing of it read on
    /// the way, secrets least of all.
    ///
    /// # Errors
    /// The denial, with what to change.
    pub fn admit_plain(&self, host: &str, port: u16, policy: &EgressPolicy) -> Result<Admitted<'_>, Denial> {
        let admitted = self.admit(host, port, policy)?;
        let plain = |rule: &&Rule| !rule.https_only && rule.host.matches(&admitted.host) && rule.has_port(port);
        match self.rules.iter().find(plain) {
            Some(by) => Ok(Admitted { by, ..admitted }),
            None => Err(https_only(&admitted.host, port, admitted.by)),
        }
    }

    /// Whether a name may be looked up, whatever the port will be.
    ///
    /// # Errors
    /// The denial, with what to change.
    pub fn admit_lookup(&self, host: &str, policy: &EgressPolicy) -> Result<Admitted<'_>, Denial> {
        let host = parse(host, 0)?;
        let Some(by) = self.rules.iter().find(|rule| rule.host.matches(&host)) else {
            return Err(not_granted(&host, 0));
        };
        policy.check_name(&host, None)?;
        self.check_private_name(&host, 0, policy)?;
        Ok(Admitted { host, by })
    }

    /// Whether the action grants this host, as the component named it. Gives the host in its
    /// plain form. The operator is not asked: see [`Self::admit`].
    ///
    /// # Errors
    /// The denial, with what to change.
    pub fn check_name(&self, host: &str, port: u16) -> Result<Host, Denial> {
        let host = parse(host, port)?;
        if self.granting(&host, port).is_some() { Ok(host) } else { Err(not_granted(&host, port)) }
    }

    /// The rule that lets a host in its plain form through.
    pub fn granting(&self, host: &Host, port: u16) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.host.matches(host) && rule.has_port(port))
    }

    /// Whether this address, to which a granted host was resolved, may be connected to.
    ///
    /// # Errors
    /// The denial, with what to change.
    pub fn check_address(&self, host: &Host, address: IpAddr, port: u16, policy: &EgressPolicy) -> Result<(), Denial> {
        let what = || match host {
            Host::Name(name) => format!("{name} is at {address}, which is"),
            Host::Address(_) => format!("{address} is"),
        };
        match classify(address) {
            AddressClass::Public => {}
            AddressClass::Never(kind) => {
                return Err(Denial {
                    host: host.to_string(),
                    port,
                    reason: DenialReason::NeverReached,
                    rule: format!("{} {kind}", what()),
                    hint: "such addresses are never reached".to_owned(),
                });
            }
            AddressClass::Private(kind) => self.check_private(host, port, &format!("{} {kind}", what()), policy)?,
        }
        policy.check_address(host, address, port)
    }

    /// Why a rule lets nothing through, where that is known without resolving a name.
    pub fn forbidden(&self, rule: &Rule, policy: &EgressPolicy) -> Option<Denial> {
        let host = match &rule.host {
            HostPattern::Is(host) => host.clone(),
            // A name that no other pattern names but one for names below.
            HostPattern::Below(name) => Host::Name(format!("*.{name}")),
        };
        let check = |port: u16| {
            policy.check_name(&host, (port != 0).then_some(port))?;
            self.check_private_name(&host, port, policy)?;
            match host {
                Host::Address(address) => self.check_address(&host, address, port, policy),
                Host::Name(_) => Ok(()),
            }
        };
        let ports = if rule.ports.is_empty() { &[0][..] } else { &rule.ports };
        // One port that passes is enough.
        let denials: Option<Vec<Denial>> = ports.iter().map(|port| check(*port).err()).collect();
        denials?.into_iter().next()
    }

    fn check_private_name(&self, host: &Host, port: u16, policy: &EgressPolicy) -> Result<(), Denial> {
        match host.private_kind() {
            None => Ok(()),
            Some(kind) => self.check_private(host, port, &format!("{host} is {kind}"), policy),
        }
    }

    fn check_private(&self, host: &Host, port: u16, what: &str, policy: &EgressPolicy) -> Result<(), Denial> {
        let (reason, rule, hint) = match (self.private_networks, policy.private_networks) {
            (true, true) => return Ok(()),
            (false, _) => (
                DenialReason::PrivateNotRequested,
                "the action does not ask for private networks",
                "set grants.private_networks to true",
            ),
            (true, false) => (
                DenialReason::PrivateNotAllowed,
                "the operator does not allow private networks",
                "the operator has to set ACTION_SERVICE_EGRESS_PRIVATE=allow",
            ),
        };
        Err(Denial { host: host.to_string(), port, reason, rule: format!("{what}, and {rule}"), hint: hint.to_owned() })
    }
}

fn parse(host: &str, port: u16) -> Result<Host, Denial> {
    const TOLD_CHARS_MAX: usize = 255;
    Host::parse(host).map_err(|_| Denial {
        host: host.escape_debug().take(TOLD_CHARS_MAX).collect(),
        port,
        reason: DenialReason::InvalidHost,
        rule: "not a host name".to_owned(),
        hint: "give a host name or an address".to_owned(),
    })
}

fn not_granted(host: &Host, port: u16) -> Denial {
    let hint = match port {
        // The port is not known yet.
        0 => format!("add {{\"host\": \"{host}\"}} with its port to grants.egress"),
        port => format!("add {{\"host\": \"{host}\", \"ports\": [{port}]}} to grants.egress"),
    };
    let rule = "no x-egress value of the config and no grant names it".to_owned();
    Denial { host: host.to_string(), port, reason: DenialReason::NotGranted, rule, hint }
}

fn https_only(host: &Host, port: u16, by: &Rule) -> Denial {
    let rule = format!("{} says https, and this is a request without TLS", by.from);
    let hint = format!(
        "let the protocol ask for https, write http:// into the config, or add {{\"host\": \"{host}\", \"ports\": [{port}]}} \
         to grants.egress, which means both"
    );
    Denial { host: host.to_string(), port, reason: DenialReason::HttpsOnly, rule, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(grants: &[(&str, &[u16])]) -> Egress {
        let egress = grants.iter().map(|(host, ports)| EgressGrant { host: (*host).into(), ports: ports.to_vec() });
        let grants = Grants { egress: egress.collect(), ..Grants::default() };
        Egress::of_action(&serde_json::json!({}), &serde_json::json!({}), &grants)
    }

    fn open() -> EgressPolicy {
        EgressPolicy { private_networks: true, ..EgressPolicy::default() }
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
        let hosts = [("10.0.0.1", Some(DenialReason::PrivateNotRequested)), ("printer.local", None)];
        for (host, _) in hosts {
            let mut egress = egress(&[(host, &[80])]);
            for (action, operator, reason) in [
                (false, false, Some(DenialReason::PrivateNotRequested)),
                (false, true, Some(DenialReason::PrivateNotRequested)),
                (true, false, Some(DenialReason::PrivateNotAllowed)),
                (true, true, None),
            ] {
                egress.private_networks = action;
                let policy = EgressPolicy { private_networks: operator, ..EgressPolicy::default() };
                let denied = egress.admit(host, 80, &policy).err().map(|denial| denial.reason);
                assert_eq!(denied, reason, "{host} {action} {operator}");
            }
        }
    }

    #[test]
    fn a_grant_is_no_way_round_the_operator() {
        let mut egress = egress(&[("a.example", &[443]), ("*.example.com", &[]), ("127.0.0.1", &[])]);
        egress.private_networks = true;
        let deny = PolicyEntry::parse_list("a.example, 127.0.0.0/8").unwrap();
        let policy = EgressPolicy { deny, ..open() };
        let reason = |host: &str| egress.admit(host, 443, &policy).err().map(|denial| denial.reason);
        assert_eq!(reason("a.example"), Some(DenialReason::DeniedByOperator));
        assert_eq!(reason("0x7f.1"), Some(DenialReason::DeniedByOperator));
        assert_eq!(reason("b.example.com"), None);
        assert_eq!(reason("c.example"), Some(DenialReason::NotGranted));
        let lookup = |host: &str| egress.admit_lookup(host, &policy).err().map(|denial| denial.reason);
        assert_eq!(lookup("a.example"), Some(DenialReason::DeniedByOperator));
        assert_eq!(lookup("b.example.com"), None);
        assert_eq!(lookup("c.example"), Some(DenialReason::NotGranted));
    }

    #[test]
    fn a_denial_says_what_to_change() {
        let denial = egress(&[]).check_name("example.com", 443).unwrap_err();
        assert_eq!(
            denial.to_string(),
            "example.com:443: no x-egress value of the config and no grant names it; \
             add {\"host\": \"example.com\", \"ports\": [443]} to grants.egress"
        );
        let deny = PolicyEntry::parse_list("*.example.com:443").unwrap();
        let policy = EgressPolicy { deny, ..open() };
        assert_eq!(
            egress(&[("a.example.com", &[443])]).admit("a.example.com", 443, &policy).unwrap_err().to_string(),
            "a.example.com:443: the operator denies a.example.com: ACTION_SERVICE_EGRESS_DENY has `*.example.com:443`; \
             only the operator can take `*.example.com:443` out of ACTION_SERVICE_EGRESS_DENY"
        );
        assert_eq!(egress(&[]).admit_lookup("a\nb", &open()).unwrap_err().host, "a\\nb");
    }

    #[test]
    fn https_in_a_config_means_https_and_a_grant_means_both() {
        let schema = serde_json::json!({"properties": {
            "url": {"x-egress": "http"}, "old": {"x-egress": "http"}, "server": {"x-egress": "tcp"}}});
        let config = serde_json::json!({"url": "https://a.example:8443/", "old": "http://b.example:8443/",
            "server": "c.example:8443"});
        let of = |grants: Grants| Egress::of_action(&schema, &config, &grants);
        let plain = |egress: &Egress, host: &str| egress.admit_plain(host, 8443, &open()).err().map(|it| it.reason);
        let egress = of(Grants::default());
        for host in ["a.example", "b.example", "c.example"] {
            assert!(egress.admit(host, 8443, &open()).is_ok(), "{host}");
        }
        assert_eq!(plain(&egress, "A.example."), Some(DenialReason::HttpsOnly));
        assert_eq!((plain(&egress, "b.example"), plain(&egress, "c.example")), (None, None));
        assert_eq!(plain(&egress, "d.example"), Some(DenialReason::NotGranted));
        let denial = egress.admit_plain("a.example", 8443, &open()).unwrap_err().to_string();
        assert!(denial.contains("/config/url says https") && denial.contains("grants.egress"), "{denial}");
        let grant = EgressGrant { host: "a.example".into(), ports: vec![8443] };
        let both = of(Grants { egress: vec![grant], ..Grants::default() });
        assert_eq!(both.admit_plain("a.example", 8443, &open()).unwrap().by.from, "/grants/egress/0");
    }

    #[test]
    fn a_rule_covers_what_it_lets_through_and_no_more() {
        let rule = |host: &str, ports: &[u16]| Rule {
            host: HostPattern::parse(host).unwrap(),
            ports: ports.to_vec(),
            https_only: false,
            from: String::new(),
        };
        let tls = |rule: Rule| Rule { https_only: true, ..rule };
        for (wide, narrow, covers) in [
            (rule("a.example", &[]), rule("a.example", &[1]), true),
            (rule("a.example", &[1, 2]), rule("a.example", &[2]), true),
            (rule("a.example", &[1]), rule("a.example", &[]), false),
            (rule("*.b.example", &[]), rule("a.b.example", &[]), true),
            (rule("*.b.example", &[]), rule("*.b.example", &[5]), true),
            (rule("*.b.example", &[]), rule("*.a.b.example", &[]), true),
            (rule("*.a.b.example", &[]), rule("*.b.example", &[]), false),
            (rule("a.b.example", &[]), rule("*.b.example", &[]), false),
            (rule("a.example", &[1]), tls(rule("a.example", &[1])), true),
            (tls(rule("a.example", &[1])), tls(rule("a.example", &[1])), true),
            (tls(rule("a.example", &[])), rule("a.example", &[1]), false),
        ] {
            assert_eq!(wide.covers(&narrow), covers, "{wide:?} {narrow:?}");
        }
    }
}
