//! The configs that a component is tried with: its examples, those that were given, or one made of
//! its schema. Their hosts become the checker's peers, and their secrets canaries.

use super::{
    sample::{Extent, sample},
    subject::Subject,
};
use action_domain::{
    egress::{Egress, HostPattern, Rule, for_each_value},
    name::Name,
    payload::Payload,
    secret::{AttemptSecrets, HANDLE_PREFIX, Held, reference},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

/// Most cases that are executed: each runs some twenty times.
const CASES_MAX: usize = 8;

/// A config to try, with references to secrets.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) config: Value,
    /// Nobody wrote it: it was made of the schema.
    pub(super) is_made: bool,
}

/// The cases of a component; `made` gives a config where nobody wrote one.
pub(super) fn cases(
    examples: &[(String, Value)],
    given: &[(String, Value)],
    made: impl FnOnce() -> Value,
) -> Vec<Case> {
    let told = given.iter().chain(examples);
    let told = told.map(|(name, config)| Case { name: name.clone(), config: config.clone(), is_made: false });
    let mut cases: Vec<Case> = told.take(CASES_MAX).collect();
    if cases.is_empty() {
        cases.push(Case { name: "made of the schema".to_owned(), config: made(), is_made: true });
    }
    cases
}

/// Whether the protocol is let to see its secrets, as an action may let it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reveal {
    Yes,
    No,
}

/// A case that is ready to run.
pub(super) struct Armed {
    pub(super) config: Arc<str>,
    /// The input of its executions.
    pub(super) input: Payload,
    pub(super) secrets: Arc<AttemptSecrets>,
    pub(super) egress: Arc<Egress>,
    /// Where its hosts stand in the config, and the peer that each is now.
    pub(super) hosts: Vec<(String, usize)>,
    /// Whether the first of them is asked over TLS.
    pub(super) is_tls: bool,
    /// Each secret, and what finds its value wherever it turns up.
    pub(super) canaries: Vec<(Name, AttemptSecrets)>,
    /// The same for the handles, which mean nothing outside of the attempt.
    handles: Vec<(Name, String)>,
}

impl Armed {
    /// The names of secrets whose values are in this.
    pub(super) fn values_in(&self, bytes: &[u8]) -> Vec<&Name> {
        let found = |canary: &AttemptSecrets| matches!(canary.redactor().bytes(bytes), std::borrow::Cow::Owned(_));
        self.canaries.iter().filter(|(_, canary)| found(canary)).map(|(name, _)| name).collect()
    }

    /// The same within a document.
    pub(super) fn values_in_json(&self, document: &Value) -> Vec<&Name> {
        let found = |canary: &AttemptSecrets| canary.redactor().json(&mut document.clone());
        self.canaries.iter().filter(|(_, canary)| found(canary)).map(|(name, _)| name).collect()
    }

    /// The names of secrets whose handles are in this text.
    pub(super) fn handles_in(&self, text: &str) -> Vec<&Name> {
        self.handles.iter().filter(|(_, handle)| text.contains(handle)).map(|(name, _)| name).collect()
    }
}

impl Subject {
    /// A config made of the schema: with hosts and secrets that it need not have, where that is valid.
    pub(super) fn made(&self) -> Value {
        let schema = &self.descriptor.config_schema;
        let object = |config| if matches!(config, Value::Null) { Value::Object(Map::new()) } else { config };
        let full = object(sample(schema, Extent::WithHostsAndSecrets));
        if self.form.issues(&self.disguised(&full)).is_empty() {
            full
        } else {
            object(sample(schema, Extent::Required))
        }
    }

    /// Points a case at the peers, and puts canaries in the place of its secrets.
    ///
    /// # Errors
    /// Why the case cannot be tried, for people.
    pub(super) async fn arm(&self, case: &Case, reveal: Reveal) -> Result<Armed, String> {
        let peers: Vec<SocketAddr> = self.bench.peers.iter().map(|peer| peer.address).collect();
        self.arm_at(case, reveal, &peers).await
    }

    /// The same, with hosts at which nobody listens.
    ///
    /// # Errors
    /// As for [`Self::arm`].
    pub(super) async fn arm_at_nobody(&self, case: &Case) -> Result<Armed, String> {
        self.arm_at(case, Reveal::Yes, &[self.bench.nobody]).await
    }

    async fn arm_at(&self, case: &Case, reveal: Reveal, peers: &[SocketAddr]) -> Result<Armed, String> {
        let schema = &self.descriptor.config_schema;
        let mut config = case.config.clone();
        let hosts = self.point(&mut config, peers);
        let is_tls = hosts.first().and_then(|(pointer, _)| config.pointer(pointer)?.as_str().map(is_tls)) == Some(true);
        let egress = Egress {
            private_networks: true,
            ..Egress::of_action(schema, &config, &action_domain::action::Grants::default())
        };
        let mut values: BTreeMap<Name, Arc<action_domain::secret::SecretValue>> = BTreeMap::new();
        let (mut held, mut canaries, mut handles) = (Vec::new(), Vec::new(), Vec::new());
        let config = reference::replaced(&config, &mut |name| {
            let value = values.entry(name.clone()).or_insert_with(|| {
                // In base64 too, for those who want the key of an HMAC.
                let value = Arc::new(format!("canaries{}", self.bench.digits()).into_bytes().into());
                // Looked for by its value alone: this handle is nowhere.
                let alone = Held {
                    handle: format!("{HANDLE_PREFIX}{}", self.bench.digits()),
                    name: name.clone(),
                    value: Some(Arc::clone(&value)),
                    reveal: false,
                };
                canaries.push((name.clone(), AttemptSecrets::new(vec![alone])));
                value
            });
            let handle = format!("{HANDLE_PREFIX}{}", self.bench.digits());
            handles.push((name.clone(), handle.clone()));
            held.push(Held {
                handle: handle.clone(),
                name: name.clone(),
                value: Some(value.clone()),
                reveal: reveal == Reveal::Yes,
            });
            handle
        });
        if let Some(issue) = self.form.issues(&config).first() {
            return Err(format!(
                "the schema does not take the checker's own address and secrets: {}: {}",
                issue.pointer, issue.message
            ));
        }
        if self.validate(&config).await.0.is_err() {
            return Err("validate-config does not take the checker's own address".to_owned());
        }
        Ok(Armed {
            config: config.to_string().into(),
            input: self.input_of(case),
            secrets: Arc::new(AttemptSecrets::new(held)),
            egress: Arc::new(egress),
            hosts,
            is_tls,
            canaries,
            handles,
        })
    }

    /// What was given, else what the input schema gives, else what the templates of a config ask for.
    fn input_of(&self, case: &Case) -> Payload {
        if let Some(given) = &self.input {
            return given.clone();
        }
        let value = match &self.descriptor.input_schema {
            Some(schema) => sample(schema, Extent::Required),
            None => asked_for(&case.config),
        };
        Payload { content_type: "application/json".into(), data: value.to_string().into() }
    }

    /// The same, with the grant to follow a redirect.
    pub(super) fn with_elsewhere(&self, armed: Armed) -> Armed {
        let address = self.bench.elsewhere.address;
        let mut egress = (*armed.egress).clone();
        if let Ok(host) = HostPattern::parse(&address.ip().to_string()) {
            egress.rules.push(Rule {
                host,
                ports: vec![address.port()],
                https_only: false,
                from: "/grants/egress/0".to_owned(),
            });
        }
        Armed { egress: Arc::new(egress), ..armed }
    }

    /// Writes the peers' addresses over the hosts of a config.
    fn point(&self, config: &mut Value, peers: &[SocketAddr]) -> Vec<(String, usize)> {
        let mut places: Vec<(String, bool)> = Vec::new();
        for_each_value(&self.descriptor.config_schema, config, |part, value, pointer| {
            let kind = part.get("x-egress").and_then(Value::as_str);
            if let (Some(kind @ ("http" | "tcp")), true) = (kind, value.is_string())
                && !places.iter().any(|(place, _)| place == pointer)
            {
                places.push((pointer.to_owned(), kind == "http"));
            }
        });
        let mut hosts = Vec::new();
        for (number, (pointer, is_url)) in places.into_iter().enumerate() {
            let peer = number.min(peers.len() - 1);
            if let Some(Value::String(text)) = config.pointer_mut(&pointer) {
                *text = pointed(text, peers[peer], is_url);
                hosts.push((pointer, peer));
            }
        }
        hosts
    }
}

/// An object with a text at each path that the config's templates name: `{{ order.id }}`.
fn asked_for(config: &Value) -> Value {
    let mut input = Value::Object(Map::new());
    each_text(config, &mut |text| {
        for template in text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")) {
            let path = template.0.trim().trim_end_matches('?');
            let is_word =
                |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
            let parts: Vec<&str> = path.split('.').collect();
            if !parts.iter().all(|part| is_word(part)) {
                continue;
            }
            let mut place = &mut input;
            for part in parts {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                let Some(object) = place.as_object_mut() else { break };
                place = object.entry(part).or_insert_with(|| "sample".into());
            }
        }
    });
    input
}

fn each_text(value: &Value, then: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => then(text),
        Value::Array(list) => list.iter().for_each(|value| each_text(value, then)),
        Value::Object(object) => object.values().for_each(|value| each_text(value, then)),
        _ => {}
    }
}

fn is_tls(text: &str) -> bool {
    text.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
}

/// A URL or `host:port` with another host and port; what is behind them stays.
fn pointed(text: &str, address: SocketAddr, is_url: bool) -> String {
    if !is_url {
        return address.to_string();
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", ""));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    format!("{scheme}://{address}{}", &rest[end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hosts_become_the_peer_and_the_rest_stays() {
        let address: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        for (text, is_url, wanted) in [
            ("https://api.example.com/orders?x=1#y", true, "https://127.0.0.1:4711/orders?x=1#y"),
            ("http://user@example.com:81?q", true, "http://127.0.0.1:4711?q"),
            ("HTTPS://[::1]:4/{{ path }}", true, "HTTPS://127.0.0.1:4711/{{ path }}"),
            ("nonsense", true, "http://127.0.0.1:4711"),
            ("db.example.com:5432", false, "127.0.0.1:4711"),
        ] {
            assert_eq!(pointed(text, address, is_url), wanted);
        }
    }

    #[test]
    fn an_input_has_what_the_templates_name() {
        let config = json!({"a": "x {{ order.id }} {{order.items}}", "b": ["{{ page? }}", "{{ not this }}", "{{"]});
        assert_eq!(asked_for(&config), json!({"order": {"id": "sample", "items": "sample"}, "page": "sample"}));
    }

    #[test]
    fn what_somebody_wrote_is_tried_and_else_what_is_made() {
        let made = || json!({"a": "sample"});
        let alone = cases(&[], &[], made);
        assert_eq!((alone[0].is_made, &alone[0].config), (true, &json!({"a": "sample"})));
        let examples: Vec<_> = (0..20).map(|n| (format!("example {n}"), json!({}))).collect();
        let told = cases(&examples, &[("given".into(), json!({"a": "x"}))], made);
        assert_eq!((told.len(), told[0].name.as_str()), (CASES_MAX, "given"));
    }
}
