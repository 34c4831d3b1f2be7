//! The smallest grants that would have let through what was denied.
//!
//! Nothing is let through to find this out: a component that is being watched gets no more than
//! its action grants. So what it would do behind the first denial shows only once that is
//! granted, and a proposal may take several rounds.

use super::{Denial, DenialReason, Egress, EgressPolicy, Host, Rule};
use crate::action::{EgressGrant, Grants};
use serde_json::Value;
use std::collections::BTreeMap;

/// Something that was denied, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The host that was wanted.
    pub host: String,
    /// The port that was wanted; 0 where a name was to be looked up without one.
    pub port: u16,
    /// Why it was denied.
    pub reason: DenialReason,
}

/// A host and port that were wanted, and what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The host.
    pub host: String,
    /// The port; 0 where it is not known.
    pub port: u16,
    /// How often it was denied.
    pub denied: usize,
    /// What can be done.
    pub outlook: Outlook,
}

/// What can be done about a denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    /// The proposed grants let it through.
    Proposed,
    /// It is let through by now.
    GrantedByNow,
    /// No grant lets it through, and this is who does not.
    Forbidden(Denial),
}

/// The smallest grants that let through what was denied, as far as grants can.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The action's grants with what is missing.
    pub grants: Grants,
    /// Whether they are others than the action has.
    pub changes: bool,
    /// Each host and port that was wanted.
    pub wanted: Vec<Wanted>,
}

/// Proposes grants for an action with this schema and config.
pub fn propose(
    schema: &Value,
    config: &Value,
    grants: &Grants,
    policy: &EgressPolicy,
    observed: impl IntoIterator<Item = Observed>,
) -> Proposal {
    let mut targets: BTreeMap<(String, u16), (usize, Vec<DenialReason>)> = BTreeMap::new();
    for Observed { host, port, reason } in observed {
        // In its plain form, so that each host is there once.
        let host = Host::parse(&host).map_or(host, |host| host.to_string());
        let (count, reasons) = targets.entry((host, port)).or_default();
        *count += 1;
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let today = Egress::of_action(schema, config, grants);
    let mut proposed = grants.clone();
    let wanted = targets
        .into_iter()
        .map(|((host, port), (denied, reasons))| {
            let outlook = outlook(&today, &mut proposed, policy, &host, port, &reasons);
            Wanted { host, port, denied, outlook }
        })
        .collect();
    let changes = proposed != *grants;
    Proposal { grants: proposed, changes, wanted }
}

fn outlook(
    today: &Egress,
    proposed: &mut Grants,
    policy: &EgressPolicy,
    host: &str,
    port: u16,
    reasons: &[DenialReason],
) -> Outlook {
    // What a name is resolved to is not known here, only what was said of it.
    let was_private =
        reasons.iter().any(|r| matches!(r, DenialReason::PrivateNotRequested | DenialReason::PrivateNotAllowed));
    let by_address = [DenialReason::DeniedByOperator, DenialReason::NotAllowedByOperator, DenialReason::NeverReached];
    // What was asked for without TLS is wanted without TLS.
    let wants_plain = reasons.contains(&DenialReason::HttpsOnly);
    let admit = |egress: &Egress| match port {
        0 => egress.admit_lookup(host, policy).map(drop),
        port if wants_plain => egress.admit_plain(host, port, policy).map(drop),
        port => egress.admit(host, port, policy).map(drop),
    };
    let now = admit(today);
    let settled = !was_private || today.private_networks && policy.private_networks;
    match now {
        Ok(()) if !settled && !policy.private_networks => return Outlook::Forbidden(private_not_allowed(host, port)),
        Ok(()) if !settled => {
            proposed.private_networks = true;
            return Outlook::Proposed;
        }
        // The name passes: it was the address that did not, and may not have changed.
        Ok(()) => match reasons.iter().find(|reason| by_address.contains(reason)) {
            Some(reason) => return Outlook::Forbidden(of_an_address(host, port, *reason)),
            None => return Outlook::GrantedByNow,
        },
        Err(_) => {}
    }
    let Ok(plain) = Host::parse(host) else { return now.err().map_or(Outlook::GrantedByNow, Outlook::Forbidden) };
    // Every grant that could help, to see whether any does.
    let rule =
        Rule { host: super::HostPattern::Is(plain.clone()), ports: Vec::new(), https_only: false, from: String::new() };
    let all = Egress { rules: vec![rule], private_networks: true };
    if let Err(denial) = admit(&all) {
        return Outlook::Forbidden(denial);
    }
    if was_private && !policy.private_networks {
        return Outlook::Forbidden(private_not_allowed(host, port));
    }
    if port == 0 && !today.rules.iter().any(|rule| rule.host.matches(&plain)) {
        // A grant without its port would let every port through: nobody is proposed that.
        return now.err().map_or(Outlook::GrantedByNow, Outlook::Forbidden);
    }
    let needs_private = was_private || admit(&Egress { private_networks: false, ..all }).is_err();
    proposed.private_networks |= needs_private;
    if port != 0 && (wants_plain || today.granting(&plain, port).is_none()) {
        add(proposed, &plain, port);
    }
    Outlook::Proposed
}

/// Puts a port to the host's own grant where there is one, else makes a grant.
fn add(grants: &mut Grants, host: &Host, port: u16) {
    let same = |grant: &&mut EgressGrant| Host::parse(&grant.host).as_ref() == Ok(host) && !grant.ports.is_empty();
    match grants.egress.iter_mut().find(same) {
        Some(grant) if grant.ports.contains(&port) => {}
        Some(grant) => {
            grant.ports.push(port);
            grant.ports.sort_unstable();
        }
        None => grants.egress.push(EgressGrant { host: host.to_string(), ports: vec![port] }),
    }
}

fn private_not_allowed(host: &str, port: u16) -> Denial {
    Denial {
        host: host.to_owned(),
        port,
        reason: DenialReason::PrivateNotAllowed,
        rule: "it is in a private network, and the operator does not allow private networks".to_owned(),
        hint: "the operator has to set ACTION_SERVICE_EGRESS_PRIVATE=allow".to_owned(),
    }
}

fn of_an_address(host: &str, port: u16, reason: DenialReason) -> Denial {
    let rule = match reason {
        DenialReason::NeverReached => "its address was of a kind that is never reached",
        _ => "its address was not to be reached, by the operator's lists",
    };
    let hint = "its egress_denied event has the address".to_owned();
    Denial { host: host.to_owned(), port, reason, rule: rule.to_owned(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::PolicyEntry;
    use proptest::prelude::*;
    use serde_json::json;

    fn open() -> EgressPolicy {
        EgressPolicy { private_networks: true, ..EgressPolicy::default() }
    }

    fn denied(host: &str, port: u16, reason: DenialReason) -> Observed {
        Observed { host: host.into(), port, reason }
    }

    fn proposal(grants: &Grants, policy: &EgressPolicy, observed: Vec<Observed>) -> Proposal {
        propose(&json!({}), &json!({}), grants, policy, observed)
    }

    #[test]
    fn what_was_denied_is_granted_and_nothing_beside_it() {
        use DenialReason::{NotGranted, PrivateNotRequested};
        let there = EgressGrant { host: "API.example.com".into(), ports: vec![443] };
        let grants = Grants { egress: vec![there], ..Grants::default() };
        let found = proposal(
            &grants,
            &open(),
            vec![
                denied("api.example.com", 80, NotGranted),
                denied("API.EXAMPLE.COM.", 80, NotGranted),
                denied("b.example", 8443, NotGranted),
                denied("api.example.com", 443, PrivateNotRequested),
            ],
        );
        assert!(found.changes && found.grants.private_networks);
        let egress: Vec<_> = found.grants.egress.iter().map(|grant| (grant.host.as_str(), &grant.ports[..])).collect();
        assert_eq!(egress, [("API.example.com", &[80, 443][..]), ("b.example", &[8443])]);
        assert!(found.wanted.iter().all(|wanted| wanted.outlook == Outlook::Proposed), "{found:?}");
        assert_eq!(found.wanted[0].denied, 2);
    }

    #[test]
    fn what_is_private_by_its_name_or_address_is_proposed_at_once() {
        for host in ["10.0.0.1", "printer.local", "::1"] {
            let found = proposal(&Grants::default(), &open(), vec![denied(host, 80, DenialReason::NotGranted)]);
            assert!(found.grants.private_networks, "{host}");
        }
        let found = proposal(&Grants::default(), &open(), vec![denied("1.1.1.1", 80, DenialReason::NotGranted)]);
        assert!(!found.grants.private_networks);
    }

    #[test]
    fn what_no_grant_helps_is_told_with_who_forbids_it() {
        use DenialReason::{DeniedByOperator, InvalidHost, NeverReached, NotGranted, PrivateNotAllowed};
        let deny = PolicyEntry::parse_list("evil.example").unwrap();
        let closed = EgressPolicy { deny, ..EgressPolicy::default() };
        for (host, port, reason, told) in [
            ("evil.example", 443, NotGranted, DeniedByOperator),
            ("10.0.0.1", 443, NotGranted, PrivateNotAllowed),
            ("224.0.0.1", 443, NotGranted, NeverReached),
            ("a@b", 443, InvalidHost, InvalidHost),
            ("no-port.example", 0, NotGranted, NotGranted),
        ] {
            let found = proposal(&Grants::default(), &closed, vec![denied(host, port, reason)]);
            assert!(!found.changes, "{host}");
            let Outlook::Forbidden(denial) = &found.wanted[0].outlook else { panic!("{host}: {found:?}") };
            assert_eq!(denial.reason, told, "{host}");
        }
        let grants =
            Grants { egress: vec![EgressGrant { host: "a.example".into(), ports: vec![] }], ..Grants::default() };
        let found = proposal(&grants, &open(), vec![denied("a.example", 443, DeniedByOperator)]);
        assert!(matches!(found.wanted[0].outlook, Outlook::Forbidden(_)), "{found:?}");
        let found = proposal(&grants, &open(), vec![denied("a.example", 443, NotGranted)]);
        assert_eq!((&found.wanted[0].outlook, found.changes), (&Outlook::GrantedByNow, false));
    }

    proptest! {
        /// Proposed is what passes then, and whatever was not wanted passes as little as before.
        #[test]
        fn a_proposal_is_enough_and_no_more(
            wanted in proptest::collection::vec(("[a-c]\\.example|10\\.0\\.0\\.[1-3]|8\\.8\\.8\\.[1-3]", 1_u16..4), 1..6),
            had in proptest::collection::vec(("[a-c]\\.example|8\\.8\\.8\\.[1-3]", proptest::collection::vec(1_u16..4, 0..2)), 0..3),
            other in ("[a-d]\\.example|8\\.8\\.8\\.[1-4]", 1_u16..5),
        ) {
            let egress = had.into_iter().map(|(host, ports)| EgressGrant { host, ports }).collect();
            let grants = Grants { egress, ..Grants::default() };
            let observed: Vec<_> = wanted.iter().map(|(h, p)| denied(h, *p, DenialReason::NotGranted)).collect();
            let found = proposal(&grants, &open(), observed);
            let (before, after) = [&grants, &found.grants].map(|g| Egress::of_action(&json!({}), &json!({}), g)).into();
            for (host, port) in &wanted {
                prop_assert!(after.admit(host, *port, &open()).is_ok(), "{host}:{port} by {:?}", found.grants);
            }
            if !wanted.contains(&other) {
                let passes = |egress: &Egress| egress.check_name(&other.0, other.1).is_ok();
                prop_assert_eq!(passes(&before), passes(&after));
            }
        }
    }
}
