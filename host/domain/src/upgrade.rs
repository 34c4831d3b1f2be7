//! What is different about another version of a protocol, and about what an action may do with it.
//!
//! A version brings its own config schema, and an `x-egress` in it turns a value of the config
//! into a grant. So an action that moves to another version may gain powers that nobody wrote
//! down. [`widened_by_version`] finds them: they have to stand in `grants.egress` before the
//! action moves.

mod schema;

pub use schema::{SchemaChange, SchemaChangeKind, changes_of_schema};

use crate::{
    action::Action,
    egress::{Egress, Rule, rules_of_config},
    failure::Effect,
    name::Name,
    protocol::{Pin, Protocol},
    secret::reference,
};
use serde::Serialize;

/// What another version of a protocol has that the first has not, and the other way round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Interfaces that it imports and the other does not, whatever their versions.
    pub imports_added: Vec<String>,
    /// Interfaces that it does not import any more.
    pub imports_removed: Vec<String>,
    /// HTTP methods that its connection test may use from now on.
    pub test_methods_added: Vec<String>,
    /// How its config schema differs.
    pub config: Vec<SchemaChange>,
    /// Whether there are more differences than are listed.
    pub config_cut: bool,
}

impl Comparison {
    /// From one version to another.
    pub fn of(from: &Protocol, to: &Protocol) -> Self {
        let (config, config_cut) = changes_of_schema(&from.descriptor.config_schema, &to.descriptor.config_schema);
        Self {
            imports_added: not_in(&to.imports, &from.imports),
            imports_removed: not_in(&from.imports, &to.imports),
            test_methods_added: only_in(&to.descriptor.test_methods, &from.descriptor.test_methods),
            config,
            config_cut,
        }
    }
}

/// The interfaces of `some` that `others` has in no version.
fn not_in(some: &[String], others: &[String]) -> Vec<String> {
    fn name(import: &str) -> &str {
        import.split_once('@').map_or(import, |(name, _)| name)
    }
    some.iter().filter(|import| !others.iter().any(|other| name(other) == name(import))).cloned().collect()
}

/// What stands among `some` and not among `others`.
fn only_in<T: PartialEq + Clone>(some: &[T], others: &[T]) -> Vec<T> {
    some.iter().filter(|one| !others.contains(one)).cloned().collect()
}

/// A value before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FromTo<T> {
    /// Before.
    pub from: T,
    /// After.
    pub to: T,
}

fn from_to<T: PartialEq>(from: T, to: T) -> Option<FromTo<T>> {
    (from != to).then_some(FromTo { from, to })
}

/// How a save changed what an action may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PowerChange {
    /// The protocol, where it is another or another version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<FromTo<Pin>>,
    /// What a repeat does to the outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<FromTo<Effect>>,
    /// Whether it asks for private networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_networks: Option<FromTo<bool>>,
    /// What it may reach that it could not reach before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub egress_added: Vec<Rule>,
    /// What it could reach and may not reach any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub egress_removed: Vec<Rule>,
    /// Interfaces that its protocol imports and the one before did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub imports_added: Vec<String>,
    /// HTTP methods that its protocol's connection test may use and the one before could not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test_methods_added: Vec<String>,
    /// Secrets that its config names and did not name before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets_added: Vec<Name>,
    /// Secrets that its config named and does not name any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets_removed: Vec<Name>,
    /// Secrets that its protocol may see and could not see before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reveal_added: Vec<String>,
    /// Secrets that its protocol could see and may not see any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reveal_removed: Vec<String>,
    /// Secrets that another protocol, or another version, sees from now on because the one before did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reveal_kept: Vec<String>,
}

impl PowerChange {
    /// From one revision to another, each with its protocol.
    pub fn of((old, old_protocol): (&Action, &Protocol), (new, new_protocol): (&Action, &Protocol)) -> Option<Self> {
        let [before, after] = [(old, old_protocol), (new, new_protocol)].map(|(action, protocol)| {
            Egress::of_action(&protocol.descriptor.config_schema, &action.spec.config, &action.spec.grants)
        });
        let [had, has] = [old, new].map(|action| Vec::from_iter(reference::names(&action.spec.config)));
        let [saw, sees] = [old, new].map(|action| &action.spec.grants.reveal);
        let moves = old.protocol != new.protocol;
        let change = Self {
            protocol: from_to(old.protocol.clone(), new.protocol.clone()),
            effect: from_to(old.effect, new.effect),
            private_networks: from_to(before.private_networks, after.private_networks),
            egress_added: not_covered(&after, &[&before]),
            egress_removed: not_covered(&before, &[&after]),
            imports_added: not_in(&new_protocol.imports, &old_protocol.imports),
            test_methods_added: only_in(&new_protocol.descriptor.test_methods, &old_protocol.descriptor.test_methods),
            secrets_added: only_in(&has, &had),
            secrets_removed: only_in(&had, &has),
            reveal_added: only_in(sees, saw),
            reveal_removed: only_in(saw, sees),
            reveal_kept: sees.iter().filter(|name| moves && saw.contains(name)).cloned().collect(),
        };
        (change != Self::default()).then_some(change)
    }
}

/// The rules that none of the others makes superfluous.
fn not_covered(egress: &Egress, others: &[&Egress]) -> Vec<Rule> {
    let is_covered = |rule: &&Rule| others.iter().any(|other| other.rules.iter().any(|known| known.covers(rule)));
    egress.rules.iter().filter(|rule| !is_covered(rule)).cloned().collect()
}

/// What an action may reach only because of the version to which it moves: values of its config
/// that this version makes grants of and the one before did not. What `grants.egress` names, and
/// what the action could reach before, was somebody's wish.
pub fn widened_by_version(old: &Action, old_protocol: &Protocol, new: &Action, new_protocol: &Protocol) -> Vec<Rule> {
    if old_protocol.descriptor.name != new_protocol.descriptor.name {
        // Whoever writes another protocol into an action means another action.
        return Vec::new();
    }
    let [old_schema, new_schema] = [old_protocol, new_protocol].map(|protocol| &protocol.descriptor.config_schema);
    let before = Egress::of_action(old_schema, &old.spec.config, &old.spec.grants);
    let wished = Egress::of_action(old_schema, &new.spec.config, &new.spec.grants);
    let by_config = Egress { rules: rules_of_config(new_schema, &new.spec.config), private_networks: false };
    let mut added = not_covered(&by_config, &[&before, &wished]);
    for rule in &mut added {
        rule.from.insert_str(0, "/config");
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{action::ActionSpec, digest::Digest, id::ActionId, protocol::Descriptor, time::Timestamp};
    use serde_json::{Value, json};

    fn protocol(version: &str, config_schema: Value, imports: &[&str]) -> Protocol {
        Protocol {
            descriptor: Descriptor {
                name: "p".parse().unwrap(),
                version: version.parse().unwrap(),
                summary: String::new(),
                documentation: String::new(),
                config_schema,
                input_schema: None,
                output_schema: None,
                examples: Vec::new(),
                test_methods: Vec::new(),
            },
            digest: Digest::of(version.as_bytes()),
            bytes: 0,
            imports: imports.iter().map(|import| (*import).to_owned()).collect(),
            kind: crate::protocol::Kind::Protocol,
            reconciles: false,
            uploaded_at: Timestamp::from_micros(0),
        }
    }

    fn action(protocol: &Protocol, config: Value, grants: Value) -> Action {
        let spec = json!({"name": "a", "protocol": "p", "config": config, "grants": grants});
        let spec: ActionSpec = serde_json::from_value(spec).unwrap();
        let now = Timestamp::from_micros(0);
        let (id, effect) = (ActionId::from_uuid(uuid::Uuid::nil()), Effect::Read);
        let transforms = std::collections::BTreeMap::new();
        Action { id, revision: 1, protocol: protocol.pin(), transforms, effect, spec, created_at: now, updated_at: now }
    }

    fn url() -> Value {
        json!({"type": "string", "x-egress": "http"})
    }

    fn two() -> (Protocol, Protocol) {
        let plain = json!({"type": "string"});
        (
            protocol("0.1.0", json!({"properties": {"url": url(), "mirror": plain}}), &["julee:action/outbound@0.1.0"]),
            protocol(
                "0.2.0",
                json!({"properties": {"url": url(), "mirror": url()}}),
                &["julee:action/outbound@0.1.1", "wasi:sockets/tcp@0.2.6"],
            ),
        )
    }

    #[test]
    fn a_new_annotation_makes_a_grant_that_nobody_wrote() {
        let (old, new) = two();
        let config = json!({"url": "https://a.test/", "mirror": "https://b.test/"});
        let before = action(&old, config.clone(), json!({}));
        let widened = |config: &Value, grants: Value| {
            let after = action(&new, config.clone(), grants);
            widened_by_version(&before, &old, &after, &new).into_iter().map(|rule| rule.from).collect::<Vec<_>>()
        };
        assert_eq!(widened(&config, json!({})), ["/config/mirror"]);
        let named = json!({"egress": [{"host": "b.test", "ports": [443]}]});
        assert!(widened(&config, named).is_empty(), "it is granted by name");
        let wider = json!({"egress": [{"host": "b.test"}]});
        assert!(widened(&config, wider).is_empty());
        let other = json!({"egress": [{"host": "b.test", "ports": [80]}]});
        assert_eq!(widened(&config, other), ["/config/mirror"]);
        // The url was a grant before: whoever changes it means it.
        assert!(widened(&json!({"url": "https://c.test/"}), json!({})).is_empty());
        assert!(widened(&json!({"url": "https://c.test/", "mirror": "https://a.test/"}), json!({})).is_empty());
    }

    #[test]
    fn a_save_tells_what_became_of_the_powers() {
        let (old, new) = two();
        let config = json!({"url": "https://a.test/", "mirror": "https://b.test/"});
        let before = action(&old, config.clone(), json!({"egress": [{"host": "gone.test", "ports": [1]}]}));
        let mut after = action(&new, config, json!({"private_networks": true}));
        after.effect = Effect::Unsafe;
        let change = PowerChange::of((&before, &old), (&after, &new)).unwrap();
        assert_eq!(
            serde_json::to_value(&change).unwrap(),
            json!({
                "protocol": {"from": "p@0.1.0", "to": "p@0.2.0"},
                "effect": {"from": "read", "to": "unsafe"},
                "private_networks": {"from": false, "to": true},
                "egress_added": [{"host": "b.test", "ports": [443], "https_only": true, "from": "/config/mirror"}],
                "egress_removed": [{"host": "gone.test", "ports": [1], "from": "/grants/egress/0"}],
                "imports_added": ["wasi:sockets/tcp@0.2.6"],
            })
        );
        assert_eq!(PowerChange::of((&before, &old), (&before, &old)), None);
    }

    #[test]
    fn a_save_tells_which_secrets_are_named_and_which_are_seen() {
        let (old, mut new) = two();
        new.descriptor.test_methods = vec!["POST".to_owned()];
        let before = action(&old, json!({"a": {"$secret": "stays"}, "b": {"$secret": "goes"}}), json!({}));
        let config = json!({"a": {"$secret": "stays"}, "b": {"$secret": "comes"}});
        let seen = action(&old, config.clone(), json!({"reveal": ["stays"]}));
        let told = |change: Option<PowerChange>| serde_json::to_value(change).unwrap();
        assert_eq!(
            told(PowerChange::of((&before, &old), (&seen, &old))),
            json!({"secrets_added": ["comes"], "secrets_removed": ["goes"], "reveal_added": ["stays"]})
        );
        let moved = action(&new, config, json!({"reveal": ["comes", "stays"]}));
        let change = told(PowerChange::of((&seen, &old), (&moved, &new)));
        assert_eq!((&change["reveal_added"], &change["reveal_kept"]), (&json!(["comes"]), &json!(["stays"])));
        assert_eq!(change["test_methods_added"], json!(["POST"]));
        let back = told(PowerChange::of((&moved, &new), (&before, &new)));
        assert_eq!(back["reveal_removed"], json!(["comes", "stays"]));
    }

    #[test]
    fn imports_are_compared_without_their_versions() {
        let (old, new) = two();
        let there = Comparison::of(&old, &new);
        assert_eq!(there.imports_added, ["wasi:sockets/tcp@0.2.6"]);
        assert!(there.imports_removed.is_empty());
        assert_eq!(Comparison::of(&new, &old).imports_removed, ["wasi:sockets/tcp@0.2.6"]);
        assert_eq!(Comparison::of(&old, &old), Comparison::default());
    }
}
