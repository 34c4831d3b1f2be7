//! Whom a protocol wants to be believed, and whether its config says so.
//!
//! `server-name` and `extra-roots` decide whose certificate passes for a host's. Secrets are sent to hosts
//! that the action names, so it is the action that says whom to take for them: what a protocol makes up is
//! good enough for a connection, and not for a secret.

use crate::bindings::v0_1::julee::action::outbound::TlsOptions;
use action_domain::{
    egress::{Host, target_of_url},
    secret::AttemptSecrets,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;
use std::borrow::Cow;

/// What to change.
pub(super) const HINT: &str = "write it into the action's config, where the protocol takes it, or send no secret there";

/// Looks for what the options name in the config.
///
/// # Errors
/// What is not there, as the rule that forbids to send a secret.
pub(super) fn check(
    options: &TlsOptions,
    host: &Host,
    config: &str,
    secrets: &AttemptSecrets,
) -> Result<(), &'static str> {
    let name = options.server_name.as_deref().filter(|name| Host::parse(name).as_ref() != Ok(host));
    if name.is_none() && options.extra_roots.is_none() {
        return Ok(());
    }
    // What is no JSON names nothing.
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    let mut texts = Vec::new();
    collect(&config, secrets, &mut texts);
    if name.is_some_and(|name| !texts.iter().any(|text| names(text, name))) {
        return Err("no secret is sent where `server-name` does not stand in the config");
    }
    if options.extra_roots.as_deref().is_some_and(|pem| !has_roots(&texts, pem)) {
        return Err("no secret is sent where `extra-roots` do not stand in the config");
    }
    Ok(())
}

/// All texts of a config. One that is a secret counts as what the protocol may see of it.
fn collect<'a>(value: &'a Value, secrets: &AttemptSecrets, texts: &mut Vec<Cow<'a, str>>) {
    match value {
        Value::String(text) => texts.push(match secrets.revealed(text) {
            Ok(value) => String::from_utf8_lossy(&value).into_owned().into(),
            Err(_) => text.as_str().into(),
        }),
        Value::Array(items) => items.iter().for_each(|item| collect(item, secrets, texts)),
        Value::Object(members) => members.values().for_each(|member| collect(member, secrets, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a text is this name, alone or as the host of a URL or before a port.
fn names(text: &str, name: &str) -> bool {
    let Ok(name) = Host::parse(name) else { return false };
    let is = |text: &str| Host::parse(text).as_ref() == Ok(&name);
    is(text)
        || target_of_url(text).is_ok_and(|(host, _)| is(&host))
        || text.rsplit_once(':').is_some_and(|(host, port)| port.parse::<u16>().is_ok() && is(host))
}

/// Whether each certificate stands in one of the texts, whatever the lines around it look like.
fn has_roots(texts: &[Cow<'_, str>], pem: &str) -> bool {
    let read = |text: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(text.as_bytes()).map_while(Result::ok).collect()
    };
    let known: Vec<_> = texts.iter().filter(|text| text.contains("CERTIFICATE")).flat_map(|text| read(text)).collect();
    // What is no certificate is refused elsewhere, by what is wrong with it.
    read(pem).iter().all(|root| known.contains(root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
    const OTHER: &str = "-----BEGIN CERTIFICATE-----\nBAUG\n-----END CERTIFICATE-----\n";

    fn is_vouched(config: &Value, server_name: Option<&str>, extra_roots: Option<&str>) -> bool {
        let options = TlsOptions {
            server_name: server_name.map(Into::into),
            extra_roots: extra_roots.map(Into::into),
            client_identity: None,
            alpn: Vec::new(),
        };
        let host = Host::parse("a.test").unwrap();
        check(&options, &host, &config.to_string(), &AttemptSecrets::default()).is_ok()
    }

    #[test]
    fn a_name_stands_in_the_config_or_is_the_hosts_own() {
        let config = json!({"tls": {"names": ["B.test"]}, "url": "https://c.test:8443/x", "server": "d.test:5432"});
        for name in ["a.test", "A.test.", "b.test", "c.test", "d.test"] {
            assert!(is_vouched(&config, Some(name), None), "{name}");
        }
        for name in ["evil.test", "test", "x", "", "names", "https"] {
            assert!(!is_vouched(&config, Some(name), None), "{name}");
        }
        assert!(is_vouched(&json!({}), None, None));
    }

    #[test]
    fn roots_stand_in_the_config_one_by_one() {
        let both = format!("{PEM}{OTHER}");
        let one = json!({"ca": PEM.replace('\n', "\r\n")});
        assert!(is_vouched(&one, None, Some(PEM)));
        assert!(!is_vouched(&one, None, Some(OTHER)) && !is_vouched(&one, None, Some(&both)));
        assert!(is_vouched(&json!({"ca": [PEM, OTHER]}), None, Some(&both)));
        assert!(!is_vouched(&json!({}), None, Some(PEM)));
        assert!(!is_vouched(&one, Some("evil.test"), Some(PEM)), "both have to");
    }
}
