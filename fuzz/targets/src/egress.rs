//! Hosts, in every form: what a component asks for, what an action grants, what an operator denies.
//!
//! The input: a host, a grant, a list of the operator's, a URL, and a byte of ports and flags.
#![cfg_attr(feature = "libfuzzer", no_main)]

use action_domain::{
    action::{EgressGrant, Grants},
    egress::{
        AddressClass, DenialReason, Egress, EgressPolicy, Host, HostPattern, PolicyEntry, classify, target_of_url,
    },
};
use action_fuzz_targets::texts;
use serde_json::json;

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

/// Holds one against the other.
pub fn check(data: &[u8]) {
    let [host, grant, list, url, flags] = texts(data);
    let flags = flags.bytes().next().unwrap_or_default();
    let port = if flags & 1 == 0 { 443 } else { 80 };
    of_a_host(&host);
    of_a_pattern(&grant);
    of_a_url(&url);
    let entries = PolicyEntry::parse_list(&list);
    if let Ok(entries) = &entries {
        for entry in entries {
            assert_eq!(PolicyEntry::parse(&entry.to_string()).as_ref(), Ok(entry), "{list}");
        }
    }
    let entries = entries.unwrap_or_default();
    let grants = Grants {
        egress: vec![EgressGrant { host: grant, ports: if flags & 2 == 0 { vec![] } else { vec![443] } }],
        private_networks: flags & 4 != 0,
        ..Grants::default()
    };
    let schema = json!({"properties": {"url": {"x-egress": "http"}}});
    let egress = Egress::of_action(&schema, &json!({"url": url}), &grants);
    let policies = [
        EgressPolicy { private_networks: flags & 8 != 0, ..EgressPolicy::default() },
        EgressPolicy { private_networks: flags & 8 != 0, deny: entries.clone(), ..EgressPolicy::default() },
        EgressPolicy { private_networks: flags & 8 != 0, allow: entries, ..EgressPolicy::default() },
    ];
    let [free, ..] = &policies;
    for policy in &policies {
        match egress.admit(&host, port, policy) {
            Ok(admitted) => {
                assert!(admitted.by.host.matches(&admitted.host));
                assert!(admitted.by.ports.is_empty() || admitted.by.ports.contains(&port));
                of_what_is_reached(&admitted.host, &grants, policy);
                // The operator's lists take away, and give nothing.
                assert!(egress.admit(&host, port, free).is_ok(), "{host}: a list of the operator's grants");
                assert!(egress.admit_lookup(&host, policy).is_ok(), "{host}: reached, and not looked up");
            }
            Err(denial) => {
                assert!(!denial.rule.is_empty() && !denial.hint.is_empty());
                assert!(!denial.to_string().contains('\n') || host.contains('\n'), "{denial}");
                if Host::parse(&host).is_err() {
                    assert_eq!(denial.reason, DenialReason::InvalidHost);
                }
            }
        }
    }
}

fn of_what_is_reached(host: &Host, grants: &Grants, policy: &EgressPolicy) {
    let both = grants.private_networks && policy.private_networks;
    assert!(host.private_kind().is_none() || both, "{host}");
    if let Host::Address(address) = host {
        match classify(*address) {
            AddressClass::Public => {}
            AddressClass::Private(kind) => assert!(both, "{host} is {kind}"),
            AddressClass::Never(kind) => panic!("{host} is {kind}"),
        }
    }
}

/// The plain form is one: it is what it is read as.
fn of_a_host(text: &str) {
    let Ok(host) = Host::parse(text) else { return };
    let plain = host.to_string();
    assert_eq!(Host::parse(&plain).as_ref(), Ok(&host), "{text}");
    assert!(plain.is_ascii() && !plain.is_empty() && plain.len() <= 253, "{text}");
    let longer = format!("{text}.");
    if let (Host::Name(_), false) = (&host, text.ends_with(['.', '。', '．', '｡'])) {
        assert_eq!(Host::parse(&longer).as_ref(), Ok(&host), "{longer}");
    }
}

fn of_a_pattern(text: &str) {
    let Ok(pattern) = HostPattern::parse(text) else { return };
    let plain = pattern.to_string();
    assert_eq!(HostPattern::parse(&plain).as_ref(), Ok(&pattern), "{text}");
    match &pattern {
        HostPattern::Is(host) => assert!(pattern.matches(host), "{text}"),
        HostPattern::Below(name) => {
            assert!(!pattern.matches(&Host::Name(name.clone())), "{text}");
            assert!(pattern.matches(&Host::Name(format!("a.{name}"))), "{text}");
            assert!(!pattern.matches(&Host::Name(format!("a{name}"))), "{text}");
        }
    }
}

/// Whoever follows a URL goes to the host that the gate was asked about.
fn of_a_url(text: &str) {
    let Ok((host, port)) = target_of_url(text) else { return };
    let Ok(host) = Host::parse(&host) else { return };
    let authority = match &host {
        Host::Address(address) if address.is_ipv6() => format!("[{address}]"),
        host => host.to_string(),
    };
    let plain = target_of_url(&format!("http://{authority}:{port}/")).map(|(host, port)| (Host::parse(&host), port));
    assert_eq!(plain, Ok((Ok(host), port)), "{text}");
}
