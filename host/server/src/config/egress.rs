//! The operator's word on what may be reached.

use super::{SettingsError, Sources, names};
use action_domain::egress::{EgressPolicy, PolicyEntry};
use std::net::{IpAddr, SocketAddr};

/// The port of DNS.
const DNS_PORT: u16 = 53;

/// Reads the policy; what is wrong goes to `problems`, each with its setting and the bad part.
pub(super) fn policy(sources: &Sources, problems: &mut Vec<String>) -> EgressPolicy {
    let mut read = |name: &'static str| match sources.get(name).map(PolicyEntry::parse_list) {
        None => Vec::new(),
        Some(Ok(entries)) => entries,
        Some(Err(wrong)) => {
            problems.extend(wrong.into_iter().map(|why| format!("{}: {why}", sources.place(name))));
            Vec::new()
        }
    };
    let (allow, deny) = (read(names::EGRESS_ALLOW), read(names::EGRESS_DENY));
    let private_networks = match sources.get(names::EGRESS_PRIVATE) {
        None | Some("deny") => false,
        Some("allow") => true,
        Some(text) => {
            problems.push(format!("{}: `{text}` is neither `allow` nor `deny`", sources.place(names::EGRESS_PRIVATE)));
            false
        }
    };
    EgressPolicy { private_networks, allow, deny }
}

/// Reads the policy alone, for a process that has no other settings.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn policy_of(sources: &Sources) -> Result<EgressPolicy, SettingsError> {
    let mut problems = Vec::new();
    let policy = policy(sources, &mut problems);
    if problems.is_empty() { Ok(policy) } else { Err(SettingsError::new(problems)) }
}

/// DNS servers with commas between them, each with or without a port.
pub(super) fn dns_servers(text: &str) -> Result<Vec<SocketAddr>, String> {
    let server = |part: &str| {
        let plain = part.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
        let server = plain.or_else(|_| part.parse());
        server.map_err(|_| format!("`{part}` is no address, for instance 10.0.0.53, 10.0.0.53:5353 or [fd00::53]:53"))
    };
    text.split(',').map(str::trim).map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_domain::egress::{ALLOW_SETTING, DENY_SETTING};

    fn sources(pairs: &[(&str, &str)]) -> Sources {
        Sources::collect(None, pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()))).unwrap()
    }

    #[test]
    fn the_domain_names_the_settings_as_they_are_called() {
        assert_eq!((names::EGRESS_ALLOW, names::EGRESS_DENY), (ALLOW_SETTING, DENY_SETTING));
    }

    #[test]
    fn lists_are_read_and_every_bad_part_is_named_with_its_setting() {
        let fine = policy_of(&sources(&[
            (names::EGRESS_ALLOW, "*.example.com:443, 10.0.0.0/8"),
            (names::EGRESS_DENY, "169.254.0.0/16"),
            (names::EGRESS_PRIVATE, "allow"),
        ]));
        let fine = fine.unwrap();
        assert_eq!((fine.allow.len(), fine.deny.len(), fine.private_networks), (2, 1, true));
        let wrong = policy_of(&sources(&[
            (names::EGRESS_ALLOW, "ok.example,not a host"),
            (names::EGRESS_DENY, "10.0.0.1/8,http://x/"),
        ]));
        let wrong = wrong.unwrap_err();
        for (problem, parts) in wrong.problems().iter().zip([
            ["ACTION_SERVICE_EGRESS_ALLOW (in the environment)", "`not a host`"],
            ["ACTION_SERVICE_EGRESS_DENY (in the environment)", "`10.0.0.1/8`"],
            ["ACTION_SERVICE_EGRESS_DENY (in the environment)", "`http://x/`"],
        ]) {
            assert!(parts.iter().all(|part| problem.contains(part)), "{problem}");
        }
        assert_eq!(wrong.problems().len(), 3);
    }

    #[test]
    fn nothing_said_is_nothing_more_allowed() {
        assert_eq!(policy_of(&sources(&[])).unwrap(), EgressPolicy::default());
        assert_eq!(policy_of(&sources(&[(names::EGRESS_ALLOW, "")])).unwrap(), EgressPolicy::default());
        assert!(policy_of(&sources(&[(names::EGRESS_ALLOW, ",")])).is_err(), "a list of nothing is a mistake");
    }

    #[test]
    fn dns_servers_have_port_53_unless_they_say_another() {
        let found = dns_servers("10.0.0.53, 127.0.0.1:5353,[fd00::53]:54,fd00::53").unwrap();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.53:53", "127.0.0.1:5353", "[fd00::53]:54", "[fd00::53]:53"]);
        for bad in ["dns.example", "10.0.0.53,", "10.0.0.53:99999"] {
            assert!(dns_servers(bad).is_err(), "{bad}");
        }
    }
}
